"""The ledger sums to zero, by its own functions and by the database; and nobody changes what is written."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from contracts.money import EXPONENTS, LARGEST_AMOUNT_MINOR, Money
from hypothesis import given
from hypothesis import strategies as st
from payment import ledger
from payment.models import Payment, Refund

from tests.payment.shop import Shop
from tests.support.service import as_role

AMOUNTS = st.integers(min_value=1, max_value=LARGEST_AMOUNT_MINOR)
CURRENCIES = st.sampled_from(sorted(EXPONENTS))


def a_payment(amount: int, currency: str, clearing: int) -> Payment:
    now = datetime.now(UTC)  # any instant does
    return Payment(
        id=uuid4(),
        booking_id=uuid4(),
        amount_minor=amount,
        currency=currency,
        clearing_minor=clearing,
        booking_version=1,
        hold_expires_at=now,
        provider="stripe",
        status_since=now,
        created_at=now,
        updated_at=now,
    )


def a_refund(payment: Payment, amount: int) -> Refund:
    return Refund(
        id=uuid4(),
        payment_id=payment.id,
        booking_id=payment.booking_id,
        amount_minor=amount,
        currency=payment.currency,
        reason="other",
        status_since=payment.created_at,
        created_at=payment.created_at,
        updated_at=payment.created_at,
    )


@given(AMOUNTS, CURRENCIES, st.data())
def test_every_posting_sums_to_zero_in_its_currency(amount: int, currency: str, data: st.DataObject) -> None:
    payment = a_payment(amount, currency, data.draw(st.sampled_from([0, amount])))
    refund = a_refund(payment, data.draw(st.integers(min_value=1, max_value=amount)))
    for posting in (
        ledger.capture_started(payment, uuid4()),
        ledger.capture_released(payment, "x"),
        ledger.captured(payment, "x", payment.amount),
        ledger.fee("x", Money(data.draw(AMOUNTS), data.draw(CURRENCIES))),
        ledger.refund_started(refund, uuid4()),
        ledger.refund_released(refund, "x"),
        ledger.refunded(refund, "x"),
        ledger.refund_reversed(refund, "x"),
    ):
        sums: dict[str, int] = {}
        for _, entry in posting.entries:
            sums[entry.currency] = sums.get(entry.currency, 0) + entry.amount_minor
        assert set(sums.values()) == {0}


def balances(*postings: ledger.Posting) -> dict[str, int]:
    found: dict[str, int] = {}
    for posting in postings:
        for account, amount in posting.entries:
            found[account] = found.get(account, 0) + amount.amount_minor
    return {account: amount for account, amount in found.items() if amount}


@given(AMOUNTS, CURRENCIES)
def test_what_ends_leaves_nothing_in_clearing(amount: int, currency: str) -> None:
    payment = a_payment(amount, currency, amount)
    refund = a_refund(payment, amount)
    started, back = ledger.capture_started(payment, uuid4()), ledger.refund_started(refund, uuid4())
    provider = f"provider:{currency}"
    assert balances(started, ledger.captured(payment, "x", payment.amount)) == {provider: amount, "revenue": -amount}
    assert balances(started, ledger.capture_released(payment, "x")) == {}
    assert balances(back, ledger.refunded(refund, "x")) == {"refunds": amount, provider: -amount}
    assert balances(back, ledger.refund_released(refund, "x")) == {}
    assert balances(back, ledger.refunded(refund, "x"), ledger.refund_reversed(refund, "x")) == {}
    at_once = a_payment(amount, currency, 0)
    assert balances(ledger.captured(at_once, "x", at_once.amount)) == {provider: amount, "revenue": -amount}


ENTRY = """
    INSERT INTO ledger_entries (transaction_id, kind, source, account, amount_minor, currency, payment_id, created_at)
    VALUES ($1, 'captured', $2, $3, $4, $5, $6, now())
"""


async def app_connection(shop: Shop) -> asyncpg.Connection[asyncpg.Record]:
    """As the service's own role."""
    return await asyncpg.connect(as_role(shop.service.url, "payment").replace("+asyncpg", ""))


async def test_the_database_refuses_what_does_not_sum_to_zero(still_shop: Shop) -> None:
    """At the commit, so that the entries of one transaction may be written one by one."""
    payment = await still_shop.authorized()
    connection = await app_connection(still_shop)
    try:
        for second, ok in ((-99, False), (-100, True)):
            one, posting = connection.transaction(), uuid4()
            await one.start()
            await connection.execute(ENTRY, posting, str(posting), "provider:EUR", 100, "EUR", payment.id)
            await connection.execute(ENTRY, posting, str(posting), "revenue", second, "EUR", payment.id)
            if ok:
                await one.commit()
            else:
                with pytest.raises(asyncpg.CheckViolationError, match="does not sum to zero"):
                    await one.commit()
        with pytest.raises(asyncpg.CheckViolationError, match="does not sum to zero"):
            await connection.execute(ENTRY, uuid4(), "single", "revenue", 5, "EUR", payment.id)
        two, posting = connection.transaction(), uuid4()
        await two.start()
        await connection.execute(ENTRY, posting, str(posting), "provider:EUR", 100, "EUR", payment.id)
        await connection.execute(ENTRY, posting, str(posting), "revenue", -100, "USD", payment.id)
        with pytest.raises(asyncpg.CheckViolationError, match="does not sum to zero"):
            await two.commit()
    finally:
        await connection.close()


async def test_the_same_thing_is_posted_once(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    connection = await app_connection(still_shop)

    async def post() -> None:
        posting = uuid4()
        async with connection.transaction():
            await connection.execute(ENTRY, posting, "pi_twice", "provider:EUR", 100, "EUR", payment.id)
            await connection.execute(ENTRY, posting, "pi_twice", "revenue", -100, "EUR", payment.id)

    try:
        await post()
        with pytest.raises(asyncpg.UniqueViolationError):
            await post()
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ledger_entries SET amount_minor = 1", "DELETE FROM ledger_entries", "TRUNCATE ledger_entries"],
)
async def test_the_service_may_only_add(still_shop: Shop, statement: str) -> None:
    connection = await app_connection(still_shop)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("reserved_minor = 1", "never_refunded_beyond_captured"),
        ("refunded_minor = 1", "never_refunded_beyond_captured"),
        ("captured_minor = amount_minor", "captured_is_succeeded"),
        ("captured_minor = 1, status = 'succeeded'", "payments_check"),
        ("status = 'succeeded'", "captured_is_succeeded"),
        ("status = 'voided', clearing_minor = amount_minor", "clearing_ends_at_zero"),
        ("status = 'paid'", "status"),
        ("wish = 'release'", "release_has_a_reason"),
        ("status = 'in_review'", "review_has_a_reason"),
        ("reserved_minor = -1", "reserved_minor"),
    ],
)
async def test_the_database_holds_the_rules_by_itself(still_shop: Shop, change: str, constraint: str) -> None:
    payment = await still_shop.authorized()
    connection = await app_connection(still_shop)
    try:
        with pytest.raises(asyncpg.CheckViolationError, match=constraint):
            await connection.execute(f"UPDATE payments SET {change} WHERE id = $1", payment.id)  # text of this test
    finally:
        await connection.close()
