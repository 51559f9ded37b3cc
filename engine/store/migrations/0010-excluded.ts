/**
 * A record that takes no part (`erased`) is kept nowhere else either: not among what a pause keeps for a decision, not in what the
 * pause compares with. At the end of the transaction, since what was decided of the pause names its rows in the same one.
 *
 * Only where a record comes to be so: what is restored from a backup stays as the backup has it.
 */
export const sql = `
create function kith.keep_no_longer() returns trigger language plpgsql as $$
begin
  delete from kith.kept where connection = new.connection and record_id = new.record_id;
  delete from kith.baseline where connection = new.connection and record_id = new.record_id;
  return null;
end
$$;

create constraint trigger link_excluded after update on kith.link deferrable initially deferred
  for each row when (new.state = 'erased') execute function kith.keep_no_longer();
`
