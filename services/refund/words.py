"""Where a refund stands, in words that its buyer understands, and when a bank shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType

from refund.domain import Status

BANK_DAYS = (5, 10)
"""Business days from the provider's acceptance to the statement (docs.stripe.com/refunds)."""
SATURDAY = 5

_IN_WORK: Mapping[str, str] = MappingProxyType(
    {
        "provider": "The payment provider is working on your refund.",
        "balance": "Your refund waits until our account at the payment provider is filled up again. It is not lost.",
        "customer_action": "The payment provider needs something from you before it can pay; it has sent you a message.",
        "unknown": "The payment provider has not answered yet. We keep asking until we know.",
    }
)
_STATES: Mapping[Status, str] = MappingProxyType(
    {
        Status.AWAITING_APPROVAL: "This refund is being checked by a second person.",
        Status.APPROVED: "Your refund is decided, and is on its way to the payment provider.",
        Status.SUCCEEDED: "The payment provider has accepted your refund. Your bank now puts it on your account or card.",
        Status.FAILED: "Your refund did not reach you: your bank or card refused it. We still owe you the money.",
        Status.DECLINED: "Nothing is refunded for this.",
        Status.BLOCKED_BY_DISPUTE: "Your bank is looking into this payment. Until it has decided, we cannot refund it.",
        Status.SETTLED_MANUALLY: "We have paid you another way.",
    }
)
_DISPUTE_LOST = "Your bank has given this money back to you itself."
_NOT_ENOUGH_LEFT = "Less of your payment was left than this refund. Our staff look into it."
CHOOSE_PAYOUT = (
    "Tell us the account that the money should go to. If it was this payment's card, it may be closed or expired."
)
PAYOUT_CHOSEN = "We have your account details, and pay the money there. There is nothing more that you need to do."
ACT_AT_PROVIDER = "Follow the message of the payment provider."
ASK_THE_BANK = "If it is not there after the last of these days, ask your bank, and then us."


def state_in_words(status: Status, waiting_for: str | None, failure: str | None) -> str:
    """One sentence or two; `failure` and `waiting_for` as the refund keeps them."""
    if status is Status.FAILED and failure == "dispute_lost":
        return _DISPUTE_LOST
    if status is Status.FAILED and failure == "not_enough_left":
        return _NOT_ENOUGH_LEFT
    return _STATES.get(status) or _IN_WORK[waiting_for or "provider"]


def may_choose_payout(status: Status, failure: str | None) -> bool:
    """Whether the buyer may say another way: the money is owed, and the first way did not work."""
    return status is Status.FAILED and failure not in {"dispute_lost", "not_enough_left"}


def advice(status: Status, waiting_for: str | None, failure: str | None, *, payout_chosen: bool) -> str | None:
    """What the buyer should do, if anything."""
    if may_choose_payout(status, failure):
        return PAYOUT_CHOSEN if payout_chosen else CHOOSE_PAYOUT
    if waiting_for == "customer_action":
        return ACT_AT_PROVIDER
    return ASK_THE_BANK if status is Status.SUCCEEDED else None


def expected(accepted: date) -> tuple[date, date]:
    """The first and the last day on which a bank shows what the provider accepted. Public holidays are not counted out."""
    first, last = BANK_DAYS
    return business_days_after(accepted, first), business_days_after(accepted, last)


def business_days_after(day: date, count: int) -> date:
    """The day that is `count` days from Monday to Friday after `day`."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < SATURDAY
    return day
