-- What PostgreSQL itself refuses, whoever asks. Each refusal says what to do instead (HINT).
-- The functions name the schema and search pg_temp last: a temporary table of the same name must not stand in for the books.

-- 1. Append-only. A statement trigger also stops UPDATE ... WHERE false, MERGE and ON CONFLICT DO UPDATE.
CREATE FUNCTION ledger_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the books are append-only', TG_OP, TG_TABLE_NAME USING
    ERRCODE = 'restrict_violation',
    HINT = 'Reverse the entry (ledger.services.reverse_entry) and post the right one under a new source key.';
END $$;

CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_journalentry
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER postings_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- 2. Postings come in the transaction that made their entry, and what one statement adds to an entry balances in every
--    currency. So an entry balances at every moment, and no order of statements, savepoints or SET CONSTRAINTS can
--    leave it otherwise. One set-based check a statement costs a tenth of what a sum an entry at commit does.
--    The sub-select, not a join: plans are cached, and a join planned for a large batch would read whole tables later.
CREATE FUNCTION ledger_check_added_postings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wrong record;
  entry record;
BEGIN
  SELECT fresh.* INTO wrong
    FROM (SELECT entry_id, currency, sum(amount_minor) AS difference, min(booked_on) AS first_day,
                 max(booked_on) AS last_day, min(posted_at) AS first_known, max(posted_at) AS last_known
            FROM added GROUP BY entry_id, currency) AS fresh
   WHERE fresh.difference <> 0
      OR (SELECT header.xact_id = pg_current_xact_id()
                 AND header.booked_on = fresh.first_day AND header.booked_on = fresh.last_day
                 AND header.posted_at = fresh.first_known AND header.posted_at = fresh.last_known
            FROM public.ledger_journalentry AS header WHERE header.id = fresh.entry_id) IS NOT TRUE
   LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT header.public_id, header.xact_id INTO entry
    FROM public.ledger_journalentry AS header WHERE header.id = wrong.entry_id;
  IF entry.xact_id IS DISTINCT FROM pg_current_xact_id() THEN
    RAISE EXCEPTION 'late posting: entry % was not made by this transaction and is closed',
      coalesce(entry.public_id, wrong.entry_id::text) USING
      ERRCODE = 'restrict_violation',
      HINT = 'Post a new entry for what is missing (ledger.services.post_entries), or reverse this one and post it right.';
  ELSIF wrong.difference <> 0 THEN
    RAISE EXCEPTION 'entry % does not balance: debits less credits are % %',
      entry.public_id, wrong.currency, wrong.difference USING
      ERRCODE = 'check_violation',
      HINT = 'Debits and credits must be equal in every currency, all lines of an entry in one INSERT: '
             'build it with ledger.drafts, write it with ledger.services.post_entries.';
  ELSE
    RAISE EXCEPTION 'postings of entry % carry another booked_on or posted_at than the entry', entry.public_id USING
      ERRCODE = 'check_violation',
      HINT = 'Copy both from the entry, or use ledger.services.post_entries.';
  END IF;
END $$;

CREATE TRIGGER postings_come_balanced_with_their_entry AFTER INSERT ON ledger_posting
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_added_postings();

-- 3. At commit each entry is looked at once: it has two lines or more, and its transaction id is the real one (the
--    late-posting rule rests on it).
CREATE FUNCTION ledger_check_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NEW.xact_id <> pg_current_xact_id() THEN
    RAISE EXCEPTION 'entry % names transaction %, but % writes it', NEW.public_id, NEW.xact_id, pg_current_xact_id() USING
      ERRCODE = 'check_violation',
      HINT = 'Leave xact_id out: the database fills it in.';
  END IF;
  IF (SELECT count(*) FROM public.ledger_posting AS line WHERE line.entry_id = NEW.id) < 2 THEN
    RAISE EXCEPTION 'entry % has fewer than two postings', NEW.public_id USING
      ERRCODE = 'check_violation',
      HINT = 'An entry has at least two postings, written in the same transaction: use ledger.services.post_entries.';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER entries_have_postings AFTER INSERT ON ledger_journalentry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_check_entry();

-- 4. A posting's currency is its account's.
ALTER TABLE ledger_posting ADD CONSTRAINT a_posting_uses_an_account_of_its_own_currency
  FOREIGN KEY (account_id, currency) REFERENCES ledger_account (id, currency);

-- 5. What an account is never changes; only its floor may be set. No account goes away.
CREATE FUNCTION ledger_refuse_account_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'UPDATE' THEN
    RAISE EXCEPTION '% on ledger_account is refused: accounts are kept for ever', TG_OP USING
      ERRCODE = 'restrict_violation',
      HINT = 'Leave the account in place: without postings it shows nowhere.';
  END IF;
  RAISE EXCEPTION 'account % keeps its code, currency, dimensions and nature for ever', OLD.id USING
    ERRCODE = 'restrict_violation',
    HINT = 'Post to another account: it is made by its first posting. Move a balance with an entry.';
END $$;

CREATE TRIGGER accounts_are_kept BEFORE DELETE OR TRUNCATE ON ledger_account
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_account_change();
CREATE TRIGGER accounts_keep_their_nature BEFORE UPDATE ON ledger_account FOR EACH ROW
  WHEN ((OLD.id, OLD.code, OLD.currency, OLD.gateway, OLD.customer, OLD.normal_side, OLD.memo, OLD.open_item)
        IS DISTINCT FROM
        (NEW.id, NEW.code, NEW.currency, NEW.gateway, NEW.customer, NEW.normal_side, NEW.memo, NEW.open_item))
  EXECUTE FUNCTION ledger_refuse_account_change();

-- 6. A closed day takes no entry, whoever writes it. Entries take the book's lock shared, closing takes it alone: an entry
--    that races a close is either in before the close counts, or finds the day closed. The lock's number is also in
--    ledger/services/book_lock.py.
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

-- 7. A close is noted once and for all; only its reopening is added, once, and only for the last closed day.
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

-- 8. Whoever may write here may also try to truncate: the triggers answer with advice, not a bare "permission denied".
DO $$
DECLARE
  writer record;
BEGIN
  FOR writer IN
    SELECT DISTINCT class.relname, role.rolname
      FROM pg_class AS class, aclexplode(class.relacl) AS acl JOIN pg_roles AS role ON role.oid = acl.grantee
     WHERE class.oid IN ('ledger_account'::regclass, 'ledger_journalentry'::regclass, 'ledger_posting'::regclass,
                         'ledger_closedday'::regclass)
       AND acl.privilege_type = 'UPDATE' AND role.oid <> class.relowner
  LOOP
    EXECUTE format('GRANT TRUNCATE ON %I TO %I', writer.relname, writer.rolname);
  END LOOP;
END $$;
