DROP TRIGGER entries_come_on_open_days ON ledger_journalentry;
DROP TRIGGER closes_are_kept ON ledger_closedday;
DROP TRIGGER closes_keep_what_they_say ON ledger_closedday;
DROP FUNCTION ledger_check_open_day();
DROP FUNCTION ledger_keep_closes();
