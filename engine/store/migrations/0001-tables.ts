/**
 * The tables.
 *
 * Documents are `json`, not `jsonb`: no statement looks inside them, and `json` is stored and handed back as the text that
 * came in, which costs neither side a conversion and keeps the order of keys.
 *
 * What is written all the time has few indexes, and columns that change all the time are in none, so that most updates
 * stay on their page (HOT); `fillfactor` leaves them the room. Ids sort by code point (`collate "C"`), as the memory store
 * sorts them.
 */
export const sql = `
create table kith.connection (
  name text collate "C" primary key,
  app text not null,
  mode text not null,
  cursor json,
  read_with text,
  pass bigint not null default 0,
  chunk bigint not null default 0,
  scanned boolean not null default false,
  last_read_ms bigint,
  failure json,
  held text
) with (fillfactor = 50);

create table kith.fact (
  name text collate "C" primary key,
  value json
);

create table kith.person (
  id text collate "C" primary key,
  version bigint not null,
  state text not null,
  merged_into text,
  cells json not null,
  -- What the person can be searched by, in lower case, one item a line.
  search text not null
) with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);

-- A table of its own: to flag a person and to clear the flag does not rewrite the person.
create table kith.unplanned (
  person_id text collate "C" primary key
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create table kith.link (
  connection text collate "C" not null,
  record_id text collate "C" not null,
  person_id text collate "C",
  state text not null,
  fields json not null,
  rev text,
  modified_ms bigint,
  field_times_ms json,
  base_ms json not null,
  rewrites json not null,
  keys text[] collate "C" not null,
  candidates text[] collate "C",
  reason text,
  failure json,
  recheck boolean not null,
  version bigint not null,
  primary key (connection, record_id)
) with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);
create index link_person on kith.link (person_id) where person_id is not null;
create index link_keys on kith.link using gin (keys) with (fastupdate = off) where state <> 'gone';
create index link_staged on kith.link (connection, record_id) where state = 'staged';
create index link_recheck on kith.link (connection, record_id) where recheck;
create index link_candidates on kith.link using gin (candidates) with (fastupdate = off) where state = 'ambiguous';

-- The outbox: open and sending intents. One that is done moves to delivery, so that this table stays small.
create table kith.intent (
  id text collate "C" primary key,
  connection text collate "C" not null,
  person_id text collate "C" not null,
  op text not null,
  record_id text,
  rev text,
  archive boolean not null,
  fields json not null,
  cells json not null,
  state text not null,
  held text,
  released boolean not null,
  attempts bigint not null,
  not_before_ms bigint not null,
  planned_ms bigint not null,
  failure json,
  lease_ms bigint
) with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- At most one open and at most one sending, by person and connection.
create unique index intent_one on kith.intent (person_id, connection, (state = 'sending'));
create index intent_queue on kith.intent (connection, state, planned_ms, id, not_before_ms) where state <> 'sending';
create index intent_lease on kith.intent (connection, lease_ms) where state = 'sending';

create table kith.delivery (
  number bigint generated always as identity primary key,
  id text not null,
  connection text not null,
  person_id text collate "C" not null,
  op text not null,
  record_id text,
  rev text,
  archive boolean not null,
  fields json not null,
  cells json not null,
  released boolean not null,
  attempts bigint not null,
  not_before_ms bigint not null,
  planned_ms bigint not null,
  failure json,
  answer json,
  settled_ms bigint not null
);
create index delivery_person on kith.delivery (person_id, number);
create index delivery_settled on kith.delivery using brin (settled_ms);

create table kith.change (
  id bigint generated always as identity primary key,
  person_id text collate "C" not null,
  cell text not null,
  before json,
  after json,
  stamp_at bigint not null,
  stamp_by text not null,
  record_id text,
  kind text not null,
  rule text not null,
  heard_ms bigint not null
);
create index change_person on kith.change (person_id, id);
create index change_heard on kith.change using brin (heard_ms);

-- Open conflicts only: how a closed one ended is in the change log.
create table kith.conflict (
  person_id text collate "C" not null,
  cell text collate "C" not null,
  connection text collate "C" not null,
  record_id text not null,
  ours json,
  theirs json,
  stamp_at bigint not null,
  stamp_by text not null,
  primary key (person_id, cell, connection)
);

create table kith.tally (
  connection text collate "C" not null,
  what text collate "C" not null,
  -- The start of the minute.
  bucket_ms bigint not null,
  count bigint not null,
  primary key (connection, what, bucket_ms)
) with (fillfactor = 50);

-- How many records, and how many pending intents that no operator has released, each connection has: the brakes ask with
-- every chunk, and counting 100,000 rows takes longer than the chunk. Rows are only added, so that nobody waits for
-- anybody; the count is their sum, and whoever finds too many of them puts them together.
create table kith.count (
  connection text collate "C" not null,
  what text not null,
  delta bigint not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
create index count_connection on kith.count (connection);

create function kith.count_links() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into kith.count (connection, what, delta)
    select n.connection, 'records', count(*) from new_rows n
    where n.state in ('linked', 'staged', 'ambiguous', 'missing') group by n.connection;
  else
    insert into kith.count (connection, what, delta)
    select c.connection, 'records', sum(c.delta) from (
      select connection, 1 as delta from new_rows where state in ('linked', 'staged', 'ambiguous', 'missing')
      union all
      select connection, -1 from old_rows where state in ('linked', 'staged', 'ambiguous', 'missing')
    ) c group by c.connection having sum(c.delta) <> 0;
  end if;
  return null;
end
$$;
create trigger count_inserted after insert on kith.link referencing new table as new_rows
  for each statement execute function kith.count_links();
create trigger count_updated after update on kith.link referencing old table as old_rows new table as new_rows
  for each statement execute function kith.count_links();

create function kith.count_intents() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    insert into kith.count (connection, what, delta)
    select n.connection, n.op, count(*) from new_rows n
    where n.state = 'pending' and not n.released group by n.connection, n.op;
  elsif tg_op = 'DELETE' then
    insert into kith.count (connection, what, delta)
    select o.connection, o.op, -count(*) from old_rows o
    where o.state = 'pending' and not o.released group by o.connection, o.op;
  else
    insert into kith.count (connection, what, delta)
    select c.connection, c.op, sum(c.delta) from (
      select connection, op, 1 as delta from new_rows where state = 'pending' and not released
      union all
      select connection, op, -1 from old_rows where state = 'pending' and not released
    ) c group by c.connection, c.op having sum(c.delta) <> 0;
  end if;
  return null;
end
$$;
create trigger count_inserted after insert on kith.intent referencing new table as new_rows
  for each statement execute function kith.count_intents();
create trigger count_updated after update on kith.intent referencing old table as old_rows new table as new_rows
  for each statement execute function kith.count_intents();
create trigger count_deleted after delete on kith.intent referencing old table as old_rows
  for each statement execute function kith.count_intents();

create table kith.matching (round bigint not null);
insert into kith.matching values (0);
`
