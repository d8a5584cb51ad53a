-- What was said is appended to, never rewritten: pages answer "why" from the causal log, and the histories of gateways'
-- health, decline rules and schedules say who changed what.
CREATE FUNCTION payments_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: it is append-only', TG_OP, TG_TABLE_NAME USING
    ERRCODE = 'restrict_violation',
    HINT = 'Record a new fact (payments.services.recording.record_fact); what was said before stays said.';
END $$;

CREATE TRIGGER transitions_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_transition
  FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER health_events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_healthevent
  FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER rule_changes_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_declinerulechange
  FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER schedule_changes_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_schedulechange
  FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();
CREATE TRIGGER movements_stay BEFORE DELETE OR TRUNCATE ON payments_movement
  FOR EACH STATEMENT EXECUTE FUNCTION payments_refuse_change();

-- What a movement says is fixed; what it is for, and when it was settled or released, may still be learned.
CREATE FUNCTION payments_keep_movement() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  IF (OLD.gateway_account_id, OLD.gateway_id, OLD.kind, OLD.occurrence, OLD.revision, OLD.amount_minor, OLD.currency,
      OLD.entry_source_key, OLD.occurred_at, OLD.posted_at)
     IS DISTINCT FROM
     (NEW.gateway_account_id, NEW.gateway_id, NEW.kind, NEW.occurrence, NEW.revision, NEW.amount_minor, NEW.currency,
      NEW.entry_source_key, NEW.occurred_at, NEW.posted_at) THEN
    RAISE EXCEPTION 'movement % can not be rewritten', OLD.public_id USING
      ERRCODE = 'restrict_violation',
      HINT = 'A restated amount is a further revision holding the difference.';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER movements_are_not_rewritten BEFORE UPDATE ON payments_movement
  FOR EACH ROW EXECUTE FUNCTION payments_keep_movement();

-- The card networks' ceilings to start with; 720 hours are their month of 30 days.
INSERT INTO payments_networkceiling (network, declines, window_hours, same_amount, calendar_day, enabled, version) VALUES
  ('visa', 15, 720, false, false, true, 0),
  ('mastercard', 10, 24, false, true, true, 0),
  ('mastercard', 35, 720, true, false, true, 0),
  ('', 15, 720, false, false, true, 0);
