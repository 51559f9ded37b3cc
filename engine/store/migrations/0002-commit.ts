/**
 * One commit is one call, and thereby one transaction and one round trip: the batch is sent as a few JSON texts. An error
 * with SQLSTATE `KTH01` says that a compare-and-set lost, and takes everything back.
 *
 * Locks are taken in one order: connection, matching round, people, links, the rest; and within a table in the order of
 * the batch, which the caller has sorted. The memory store does the same steps in the same order.
 *
 * The updates find their rows by a look-up and name them by `ctid`: an ordinary join would be planned once, while the tables
 * are empty, to read all of them. A row that was written meanwhile has another version, and the compare-and-set loses.
 */
export const sql = `
create function kith.commit(
  p_counts bigint[], p_feed json, p_round bigint, p_people_new json, p_people json, p_links_new json, p_links json, p_changes json,
  p_conflicts json, p_withdrawn json, p_intents json, p_settlements json, p_settled text[], p_planned json,
  p_unplanned text[],
  p_tallies json, p_seen json, p_consents json, p_consents_seen json, p_act json
) returns text language plpgsql as $$
declare
  step record;
  concerned text[];
  feed record;
  written bigint;
begin
  -- Whoever decides by an address and whoever writes about it wait for each other, also where there is no entry yet.
  if p_consents_seen is not null then
    perform pg_advisory_xact_lock(lock.number) from (
      select hashtextextended(n.key, 0) as number from json_to_recordset(p_consents_seen) as n(key text)
      order by number offset 0) lock;
    if exists (
      select 1 from json_to_recordset(p_consents_seen) as n(key text, version bigint)
      left join kith.consent c on c.key = n.key
      where coalesce(c.version, 0) <> n.version
    ) then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  if p_feed is not null then
    select * into step from json_to_record(p_feed)
      as f(connection text, pass bigint, chunk bigint, has_cursor boolean, cursor json, last boolean, read_with text,
        now_ms bigint);
    update kith.connection c set
      chunk = step.chunk,
      cursor = case when step.has_cursor then step.cursor else c.cursor end,
      last_read_ms = case when step.last then step.now_ms else c.last_read_ms end,
      scanned = c.scanned or step.last,
      read_with = case when step.last then coalesce(step.read_with, c.read_with) else c.read_with end,
      failure = null
    where c.name = step.connection and c.pass = step.pass and c.chunk = step.chunk - 1;
    if not found then
      select c.pass, c.chunk into feed from kith.connection c where c.name = step.connection;
      if not found or step.pass < feed.pass or (step.pass = feed.pass and step.chunk <= feed.chunk) then
        return 'stale';
      end if;
      return 'early';
    end if;
  end if;

  if p_round is not null then
    update kith.matching set round = round + 1 where round = p_round;
    if not found then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  -- Whoever is only looked at is locked together with those who are written, in one order.
  if p_seen is not null then
    select count(*) into written from (
      select q.id from json_to_recordset(p_seen) as n(id text, version bigint)
      cross join lateral (
        select id from kith.person where id = n.id and version = n.version for no key update offset 0) q
    ) r;
    if written <> p_counts[5] then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  if p_people_new is not null then
    insert into kith.person (id, version, state, merged_into, cells, search)
      select r.id, 1, r.state, r.merged_into, r.cells, r.search
      from json_to_recordset(p_people_new) as r(id text, state text, merged_into text, cells json, search text)
      on conflict do nothing;
    get diagnostics written = row_count;
    if written <> p_counts[1] then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  if p_people is not null then
    update kith.person p set
      version = p.version + 1, state = r.state, merged_into = r.merged_into, cells = r.cells, search = r.search
    from (
      select n.*, q.at from json_to_recordset(p_people)
        as n(id text, version bigint, state text, merged_into text, cells json, search text)
      cross join lateral (select ctid as at from kith.person where id = n.id and version = n.version offset 0) q
    ) r
    where p.ctid = r.at and p.version = r.version;
    get diagnostics written = row_count;
    if written <> p_counts[2] then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  if p_links_new is not null then
    with written as (
      insert into kith.link (connection, record_id, person_id, state, fields, rev, modified_ms, field_times_ms, base_ms,
        rewrites, keys, candidates, reason, failure, recheck, version)
      select r.connection, r.record_id, r.person_id, r.state, r.fields, r.rev, r.modified_ms, r.field_times_ms,
        r.base_ms, r.rewrites, r.keys, r.candidates, r.reason, r.failure, r.recheck, 1
      from json_to_recordset(p_links_new) as r(connection text, record_id text, person_id text, state text, fields json,
        rev text, modified_ms bigint, field_times_ms json, base_ms json, rewrites json, keys text[],
        candidates text[], reason text, failure json, recheck boolean)
      on conflict (connection, record_id) do nothing
      returning connection, state
    ), counted as (
      insert into kith.count (connection, what, delta)
      select w.connection, 'records', count(*) from written w where kith.is_record(w.state) group by w.connection
    )
    select count(*) into written from written;
    if written <> p_counts[3] then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  if p_links is not null then
    with written as (
      update kith.link l set
        person_id = r.person_id, state = r.state, fields = r.fields, rev = r.rev, modified_ms = r.modified_ms,
        field_times_ms = r.field_times_ms, base_ms = r.base_ms, rewrites = r.rewrites, keys = r.keys,
        candidates = r.candidates, reason = r.reason, failure = r.failure, recheck = r.recheck, version = l.version + 1
      from (
        select n.*, q.at, q.was
        from json_to_recordset(p_links) as n(connection text, record_id text, person_id text, state text, fields json,
          rev text, modified_ms bigint, field_times_ms json, base_ms json, rewrites json, keys text[],
          candidates text[], reason text, failure json, recheck boolean, version bigint)
        cross join lateral (
          select ctid as at, state as was from kith.link
          where connection = n.connection and record_id = n.record_id and version = n.version offset 0) q
      ) r
      where l.ctid = r.at and l.version = r.version
      returning l.connection, kith.is_record(l.state)::int - kith.is_record(r.was)::int as delta
    ), counted as (
      insert into kith.count (connection, what, delta)
      select w.connection, 'records', sum(w.delta) from written w group by w.connection having sum(w.delta) <> 0
    )
    select count(*) into written from written;
    if written <> p_counts[4] then raise exception 'lost' using errcode = 'KTH01'; end if;
  end if;

  if p_withdrawn is not null then
    delete from kith.intent
    where state <> 'sending' and id = any (array(
      select q.id from json_to_recordset(p_withdrawn) as r(person_id text, connection text)
      cross join lateral (
        select id from kith.intent
        where person_id = r.person_id and connection = r.connection and state <> 'sending' offset 0) q));
  end if;

  if p_intents is not null then
    insert into kith.intent (id, connection, person_id, op, record_id, rev, archive, fields, cells, state, held, released,
      attempts, not_before_ms, planned_ms, failure, urgent)
    select r.id, r.connection, r.person_id, r.op, r.record_id, r.rev, r.archive, r.fields, r.cells, r.state, r.held, r.released,
      r.attempts, r.not_before_ms, r.planned_ms, r.failure, r.urgent
    from json_to_recordset(p_intents) as r(id text, connection text, person_id text, op text, record_id text, rev text,
      archive boolean, fields json, cells json, state text, held text, released boolean, attempts bigint, not_before_ms bigint,
      planned_ms bigint, failure json, urgent boolean)
    on conflict (person_id, connection, (state = 'sending')) do update set
      id = excluded.id, op = excluded.op, record_id = excluded.record_id, rev = excluded.rev,
      archive = excluded.archive, fields = excluded.fields, cells = excluded.cells, state = excluded.state,
      held = excluded.held, released = excluded.released, attempts = excluded.attempts, not_before_ms = excluded.not_before_ms,
      planned_ms = excluded.planned_ms, failure = excluded.failure, urgent = excluded.urgent, lease_ms = null;
  end if;

  if p_settlements is not null then
    -- What a newer open intent has overtaken leaves too: there is room for one.
    with settled as (
      select * from json_to_recordset(p_settlements) as r(id text, state text, failure json, answer json, now_ms bigint)
    ), departed as (
      delete from kith.intent i using settled s
      where i.id = any (p_settled) and i.id = s.id and i.state = 'sending' and (s.state in ('done', 'superseded') or exists (
        select 1 from kith.intent o
        where o.person_id = i.person_id and o.connection = i.connection and case when o.state <> 'sending' then true end
        offset 0))
      returning i.id, i.connection, i.person_id, i.op, i.record_id, i.rev, i.archive, i.fields, i.cells, i.released, i.attempts,
        i.not_before_ms, i.planned_ms, s.state as outcome, s.failure, s.answer, s.now_ms
    )
    insert into kith.delivery (id, connection, person_id, op, record_id, rev, archive, fields, cells, released, attempts,
      not_before_ms, planned_ms, failure, answer, settled_ms)
    select d.id, d.connection, d.person_id, d.op, d.record_id, d.rev, d.archive, d.fields, d.cells, d.released, d.attempts,
      d.not_before_ms, d.planned_ms, d.failure, d.answer, d.now_ms
    from departed d where d.outcome = 'done' order by d.id;

    if p_counts[6] > 0 then
      update kith.intent i set
        state = s.state, failure = coalesce(s.failure, i.failure), held = s.held,
        not_before_ms = coalesce(s.not_before_ms, i.not_before_ms), lease_ms = null
      from json_to_recordset(p_settlements)
        as s(id text, state text, failure json, held text, not_before_ms bigint)
      where i.id = any (p_settled) and i.id = s.id and i.state = 'sending' and s.state in ('pending', 'parked', 'held');
    end if;
  end if;

  if p_changes is not null then
    insert into kith.change (person_id, cell, before, after, stamp_at, stamp_by, record_id, kind, rule, heard_ms)
    select r.person_id, r.cell, r.before, r.after, r.stamp_at, r.stamp_by, r.record_id, r.kind, r.rule, r.heard_ms
    from json_to_recordset(p_changes) as r(person_id text, cell text, before json, after json, stamp_at bigint,
      stamp_by text, record_id text, kind text, rule text, heard_ms bigint);
  end if;

  if p_conflicts is not null then
    delete from kith.conflict c
    using json_to_recordset(p_conflicts) as r(person_id text, cell text, connection text, open boolean)
    where c.person_id = any (array(select o.person_id from json_to_recordset(p_conflicts) as o(person_id text)))
      and c.person_id = r.person_id and c.cell = r.cell and c.connection = r.connection and not r.open;
    insert into kith.conflict (person_id, cell, connection, record_id, ours, theirs, stamp_at, stamp_by)
    select r.person_id, r.cell, r.connection, r.record_id, r.ours, r.theirs, r.stamp_at, r.stamp_by
    from json_to_recordset(p_conflicts) as r(person_id text, cell text, connection text, record_id text, ours json,
      theirs json, stamp_at bigint, stamp_by text, open boolean)
    where r.open
    on conflict (person_id, cell, connection) do update set
      record_id = excluded.record_id, ours = excluded.ours, theirs = excluded.theirs, stamp_at = excluded.stamp_at,
      stamp_by = excluded.stamp_by;
  end if;

  if p_planned is not null then
    delete from kith.unplanned u using json_to_recordset(p_planned) as r(person_id text, mark bigint)
    where u.person_id = any (array(select o.person_id from json_to_recordset(p_planned) as o(person_id text)))
      and u.person_id = r.person_id and u.mark = r.mark;
  end if;
  concerned := p_unplanned;
  if p_consents is not null then
    insert into kith.consent (key, state, stamp_at, stamp_by, opt_in_ms, restricted_ms, events, version)
    select r.key, r.state, r.stamp_at, r.stamp_by, r.opt_in_ms, r.restricted_ms, r.events, 1
    from json_to_recordset(p_consents) as r(key text, state text, stamp_at bigint, stamp_by text, opt_in_ms bigint,
      restricted_ms bigint, events json)
    on conflict (key) do update set
      state = excluded.state, stamp_at = excluded.stamp_at, stamp_by = excluded.stamp_by,
      opt_in_ms = excluded.opt_in_ms, restricted_ms = excluded.restricted_ms, events = excluded.events, version = kith.consent.version + 1;
    concerned := array(
      select u.id from unnest(p_unplanned) as u(id)
      union
      select l.person_id from json_to_recordset(p_consents) as r(key text) cross join lateral (
        select person_id from kith.link where keys @> array[r.key] and state <> 'gone' and person_id is not null offset 0) l
      order by 1);
  end if;
  if concerned is not null then
    insert into kith.unplanned (person_id) select r.id from unnest(concerned) as r(id)
    on conflict (person_id) do update set mark = excluded.mark;
  end if;

  if p_act is not null then
    insert into kith.act (id, at_ms, actor, why, kind, about)
    select r.id, r.at_ms, r.actor, r.why, r.kind, r.about
    from json_to_record(p_act) as r(id text, at_ms bigint, actor text, why text, kind text, about json)
    on conflict (id) do nothing;
  end if;

  if p_tallies is not null then
    insert into kith.tally as t (connection, what, bucket_ms, count)
    select r.connection, r.what, r.bucket_ms, r.count
    from json_to_recordset(p_tallies) as r(connection text, what text, bucket_ms bigint, count bigint)
    on conflict (connection, what, bucket_ms) do update set count = t.count + excluded.count;
  end if;

  return 'committed';
end
$$;
`
