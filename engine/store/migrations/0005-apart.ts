/**
 * Who is known to be different from whom, for good; and records of people who were folded into others (`second`), which are
 * records of the connection like any, and are found by whoever stands.
 */
export const sql = `
create table kith.apart (
  a text collate "C" not null,
  b text collate "C" not null,
  primary key (a, b)
);
create index apart_b on kith.apart (b);

create or replace function kith.is_record(state text) returns boolean language sql immutable
  return state in ('linked', 'staged', 'ambiguous', 'second', 'missing');

create index link_second on kith.link using gin (candidates) with (fastupdate = off) where state = 'second';

-- A name as it is compared: no diacritics, no case, no punctuation.
create function kith.folded(name text) returns text language sql immutable
  return trim(regexp_replace(regexp_replace(lower(normalize(name, NFD)), '[\\u0300-\\u036f]', '', 'g'),
    '[^0-9A-Za-z\\u0080-\\U0010FFFF]+', ' ', 'g'));
`
