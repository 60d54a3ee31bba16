"""How checkouts end is counted once, so that an objective can be kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from chassis.metrics import REGISTRY
from contracts.money import EXPONENTS, LARGEST_AMOUNT_MINOR, Money
from contracts.payment import PaymentSucceeded
from payment.gateways import DeclineKind
from payment.gateways.stripe_objects import intent_view
from payment.metrics import CHECKOUTS, LARGE_MINOR, captured

from tests.payment.shop import Shop

DECLINED = "pm_card_visa_chargeDeclined"
INTENT = {
    "id": "pi_1",
    "currency": "eur",
    "amount": 5000,
    "status": "requires_payment_method",
    "livemode": False,
    "metadata": {},
}


def checkouts() -> dict[str, float]:
    (family,) = CHECKOUTS.collect()
    return {s.labels["outcome"]: s.value for s in family.samples if s.name == "payment_checkouts_total"}


@contextmanager
def counts(*outcomes: str) -> Iterator[None]:
    """What ended within the block, and nothing else."""
    before = checkouts()
    yield
    assert {outcome for outcome, count in checkouts().items() if count > before[outcome]} == set(outcomes)
    assert sum(checkouts().values()) == sum(before.values()) + len(outcomes)


def declines(by: str) -> float:
    return REGISTRY.get_sample_value("payment_declines_total", {"by": by}) or 0.0


async def test_a_paid_checkout_is_counted_with_its_amount_and_tells_when_the_buyer_confirmed(still_shop: Shop) -> None:
    above = {"currency": "EUR", "le": "10000.0"}
    before = REGISTRY.get_sample_value("payment_captured_minor_bucket", above) or 0.0
    with counts("paid"):
        payment = await still_shop.authorized(7700)
        await still_shop.secure_seats(payment)
        payment = await still_shop.advance(payment)
        await still_shop.sync(payment)
    assert REGISTRY.get_sample_value("payment_captured_minor_bucket", above) == before + 1
    (succeeded,) = await still_shop.told(payment, PaymentSucceeded)
    assert abs((succeeded.occurred_at - succeeded.buyer_confirmed_at).total_seconds()) < 30


def test_a_large_amount_is_one_in_every_currency() -> None:
    """None is out of reach, and none is what a dinner costs: UGX has the smallest, about 200 euros."""
    assert LARGE_MINOR.keys() == EXPONENTS.keys()
    assert max(LARGE_MINOR.values()) < LARGEST_AMOUNT_MINOR
    assert LARGE_MINOR["JPY"] < LARGE_MINOR["HUF"] / 50, "a yen has no hundredths and is worth more than two forints"


async def test_a_large_capture_is_counted_in_its_currency(still_shop: Shop) -> None:
    def large() -> float:
        return REGISTRY.get_sample_value("payment_large_captures_total", {"currency": "EUR"}) or 0.0

    before = large()
    async with still_shop.service.database.transaction() as tx:
        for amount_minor in (499_999, 500_000):
            captured(tx, Money(amount_minor, "EUR"))
    assert large() == before + 1


async def test_a_checkout_is_declined_when_its_last_card_was_and_abandoned_without_one(still_shop: Shop) -> None:
    before = declines("issuer")
    payment = await still_shop.started()
    for _ in range(2):
        await still_shop.confirm(payment, DECLINED)
        await still_shop.sync(payment)
    assert declines("issuer") == before + 2
    with counts("declined"):
        await still_shop.expire(payment.booking_id)
        await still_shop.advance(payment)
    opened = await still_shop.started()
    with counts("abandoned"):
        await still_shop.expire(opened.booking_id)
        await still_shop.advance(opened)
    never_opened = await still_shop.payment(await still_shop.book())
    with counts("abandoned"):
        await still_shop.expire(never_opened.booking_id)
        await still_shop.advance(never_opened)


async def test_a_checkout_that_found_its_seats_gone_is_no_success(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    with counts("seats_gone"):
        await still_shop.refuse_seats(payment)
        await still_shop.advance(payment)


@pytest.mark.parametrize(
    ("error", "outcome", "by"),
    [
        ({"type": "card_error", "code": "card_declined"}, "issuer_declined", DeclineKind.ISSUER),
        ({"type": "card_error", "code": "expired_card"}, None, DeclineKind.ISSUER),
        ({"type": "card_error", "code": "card_declined"}, "blocked", DeclineKind.BLOCKED),
        (
            {"type": "invalid_request_error", "code": "payment_intent_authentication_failure"},
            None,
            DeclineKind.AUTHENTICATION,
        ),
        ({"type": "card_error", "code": "processing_error"}, "issuer_declined", DeclineKind.PROVIDER),
        ({"type": "api_error"}, None, DeclineKind.PROVIDER),
    ],
)
def test_who_said_no_is_read_from_the_provider_s_object(
    error: dict[str, str], outcome: str | None, by: DeclineKind
) -> None:
    charge = {"id": "ch_1", "created": 1_700_000_000, "outcome": {"type": outcome} if outcome else None}
    view = intent_view({**INTENT, "last_payment_error": error, "latest_charge": charge})
    assert view.decline_kind is by
