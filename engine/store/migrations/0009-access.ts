/** Tokens of the admin API. Only digests of their secrets are kept. */
export const sql = `
create table kith.access_token (
  id text primary key,
  name text not null,
  role text not null check (role in ('viewer', 'operator', 'admin')),
  digest text not null,
  made_ms bigint not null,
  made_by text not null,
  expires_ms bigint,
  used_ms bigint,
  revoked_ms bigint,
  revoked_by text
);
create unique index on kith.access_token (name) where revoked_ms is null;
`
