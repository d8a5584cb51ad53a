-- A closed day takes no entry, whoever writes it. Entries take the book's lock shared, closing takes it alone: an entry
-- that races a close is either in before the close counts, or finds the day closed. The lock's number is also in
-- ledger/services/closing.py.

CREATE FUNCTION ledger_check_open_day() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  last_closed date;
  early record;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(4710002);
  -- A statement of its own: it sees a close that was committed while the lock was waited for.
  SELECT max(closed.day) INTO last_closed FROM public.ledger_closedday AS closed WHERE closed.reopened_at IS NULL;
  IF last_closed IS NULL THEN
    RETURN NULL;
  END IF;
  SELECT added.public_id, added.booked_on INTO early FROM added WHERE added.booked_on <= last_closed LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'entry % is booked on %, but the books are closed through %',
      early.public_id, early.booked_on, last_closed USING
      ERRCODE = 'restrict_violation',
      HINT = 'Post it with ledger.services.post_entries, which books it on the first open day, or reopen the day '
             '(two people).';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER entries_come_on_open_days AFTER INSERT ON ledger_journalentry
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_open_day();

-- A close is noted once and for all; only its reopening is added, once, and only for the last closed day.
CREATE FUNCTION ledger_keep_closes() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'UPDATE' THEN
    RAISE EXCEPTION '% on ledger_closedday is refused: closes are kept for ever', TG_OP USING
      ERRCODE = 'restrict_violation',
      HINT = 'Reopen the day (two people): the close stays, with who reopened it.';
  END IF;
  RAISE EXCEPTION 'the close of % keeps what it says; a reopening is noted once', OLD.day USING
    ERRCODE = 'restrict_violation',
    HINT = 'Close the day again: that is a new row.';
END $$;

CREATE TRIGGER closes_are_kept BEFORE DELETE OR TRUNCATE ON ledger_closedday
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep_closes();
CREATE TRIGGER closes_keep_what_they_say BEFORE UPDATE ON ledger_closedday FOR EACH ROW
  WHEN ((OLD.id, OLD.day, OLD.first_day, OLD.closed_at, OLD.closed_by, OLD.entries_count, OLD.entries_digest)
        IS DISTINCT FROM
        (NEW.id, NEW.day, NEW.first_day, NEW.closed_at, NEW.closed_by, NEW.entries_count, NEW.entries_digest)
        OR OLD.reopened_at IS NOT NULL)
  EXECUTE FUNCTION ledger_keep_closes();

DO $$
DECLARE
  writer record;
BEGIN
  FOR writer IN
    SELECT DISTINCT role.rolname
      FROM pg_class AS class, aclexplode(class.relacl) AS acl JOIN pg_roles AS role ON role.oid = acl.grantee
     WHERE class.oid = 'ledger_closedday'::regclass AND acl.privilege_type = 'UPDATE' AND role.oid <> class.relowner
  LOOP
    EXECUTE format('GRANT TRUNCATE ON ledger_closedday TO %I', writer.rolname);
  END LOOP;
END $$;
