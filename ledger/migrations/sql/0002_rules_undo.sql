-- Takes the enforcement away again. Only an owner may, and only on the way to removing the tables.
DO $$
DECLARE
  writer record;
BEGIN
  FOR writer IN
    SELECT DISTINCT class.relname, role.rolname
      FROM pg_class AS class, aclexplode(class.relacl) AS acl JOIN pg_roles AS role ON role.oid = acl.grantee
     WHERE class.oid IN ('ledger_account'::regclass, 'ledger_journalentry'::regclass, 'ledger_posting'::regclass,
                         'ledger_closedday'::regclass)
       AND acl.privilege_type = 'TRUNCATE' AND role.oid <> class.relowner
  LOOP
    EXECUTE format('REVOKE TRUNCATE ON %I FROM %I', writer.relname, writer.rolname);
  END LOOP;
END $$;
DROP TRIGGER entries_come_on_open_days ON ledger_journalentry;
DROP TRIGGER closes_are_kept ON ledger_closedday;
DROP TRIGGER closes_keep_what_they_say ON ledger_closedday;
DROP TRIGGER accounts_keep_their_nature ON ledger_account;
DROP TRIGGER accounts_are_kept ON ledger_account;
ALTER TABLE ledger_posting DROP CONSTRAINT a_posting_uses_an_account_of_its_own_currency;
DROP TRIGGER entries_have_postings ON ledger_journalentry;
DROP TRIGGER postings_come_balanced_with_their_entry ON ledger_posting;
DROP TRIGGER postings_are_append_only ON ledger_posting;
DROP TRIGGER entries_are_append_only ON ledger_journalentry;
DROP FUNCTION ledger_check_open_day();
DROP FUNCTION ledger_keep_closes();
DROP FUNCTION ledger_refuse_account_change();
DROP FUNCTION ledger_check_added_postings();
DROP FUNCTION ledger_check_entry();
DROP FUNCTION ledger_refuse_change();
