"""What the provider shows, applied after a look at whether a person must see the payment first."""

from __future__ import annotations

from chassis.db import Transaction, table
from sqlalchemy import false, func, or_, select

from payment.changes import Change
from payment.domain import YIELDING, Fact, Wish
from payment.fraud import DECLINES_WITHIN, Rules, Signs, detail_of, rules_met
from payment.gateways import Gateway, IntentView
from payment.intents import Held, apply_intent
from payment.models import Decline, Payment


async def apply_look(change: Change, view: IntentView, gateway: Gateway, rules: Rules) -> None:
    """Applies a view; one that shows a new authorization costs one look at the declines of the hour before."""
    held = None
    if _is_new_authorization(change.payment, view):
        signs = await _signs(change.tx, change.payment, view)
        if met := rules_met(rules, signs):
            held = Held(met, detail_of(rules, signs))
    apply_intent(change, view, gateway, held)


def _is_new_authorization(payment: Payment, view: IntentView) -> bool:
    """What booking lets go for good is voided, whoever pays."""
    goes_on = payment.wish is not Wish.RELEASE or payment.release_reason in YIELDING
    return view.fact is Fact.AUTHORIZED and payment.authorized_at is None and goes_on


async def _signs(tx: Transaction, payment: Payment, view: IntentView) -> Signs:
    declines = table(Decline)
    of_booking = declines.c.payment_id == payment.id
    of_card = declines.c.card == view.card if view.card is not None else false()
    found = await tx.execute(
        select(func.count().filter(of_card), func.count().filter(of_booking)).where(
            or_(of_card, of_booking), declines.c.at > tx.now - DECLINES_WITHIN
        )
    )
    by_card, by_booking = found.one()
    return Signs(payment.amount, by_card, by_booking, view.risk_level, view.is_flagged)
