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

-- 6. Whoever may write here may also try to truncate: the triggers answer with advice, not a bare "permission denied".
DO $$
DECLARE
  writer record;
BEGIN
  FOR writer IN
    SELECT DISTINCT class.relname, role.rolname
      FROM pg_class AS class, aclexplode(class.relacl) AS acl JOIN pg_roles AS role ON role.oid = acl.grantee
     WHERE class.oid IN ('ledger_account'::regclass, 'ledger_journalentry'::regclass, 'ledger_posting'::regclass)
       AND acl.privilege_type = 'UPDATE' AND role.oid <> class.relowner
  LOOP
    EXECUTE format('GRANT TRUNCATE ON %I TO %I', writer.relname, writer.rolname);
  END LOOP;
END $$;
