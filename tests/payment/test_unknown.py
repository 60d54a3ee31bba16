"""No outcome is ever guessed: lost answers, crashes and forgotten keys end in one effect, and in books that say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from contracts.payment import PaymentFailed, PaymentRefunded, PaymentRefundPending, PaymentSucceeded, PaymentVoided
from payment import service
from payment.gateways.stripe import TIMEOUT
from payment.models import LEASE, Payment

from tests.payment.fakes import Died, Mortal
from tests.payment.shop import Shop

LONG_ENOUGH = timedelta(minutes=5)
"""For absence to be proof."""

EFFECT_WITHOUT_ANSWER = ["drop_after", "error_after", "cut_after", "bad_gateway_after"]
NEITHER = ["drop_before", "error_before", "bad_gateway_before", "conflict"]
NOT_RUN = ["rate_limit", "lock_timeout"]


async def advance_to(shop: Shop, payment: Payment, status: str, at_most: int = 4) -> Payment:
    """Steps until the payment has come to `status`."""
    for _ in range(at_most):
        if payment.status == status:
            break
        payment = await shop.advance(payment)
    assert payment.status == status
    return payment


async def one_intent(shop: Shop, payment: Payment) -> dict[str, object]:
    made = await shop.made("payment_id", payment.id)
    assert len(made.get("payment_intent", [])) == 1, made
    return made["payment_intent"][0]


@pytest.mark.parametrize("kind", EFFECT_WITHOUT_ANSWER)
async def test_a_lost_answer_to_the_creation_is_found_by_our_id(still_shop: Shop, kind: str) -> None:
    booking_id = await still_shop.book()
    await still_shop.standin.fault("payment_intents.create", kind)
    answer = await still_shop.start(booking_id)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    payment = await still_shop.payment(booking_id)
    assert payment.status == "unknown"
    payment = await still_shop.advance(payment)
    assert payment.status == "requires_payment_method"
    assert (await one_intent(still_shop, payment))["id"] == payment.provider_ref
    again = await still_shop.start(booking_id)
    assert again.json()["client_secret"].startswith(f"{payment.provider_ref}_secret_")


@pytest.mark.parametrize("kind", [*EFFECT_WITHOUT_ANSWER[:1], *NEITHER, *NOT_RUN])
async def test_asking_again_after_a_lost_answer_uses_the_same_key(still_shop: Shop, kind: str) -> None:
    booking_id = await still_shop.book()
    await still_shop.standin.fault("payment_intents.create", kind)
    assert (await still_shop.start(booking_id)).status_code == 503
    assert (await still_shop.start(booking_id)).status_code == 201
    payment = await still_shop.payment(booking_id)
    await one_intent(still_shop, payment)
    assert len(await still_shop.attempts(payment)) == 1


async def test_absence_is_no_proof_until_the_search_has_had_its_time(still_shop: Shop) -> None:
    """A search that lags shows nothing at first: the payment stays unknown, and nothing new is made."""
    await still_shop.standin.control("PUT", "/limits", {"search_lag_seconds": 60})
    booking_id = await still_shop.book()
    await still_shop.standin.fault("payment_intents.create", "drop_after")
    await still_shop.start(booking_id)
    payment = await still_shop.advance(await still_shop.payment(booking_id))
    assert payment.status == "unknown"
    await still_shop.standin.control("PUT", "/limits", {})
    payment = await still_shop.advance(payment)
    assert payment.status == "requires_payment_method"
    await one_intent(still_shop, payment)


async def test_absence_becomes_proof_and_the_buyer_may_try_anew(still_shop: Shop) -> None:
    booking_id = await still_shop.book()
    await still_shop.standin.fault("payment_intents.create", "drop_before")
    await still_shop.start(booking_id)
    payment = await still_shop.advance(await still_shop.payment(booking_id))
    assert payment.status == "unknown"
    await still_shop.age_attempts(payment, LONG_ENOUGH)
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.next_check_at) == ("created", None)
    assert (await still_shop.start(booking_id)).status_code == 201
    assert [attempt.outcome for attempt in await still_shop.attempts(payment)] == ["absent", "done"]
    await one_intent(still_shop, payment)


@pytest.mark.parametrize(("kind", "made"), [("drop_after", 1), ("drop_before", 0)])
async def test_a_hold_that_ends_while_the_creation_is_unknown(still_shop: Shop, kind: str, made: int) -> None:
    """What exists is canceled; what does not is only closed once that is proved."""
    booking_id = await still_shop.book()
    await still_shop.standin.fault("payment_intents.create", kind)
    await still_shop.start(booking_id)
    await still_shop.expire(booking_id)
    payment = await still_shop.payment(booking_id)
    assert payment.status == "unknown"
    if not made:
        payment = await still_shop.advance(payment)
        assert payment.status == "unknown"
        await still_shop.age_attempts(payment, LONG_ENOUGH)
    payment = await advance_to(still_shop, payment, "voided")
    intents = (await still_shop.made("payment_id", payment.id)).get("payment_intent", [])
    assert [intent["status"] for intent in intents] == ["canceled"] * made
    [voided] = await still_shop.events_of(payment)
    assert isinstance(voided, PaymentVoided)


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
async def test_a_crash_around_the_creation(still_shop: Shop, when: str, made: int) -> None:
    """What was noted before the call is found after it, whether or not the call was made."""
    booking_id = await still_shop.book()
    mortal = Mortal(still_shop.gateway, "authorize", when)  # type: ignore[arg-type]  # parametrized
    with pytest.raises(Died):
        await service.start_payment(still_shop.service.database, mortal, booking_id)
    payment = await still_shop.payment(booking_id)
    assert payment.next_check_at is not None, "nobody would look at it again"
    await still_shop.age_attempts(payment, LONG_ENOUGH)
    payment = await still_shop.advance(payment)
    assert payment.status == ("requires_payment_method" if made else "created")
    assert (await still_shop.start(booking_id)).status_code == 201
    await one_intent(still_shop, payment)


async def test_an_amount_that_cannot_be_charged_ends_the_payment(still_shop: Shop) -> None:
    booking_id = await still_shop.book(amount=10)
    answer = await still_shop.start(booking_id)
    assert (answer.status_code, answer.json()["state"]) == (409, "failed")
    payment = await still_shop.payment(booking_id)
    [failed] = await still_shop.events_of(payment)
    assert isinstance(failed, PaymentFailed)
    assert failed.reason == "amount_not_chargeable"


async def captured_once(shop: Shop, payment: Payment) -> None:
    intent = await one_intent(shop, payment)
    assert intent["status"] == "succeeded"
    events = await shop.events_of(payment)
    assert [type(event).__name__ for event in events] == ["PaymentAuthorized", "PaymentSucceeded"]
    balances = await shop.balances(payment)
    assert balances["revenue"] == -payment.amount_minor
    assert balances["provider:EUR"] + balances["provider_fees"] == payment.amount_minor
    assert f"clearing:{payment.id}" not in balances


@pytest.mark.parametrize("kind", [*EFFECT_WITHOUT_ANSWER, *NEITHER])
async def test_a_lost_answer_to_the_capture(still_shop: Shop, kind: str) -> None:
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", kind)
    payment = await still_shop.advance(payment)
    assert payment.status == "unknown"
    assert (await still_shop.balances(payment))[f"clearing:{payment.id}"] == payment.amount_minor
    payment = await advance_to(still_shop, payment, "succeeded")
    await captured_once(still_shop, payment)
    assert [attempt.operation for attempt in await still_shop.attempts(payment)] == ["create", "capture"]


@pytest.mark.parametrize("kind", NOT_RUN)
async def test_a_capture_that_was_not_run_is_sent_again_with_its_key(still_shop: Shop, kind: str) -> None:
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", kind, count=2)
    payment = await advance_to(still_shop, payment, "succeeded")
    await captured_once(still_shop, payment)
    assert [attempt.operation for attempt in await still_shop.attempts(payment)] == ["create", "capture"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_around_the_capture(still_shop: Shop, when: str) -> None:
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    with pytest.raises(Died):
        await still_shop.advance(payment, Mortal(still_shop.gateway, "capture", when))  # type: ignore[arg-type]  # parametrized
    payment = await still_shop.payment(payment.booking_id)
    assert payment.status == "capturing"
    await still_shop.age_attempts(payment, timedelta(minutes=1))
    payment = await advance_to(still_shop, payment, "succeeded")
    await captured_once(still_shop, payment)


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
async def test_a_key_that_the_provider_has_forgotten_charges_nobody_twice(still_shop: Shop, kind: str) -> None:
    """After 24 hours the key is gone: the provider is looked at before anything is sent again."""
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", kind)
    payment = await still_shop.advance(payment)
    await still_shop.standin.control("POST", "/clock", {"advance_seconds": 25 * 3600})
    await still_shop.age_attempts(payment, timedelta(hours=25))
    payment = await advance_to(still_shop, payment, "succeeded")
    await captured_once(still_shop, payment)
    outcomes = [attempt.outcome for attempt in await still_shop.attempts(payment)]
    assert outcomes == (["done", "done"] if kind == "drop_after" else ["done", "absent", "done"])


async def test_an_authorization_that_the_provider_ended_is_not_captured(still_shop: Shop) -> None:
    """The refused capture ends its attempt; what the provider shows then decides."""
    payment = await still_shop.authorized()
    assert payment.provider_ref is not None
    await still_shop.standin.client.v1.payment_intents.cancel_async(payment.provider_ref)
    await still_shop.secure_seats(payment)
    payment = await advance_to(still_shop, payment, "failed")
    events = await still_shop.events_of(payment)
    assert isinstance(events[-1], PaymentFailed)
    assert events[-1].reason == "canceled_by_provider"
    assert await still_shop.balances(payment) == {}
    assert [attempt.outcome for attempt in await still_shop.attempts(payment)] == ["done", "refused", "moot"]


@pytest.mark.parametrize("kind", [*EFFECT_WITHOUT_ANSWER, *NEITHER, *NOT_RUN])
async def test_a_lost_answer_to_the_release(still_shop: Shop, kind: str) -> None:
    payment = await still_shop.authorized()
    await still_shop.refuse_seats(payment)
    await still_shop.standin.fault("payment_intents.cancel", kind)
    payment = await advance_to(still_shop, payment, "voided")
    assert (await one_intent(still_shop, payment))["status"] == "canceled"
    events = await still_shop.events_of(payment)
    assert [type(event).__name__ for event in events] == ["PaymentAuthorized", "PaymentVoided"]


async def refund_to(shop: Shop, refund_id: UUID, status: str, at_most: int = 4) -> None:
    for _ in range(at_most):
        if (await shop.refund(refund_id)).status == status:
            break
        await shop.advance_refund(refund_id)
    assert (await shop.refund(refund_id)).status == status


async def paid(shop: Shop) -> Payment:
    payment = await shop.authorized()
    await shop.secure_seats(payment)
    return await advance_to(shop, payment, "succeeded")


async def refunded_once(shop: Shop, payment: Payment, refund_id: UUID, amount: int) -> None:
    made = await shop.made("refund_id", refund_id)
    assert [refund["amount"] for refund in made["refund"]] == [amount]
    payment = await shop.payment(payment.booking_id)
    assert (payment.refunded_minor, payment.reserved_minor) == (amount, 0)
    events = await shop.events_of(payment)
    waits = [event.why for event in events if isinstance(event, PaymentRefundPending)]
    assert waits in ([], ["unknown"]), "that it is unknown is told once"
    told = [type(event) for event in events[1:] if not isinstance(event, PaymentRefundPending)]
    assert told == [PaymentSucceeded, PaymentRefunded]
    balances = await shop.balances(payment)
    assert balances["refunds"] == amount
    assert balances["provider:EUR"] + balances["provider_fees"] == payment.amount_minor - amount
    assert f"clearing:{refund_id}" not in balances


@pytest.mark.parametrize("kind", [*EFFECT_WITHOUT_ANSWER, *NEITHER, *NOT_RUN])
async def test_a_lost_answer_to_the_refund(still_shop: Shop, kind: str) -> None:
    """Twice the same amount must never go back."""
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 1500)
    await still_shop.standin.fault("refunds.create", kind)
    refund = await still_shop.advance_refund(refund_id)
    assert refund.status == ("submitted" if kind in NOT_RUN else "unknown")
    await refund_to(still_shop, refund_id, "succeeded")
    await refunded_once(still_shop, payment, refund_id, 1500)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_crash_around_the_refund(still_shop: Shop, when: str) -> None:
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 1500)
    with pytest.raises(Died):
        await still_shop.advance_refund(refund_id, Mortal(still_shop.gateway, "refund", when))  # type: ignore[arg-type]  # parametrized
    assert (await still_shop.refund(refund_id)).next_check_at is not None, "nobody would look at it again"
    await still_shop.age_attempts(payment, timedelta(minutes=1))
    await refund_to(still_shop, refund_id, "succeeded")
    await refunded_once(still_shop, payment, refund_id, 1500)


def test_a_claim_outlasts_one_call_and_a_wait_for_a_lock() -> None:
    """And no more than that: so long does a payment rest whose worker was killed."""
    assert TIMEOUT.total is not None
    assert timedelta(seconds=TIMEOUT.total + 5) == LEASE


@pytest.mark.parametrize("operation", ["fetch", "capture"])
async def test_a_worker_claims_anew_before_each_call(still_shop: Shop, operation: str) -> None:
    """Late to work, or after a first call: nobody else takes the payment up while the provider is asked."""
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", "drop_before")
    assert (await still_shop.advance(payment)).status == "unknown"
    await still_shop.make_due(payment)
    with pytest.raises(Died):
        await still_shop.advance(payment, Mortal(still_shop.gateway, operation, "before"))  # type: ignore[arg-type]  # Mortal passes everything on
    left = await still_shop.payment(payment.booking_id)
    assert left.next_check_at is not None
    assert timedelta(seconds=10) < left.next_check_at - datetime.now(UTC) <= LEASE


@pytest.mark.parametrize("kind", ["drop_after", "drop_before"])
async def test_a_refund_whose_key_is_forgotten_is_made_once(still_shop: Shop, kind: str) -> None:
    payment = await paid(still_shop)
    refund_id = await still_shop.approve_refund(payment, 1500)
    await still_shop.standin.fault("refunds.create", kind)
    await still_shop.advance_refund(refund_id)
    await still_shop.standin.control("POST", "/clock", {"advance_seconds": 25 * 3600})
    await still_shop.age_attempts(payment, timedelta(hours=25))
    await refund_to(still_shop, refund_id, "succeeded")
    await refunded_once(still_shop, payment, refund_id, 1500)


async def test_an_answer_that_cannot_be_read_leaves_the_outcome_open(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", "mutate", remove=["status"])
    payment = await still_shop.advance(payment)
    assert payment.status == "unknown"
    payment = await advance_to(still_shop, payment, "succeeded")
    await captured_once(still_shop, payment)


async def test_a_status_that_nobody_knows_is_unknown_until_it_is_known(still_shop: Shop) -> None:
    payment = await still_shop.started()
    await still_shop.standin.fault("payment_intents.retrieve", "mutate", replace={"status": "requires_luck"})
    await still_shop.sync(payment)
    payment = await still_shop.payment(payment.booking_id)
    assert payment.status == "unknown"
    assert (await still_shop.advance(payment)).status == "requires_payment_method"


@pytest.mark.parametrize(
    ("replace", "doubt"),
    [
        ({"amount": 4999}, "amount"),
        ({"currency": "usd"}, "amount, captured"),
        ({"amount_received": 4999}, "captured"),
        ({"livemode": True}, "livemode"),
        ({"metadata": {"system": "boxoffice", "payment_id": "x", "booking_id": "y"}}, "payment_id, booking_id"),
        ({"metadata": {}}, "system, payment_id, booking_id"),
        ({"id": "pi_somebody_elses"}, "ref"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_object_that_is_not_what_was_asked_for_confirms_nothing(
    still_shop: Shop, replace: dict[str, object], doubt: str
) -> None:
    """A wrong amount, currency, mode, account's object or booking: a person looks at it."""
    payment = await still_shop.authorized()
    await still_shop.secure_seats(payment)
    await still_shop.standin.fault("payment_intents.capture", "mutate", replace=replace)
    payment = await still_shop.advance(payment)
    assert (payment.status, payment.review_reason, payment.captured_minor) == ("in_review", doubt, 0)
    assert not [event for event in await still_shop.events_of(payment) if isinstance(event, PaymentSucceeded)]
    assert (await still_shop.advance(payment)).next_check_at is None
