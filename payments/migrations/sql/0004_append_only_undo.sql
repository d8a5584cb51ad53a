DROP TRIGGER movements_are_not_rewritten ON payments_movement;
DROP TRIGGER movements_stay ON payments_movement;
DROP TRIGGER transitions_are_append_only ON payments_transition;
DROP FUNCTION payments_keep_movement();
DROP FUNCTION payments_refuse_change();
