-- What PostgreSQL itself refuses, whoever asks. Each refusal says what to do instead (HINT).
-- Names carry no schema: the functions pin their search path.

-- 1. Append-only. A statement trigger also stops UPDATE ... WHERE false, MERGE and ON CONFLICT DO UPDATE.
CREATE FUNCTION ledger_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the books are append-only', TG_OP, TG_TABLE_NAME USING
    ERRCODE = 'restrict_violation',
    HINT = 'Reverse the entry (ledger.services.reverse_entry) and post the right one under a new source key.';
END $$;

CREATE TRIGGER entries_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_journalentry
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();
CREATE TRIGGER postings_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_posting
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_change();

-- 2. Each entry is checked once, at commit: it balances in every currency and has two lines or more, and its
--    transaction id is the real one (the late-posting rule rests on it).
--    enable_seqscan: the plan is cached by the first, perhaps empty, state of the table.
CREATE FUNCTION ledger_check_entry() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public SET enable_seqscan = off AS $$
DECLARE
  lines bigint;
  differences text;
BEGIN
  IF NEW.xact_id <> pg_current_xact_id() THEN
    RAISE EXCEPTION 'entry % names transaction %, but % writes it', NEW.public_id, NEW.xact_id, pg_current_xact_id() USING
      ERRCODE = 'check_violation',
      HINT = 'Leave xact_id out: the database fills it in.';
  END IF;
  SELECT coalesce(sum(per.lines), 0), string_agg(per.currency || ' ' || per.total, ', ') FILTER (WHERE per.total <> 0)
    INTO lines, differences
    FROM (SELECT currency, count(*) AS lines, sum(amount_minor) AS total
            FROM ledger_posting WHERE entry_id = NEW.id GROUP BY currency) AS per;
  IF differences IS NOT NULL THEN
    RAISE EXCEPTION 'entry % does not balance: debits less credits are %', NEW.public_id, differences USING
      ERRCODE = 'check_violation',
      HINT = 'Debits and credits must be equal in every currency: build the entry with ledger.drafts.';
  END IF;
  IF lines < 2 THEN
    RAISE EXCEPTION 'entry % has % postings', NEW.public_id, lines USING
      ERRCODE = 'check_violation',
      HINT = 'An entry has at least two postings, written in the same transaction: use ledger.services.post_entries.';
  END IF;
  RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER entries_balance AFTER INSERT ON ledger_journalentry
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_check_entry();

-- 3. Postings come in the transaction that made their entry, all in one statement. The first half keeps closed entries
--    closed; the second keeps check 2 final, because SET CONSTRAINTS can make it run before a transaction ends.
CREATE FUNCTION ledger_check_added_postings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  wrong record;
BEGIN
  SELECT entry.public_id, entry.xact_id <> pg_current_xact_id() AS late,
         fresh.lines <> (SELECT count(*) FROM ledger_posting AS line WHERE line.entry_id = entry.id) AS divided
    INTO wrong
    FROM (SELECT entry_id, count(*) AS lines, min(booked_on) AS first_day, max(booked_on) AS last_day,
                 min(posted_at) AS first_known, max(posted_at) AS last_known
            FROM added GROUP BY entry_id) AS fresh
    JOIN ledger_journalentry AS entry ON entry.id = fresh.entry_id
   WHERE entry.xact_id <> pg_current_xact_id()
      OR fresh.first_day <> entry.booked_on OR fresh.last_day <> entry.booked_on
      OR fresh.first_known <> entry.posted_at OR fresh.last_known <> entry.posted_at
      OR fresh.lines <> (SELECT count(*) FROM ledger_posting AS line WHERE line.entry_id = entry.id)
   LIMIT 1;
  IF NOT FOUND THEN
    RETURN NULL;
  ELSIF wrong.late THEN
    RAISE EXCEPTION 'late posting: entry % was made by an earlier transaction and is closed', wrong.public_id USING
      ERRCODE = 'restrict_violation',
      HINT = 'Post a new entry for what is missing (ledger.services.post_entries), or reverse this one and post it right.';
  ELSIF wrong.divided THEN
    RAISE EXCEPTION 'late posting: entry % already has its postings', wrong.public_id USING
      ERRCODE = 'restrict_violation',
      HINT = 'Write all postings of an entry in one INSERT, or use ledger.services.post_entries.';
  ELSE
    RAISE EXCEPTION 'postings of entry % carry another booked_on or posted_at than the entry', wrong.public_id USING
      ERRCODE = 'check_violation',
      HINT = 'Copy both from the entry, or use ledger.services.post_entries.';
  END IF;
END $$;

CREATE TRIGGER postings_come_with_their_entry AFTER INSERT ON ledger_posting
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION ledger_check_added_postings();

-- 4. A posting's currency is its account's.
ALTER TABLE ledger_posting ADD CONSTRAINT a_posting_uses_an_account_of_its_own_currency
  FOREIGN KEY (account_id, currency) REFERENCES ledger_account (id, currency);

-- 5. What an account is never changes; only its floor may be set. No account goes away.
CREATE FUNCTION ledger_refuse_account_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
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
