/**
 * The tokens that people signed in for. A table of its own: what it holds is sealed by a key that is never in the database,
 * and it is left out of whatever is printed.
 */
export const sql = `
create table kith.token (
  connection text collate "C" primary key,
  sealed text not null,
  changed_at timestamptz not null default now()
)`
