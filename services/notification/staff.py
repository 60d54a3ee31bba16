"""What only staff are written to about: deadlines, decisions and figures. Ids and amounts; who the buyer is they see where they sign in.

A refund that failed, of which the buyer hears as well, is `service.refund_failed`.
"""

from __future__ import annotations

from chassis.db import Transaction
from contracts.payment import DisputeClosed, DisputeOpened, PaymentHeldForReview
from contracts.refund import RefundAwaitingApproval, RefundCampaignFinished, RefundCampaignStarted

from notification import webhooks
from notification.domain import Template
from notification.outgoing import queue
from notification.payloads import cause


async def refund_awaiting_approval(tx: Transaction, event: RefundAwaitingApproval) -> None:
    """A refund waits for a second person. Nothing goes to the buyer: nothing is decided yet."""
    facts = event.model_dump(mode="json", include={"refund_id", "amount", "reason"})
    await queue(tx, event.booking_id, {Template.STAFF_APPROVAL: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def payment_held(tx: Transaction, event: PaymentHeldForReview) -> None:
    """A payment waits for a decision. The buyer hears of it when it is taken."""
    facts = event.model_dump(mode="json", include={"payment_id", "amount", "reasons"})
    await queue(tx, event.booking_id, {Template.STAFF_PAYMENT_REVIEW: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def dispute_opened(tx: Transaction, event: DisputeOpened) -> None:
    """A deadline. The buyer, who asked the bank for it, hears from the bank."""
    facts = event.model_dump(mode="json", include={"dispute_id", "amount", "reason", "respond_by"})
    await queue(tx, event.booking_id, {Template.STAFF_DISPUTE_OPENED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def dispute_closed(tx: Transaction, event: DisputeClosed) -> None:
    """How a dispute ended."""
    facts = event.model_dump(mode="json", include={"dispute_id", "amount", "outcome"})
    await queue(tx, event.booking_id, {Template.STAFF_DISPUTE_CLOSED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def campaign_started(tx: Transaction, event: RefundCampaignStarted) -> None:
    """How much is about to go back."""
    facts = event.model_dump(mode="json", include={"event_id", "name", "bookings", "totals"})
    await queue(tx, None, {Template.STAFF_CAMPAIGN_STARTED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)


async def campaign_finished(tx: Transaction, event: RefundCampaignFinished) -> None:
    """How much went back, and how many bookings are left to staff."""
    facts = event.model_dump(mode="json", include={"event_id", "name", "refunded", "failed", "totals"})
    await queue(tx, None, {Template.STAFF_CAMPAIGN_FINISHED: facts}, cause=cause(event))
    await webhooks.announce(tx, event)
