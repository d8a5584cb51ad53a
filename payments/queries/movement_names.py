"""Which movement is meant by a row number, and whose payment is it? For apps that keep the number alone. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection

from payments.models import Movement


def movements_named(ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Public id of each movement and of its payment (empty: of none), by row. One query."""
    rows = Movement.objects.filter(pk__in=ids).values_list("pk", "public_id", "payment__public_id")
    return {pk: (public_id, payment or "") for pk, public_id, payment in rows}
