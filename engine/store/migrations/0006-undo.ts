import { sql as commit } from './0002-commit.ts'

/**
 * What undo goes by: which act made a change, and in which pass of its connection it was heard. Both are known to the
 * commit itself; so `kith.commit` is made anew, the same but for the one statement that writes the log.
 */
const LOGS = `    insert into kith.change (person_id, cell, before, after, stamp_at, stamp_by, record_id, kind, rule, heard_ms)
    select r.person_id, r.cell, r.before, r.after, r.stamp_at, r.stamp_by, r.record_id, r.kind, r.rule, r.heard_ms
`

const LOGS_NOW = `    insert into kith.change (person_id, cell, before, after, stamp_at, stamp_by, record_id, kind, rule, heard_ms, act, pass)
    select r.person_id, r.cell, r.before, r.after, r.stamp_at, r.stamp_by, r.record_id, r.kind, r.rule, r.heard_ms,
      p_act->>'id',
      case when p_act is null then (select c.pass from kith.connection c where c.name = r.stamp_by) end
`

export const sql = `
alter table kith.change add column act text, add column pass bigint;
create index change_act on kith.change (act, id) where act is not null;
${commit.replace('create function', 'create or replace function').replace(LOGS, () => LOGS_NOW)}`
