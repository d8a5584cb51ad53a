"""How does a model of this app declare a machine? By the kit that all apps share."""

from console.machines import enum_choices, move, new_public_id, public_id_field, state_field, states_check

__all__ = ["enum_choices", "move", "new_public_id", "public_id_field", "state_field", "states_check"]
