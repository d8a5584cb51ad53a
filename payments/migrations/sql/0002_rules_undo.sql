DROP TRIGGER movements_are_not_rewritten ON payments_movement;
DROP TRIGGER movements_stay ON payments_movement;
DROP TRIGGER schedule_changes_are_append_only ON payments_schedulechange;
DROP TRIGGER rule_changes_are_append_only ON payments_declinerulechange;
DROP TRIGGER health_events_are_append_only ON payments_healthevent;
DROP TRIGGER transitions_are_append_only ON payments_transition;
DROP FUNCTION payments_keep_movement();
DROP FUNCTION payments_refuse_change();
