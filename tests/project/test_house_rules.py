"""Is every house rule kept, and would each notice if it were not?"""

from pathlib import Path

import pytest

from tests.project.house_rules import breaches

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("config", "console", "ledger", "payments", "simulator")
DOC = '"""What is this? A planted file."""\n'
MODULE = "from payments.services import refunds\n"
API, COMMAND = "payments/api/endpoints.py", "payments/management/commands/x.py"
ONE = "from payments.services.refunds import refund_payment\nfrom payments.services.intake import create_payment\n"


def test_the_product_keeps_every_rule() -> None:
    found = [
        breach
        for package in PRODUCT
        for path in sorted((ROOT / package).rglob("*.py"))
        for breach in breaches(str(path.relative_to(ROOT)), path.read_text())
    ]

    assert not found, "\n" + "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("payments/admin/page.py", "def view(payment):\n    payment.save()\n", "writes"),
        ("payments/queries/page.py", "Payment.objects.filter(pk=1).update(state='captured')\n", "writes"),
        ("payments/tasks.py", "Payment.objects.create(amount_minor=1)\n", "writes"),
        ("ledger/queries/balances.py", "Posting.objects.bulk_create([])\n", "writes"),
        ("payments/api/endpoints.py", "with transaction.atomic():\n    pass\n", "writes"),
        ("payments/jobs.py", "@transaction.atomic\ndef enqueue():\n    pass\n", "writes"),
        ("payments/services/refunds.py", "def refund():\n    return timezone.now()\n", "clock"),
        ("payments/decisions/verdict.py", "from datetime import datetime\nx = datetime.now(tz=None)\n", "clock"),
        ("ledger/drafts.py", "import datetime\nx = datetime.date.today()\n", "clock"),
        ("payments/tasks.py", ONE + "def work():\n    create_payment()\n    refund_payment()\n", "one-service"),
        (API, MODULE + "def v():\n    refunds.a()\n    refunds.b()\n", "one-service"),
        (COMMAND, ONE + "def handle(self):\n    if create_payment():\n        refund_payment()\n", "one-service"),
        ("payments/webhooks.py", ONE + "def receive():\n    if a:\n        create_payment()\n    refund_payment()\n", "one-service"),  # noqa: E501
        ("ledger/money.py", "RATE = 0.5\n", "float"),
        ("payments/services/refunds.py", "def half(amount: float) -> None:\n    pass\n", "float"),
        ("payments/services/__init__.py", "x = 1\n", "docstring"),
        ("ledger/queries/long.py", "x = 1\n" * 400, "size"),
        ("ledger/queries/long.py", "def long():\n" + "    x = 1\n" * 50, "size"),
    ],
)  # fmt: skip
def test_a_planted_violation_is_caught(path: str, text: str, rule: str) -> None:
    planted = text if rule == "docstring" else DOC + text

    assert {breach.rule for breach in breaches(path, planted)} == {rule}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("payments/services/refunds.py", "def refund(p):\n    with transaction.atomic():\n        p.save()\n"),
        (
            "payments/tasks.py",
            ONE + "def work():\n    if a:\n        return create_payment()\n    return refund_payment()\n",
        ),
        (
            "payments/tasks.py",
            ONE + "def work():\n    create_payment(timezone.now())\n\ndef more():\n    refund_payment()\n",
        ),
        ("payments/tasks.py", ONE + "def work():\n    return create_payment() if a else refund_payment()\n"),
        ("payments/services/limits.py", "PATIENCE_SECONDS = 0.5\n"),
        ("payments/api/bodies.py", "x = {}\nx.update({'a': 1})\n"),
        ("ledger/money.py", "def check(x):\n    if isinstance(x, bool | float):\n        raise TypeError\n"),
        ("payments/queries/page.py", "def f(rows):\n    rows.create()  # house: writes: an in-memory builder\n"),
    ],
)
def test_what_is_allowed_is_left_alone(path: str, text: str) -> None:
    assert breaches(path, DOC + text) == []


def test_an_excuse_without_a_reason_excuses_nothing() -> None:
    assert len(breaches("payments/queries/page.py", DOC + "rows.create()  # house: writes:\n")) == 1
