/**
 * Erasures: who has asked to be forgotten, and by what they are known again.
 *
 * `barred` holds hashes only, under a key of this store's own (a fact; HMAC-SHA-256, its two paddings worked out beforehand, so
 * that the database can tell by itself). What the consent ledger says of a barred address is kept under the hash too, with no
 * story: `consent_rows` sees to it that nothing is ever written about one under its own name again.
 */
export const sql = `
create table kith.erasure (
  id text collate "C" primary key,
  opened_ms bigint not null,
  actor text not null,
  why text not null,
  people text[] collate "C" not null,
  state text not null,
  of text,
  waived json not null,
  certificate json,
  lifted json
);
create index erasure_state on kith.erasure (state, opened_ms);

create table kith.barred (
  hash text collate "C" not null,
  erasure text collate "C" not null,
  primary key (hash, erasure)
);

create index link_erased on kith.link (reason) where state = 'erased';

-- The key is made here, once, so that every backup has it: what is barred stays so after any restore. What is kept are its two
-- paddings, as HMAC uses them.
create function kith.make_erasure_key() returns void language plpgsql as $$
declare
  secret bytea := sha256(convert_to(gen_random_uuid()::text || gen_random_uuid() || gen_random_uuid(), 'UTF8'));
  inner_pad bytea := decode(repeat('36', 64), 'hex');
  outer_pad bytea := decode(repeat('5c', 64), 'hex');
begin
  for place in 0..31 loop
    inner_pad := set_byte(inner_pad, place, get_byte(inner_pad, place) # get_byte(secret, place));
    outer_pad := set_byte(outer_pad, place, get_byte(outer_pad, place) # get_byte(secret, place));
  end loop;
  insert into kith.fact (name, value) values ('erasure key',
    json_build_object('inner', encode(inner_pad, 'hex'), 'outer', encode(outer_pad, 'hex')))
  on conflict (name) do nothing;
end
$$;
select kith.make_erasure_key();

create function kith.keyed_hash(p_text text) returns text language sql stable as $$
  select encode(sha256(decode(f.value->>'outer', 'hex') ||
    sha256(decode(f.value->>'inner', 'hex') || convert_to(p_text, 'UTF8'))), 'hex')
  from kith.fact f where f.name = 'erasure key'
$$;

-- The name under which the ledger keeps an address.
create function kith.consent_key(p_key text) returns text language sql stable as $$
  select coalesce((
    select 'erased:' || h.hash from (select kith.keyed_hash(p_key) as hash offset 0) h
    where exists (select 1 from kith.barred b where b.hash = h.hash)
      or exists (select 1 from kith.consent c where c.key = 'erased:' || h.hash)), p_key)
$$;

create function kith.consent_rows(p_rows json) returns json language plpgsql stable strict as $$
begin
  if not exists (select 1 from kith.erasure) then return p_rows; end if;
  return (
    select json_agg(case when k.key = r.entry->>'key' then r.entry else (r.entry::jsonb
      || jsonb_build_object('key', k.key)
      || case when r.entry::jsonb ? 'events' then '{"events": []}'::jsonb else '{}'::jsonb end)::json end)
    from json_array_elements(p_rows) r(entry)
    cross join lateral (select kith.consent_key(r.entry->>'key') as key offset 0) k);
end
$$;

-- What the ledger has under the names of barred addresses goes under their hashes. Of two entries the stricter stands.
create function kith.hash_consents(p_keys text[]) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(lock.number) from (
    select hashtextextended(k.key, 0) as number from unnest(p_keys) k(key) order by number offset 0) lock;
  insert into kith.consent as c (key, state, stamp_at, stamp_by, opt_in_ms, restricted_ms, events, version)
  select kith.consent_key(p.key), p.state, p.stamp_at, p.stamp_by, p.opt_in_ms, p.restricted_ms, '[]', 1
  from kith.consent p where p.key = any (p_keys) and kith.consent_key(p.key) <> p.key
  on conflict (key) do update set
    state = excluded.state, stamp_at = excluded.stamp_at, stamp_by = excluded.stamp_by, opt_in_ms = excluded.opt_in_ms,
    restricted_ms = excluded.restricted_ms, version = c.version + 1
  where array_position(array['pending', 'subscribed', 'unsubscribed', 'bounced', 'complained'], excluded.state)
    > array_position(array['pending', 'subscribed', 'unsubscribed', 'bounced', 'complained'], c.state);
  delete from kith.consent p where p.key = any (p_keys) and kith.consent_key(p.key) <> p.key;
end
$$;

-- Before the rest of a commit. Whoever matches records at this moment loses: they do not know yet who is barred.
create function kith.begin_erasure(p_erasure json, p_keys text[]) returns boolean language plpgsql as $$
begin
  if not exists (select 1 from kith.fact where name = 'erasure key') then perform kith.make_erasure_key(); end if;
  insert into kith.erasure (id, opened_ms, actor, why, people, state, of, waived)
  select r.id, r.opened_ms, r.actor, r.why, r.people, 'open', r.of, '{}'
  from json_to_record(p_erasure) as r(id text, opened_ms bigint, actor text, why text, people text[], of text)
  on conflict (id) do update set people = excluded.people where kith.erasure.state = 'open';
  if not found then raise exception 'lost' using errcode = 'KTH01'; end if;
  insert into kith.barred (hash, erasure)
  select distinct kith.keyed_hash(k.key), p_erasure->>'id' from unnest(p_keys) k(key)
  on conflict do nothing;
  update kith.matching set round = round + 1;
  perform kith.hash_consents(p_keys);
  return true;
end
$$;

-- Whether a text says something of somebody: \`p_texts\` are in lower case.
create function kith.tells_of(p_text text, p_texts text[]) returns boolean language sql immutable as $$
  select exists (select 1 from unnest(p_texts) t(text) where position(t.text in lower(p_text)) > 0)
$$;

create function kith.purge(p_erasure text, p_certificate json, p_texts text[]) returns boolean language plpgsql as $$
declare
  p_people text[];
begin
  -- The round is taken first, as by every commit that matches.
  update kith.matching set round = round + 1;
  select people into p_people from kith.erasure where id = p_erasure and state = 'open' for update;
  if not found then return false; end if;
  perform from kith.person where id = any (p_people) order by id for update;
  if exists (select 1 from kith.intent where person_id = any (p_people) and state = 'sending') then return false; end if;

  create temporary table erased_record on commit drop as
    select connection, record_id, state from kith.link where person_id = any (p_people);
  delete from kith.kept k using erased_record r where k.connection = r.connection and k.record_id = r.record_id;
  delete from kith.baseline b using erased_record r where b.connection = r.connection and b.record_id = r.record_id;
  delete from kith.baseline where person_id = any (p_people);
  delete from kith.announced a using erased_record r where a.connection = r.connection and a.record_id = r.record_id;
  delete from kith.apart where a in (select 'record:' || connection || '/' || record_id from erased_record)
    or b in (select 'record:' || connection || '/' || record_id from erased_record);
  delete from kith.apart where a in (select 'person:' || p.id from unnest(p_people) p(id))
    or b in (select 'person:' || p.id from unnest(p_people) p(id));
  delete from kith.intent where person_id = any (p_people);
  delete from kith.delivery where person_id = any (p_people);
  delete from kith.change where person_id = any (p_people);
  delete from kith.conflict where person_id = any (p_people);
  delete from kith.unplanned where person_id = any (p_people);
  insert into kith.count (connection, what, delta)
    select connection, 'records', -count(*) from erased_record where kith.is_record(state) group by connection;
  delete from kith.link where person_id = any (p_people) and state = 'gone';
  update kith.link set person_id = null, state = 'erased', fields = '{}', base_ms = '{}', rewrites = '{}', keys = '{}',
    modified_ms = null, field_times_ms = null, candidates = null, failure = null, recheck = false,
    reason = 'erased: ' || p_erasure, version = version + 1
    where person_id = any (p_people);
  -- Records that may have been theirs are matched anew, without them.
  update kith.link set state = 'staged', candidates = null, reason = null, version = version + 1
    where state = 'ambiguous' and candidates && p_people;
  -- Records that went away before, and are nobody's or another's by now: what they said is of no use to anybody.
  update kith.link set fields = '{}', base_ms = '{}', rewrites = '{}', field_times_ms = null, version = version + 1
    where state = 'gone' and kith.tells_of(fields::text, array(
      -- Not by a name: others have it too.
      select t.text from unnest(p_texts) t(text) where t.text like '%@%' or t.text ~ '[0-9]{6}'));
  delete from kith.person where id = any (p_people);
  update kith.act set why = '(erased)' where kith.tells_of(why, p_texts);
  update kith.act set about = '{}' where kith.tells_of(about::text, p_texts);
  update kith.erasure set why = '(erased)' where kith.tells_of(why, p_texts);
  perform kith.hash_consents(array(
    select c.channel || t.text from unnest(p_texts) t(text) cross join (values ('email:'), ('phone:')) c(channel)));
  update kith.erasure set state = 'done', certificate = p_certificate where id = p_erasure;
  drop table erased_record;
  return true;
end
$$;

create function kith.lift_erasure(p_erasure text, p_waiver json) returns boolean language plpgsql as $$
begin
  update kith.matching set round = round + 1;
  update kith.erasure set state = 'lifted', lifted = p_waiver where id = p_erasure and state = 'done';
  if not found then return false; end if;
  delete from kith.barred where erasure = p_erasure;
  update kith.link set recheck = true, rev = null, version = version + 1
  where state = 'erased' and reason = 'erased: ' || p_erasure;
  return true;
end
$$;
`
