"""The words of mails to staff: what happened, what is asked of them, and the figures. Ids only, no word about the buyer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from contracts.money import Money

from notification.domain import Template
from notification.shown import instant, money
from notification.stories import Notice


class Said(NamedTuple):
    """How a kind of notice is put. `state` stands in the corner of the page, in the colour that `tone` names."""

    subject: str
    state: str
    tone: str
    text: str


_SAID: Mapping[Template, Said] = {
    Template.STAFF_REFUND_FAILED: Said(
        "A refund of {amount} failed",
        "Case",
        "warn",
        "The buyer is owed this amount again and has been told so. Retry the refund, or pay it another way and settle it.",
    ),
    Template.STAFF_APPROVAL: Said(
        "A refund of {amount} awaits approval",
        "Decision",
        "calm",
        "It is above the limit: somebody other than the person who asked for it has to approve it before it is sent.",
    ),
    Template.STAFF_PAYMENT_REVIEW: Said(
        "A payment of {amount} waits for your decision",
        "Decision",
        "warn",
        "Nothing is charged before somebody approves it; rejected, the buyer gets back whatever was taken. The seats are held only as "
        "long as they are for everybody.",
    ),
    Template.STAFF_DISPUTE_OPENED: Said(
        "A payment is disputed: {amount}",
        "Deadline",
        "warn",
        "The buyer's bank asks for the money back. Evidence is accepted until the deadline only. Refunds of this payment wait until the "
        "dispute is closed.",
    ),
    Template.STAFF_DISPUTE_CLOSED: Said("A dispute over {amount} was {outcome}", "Closed", "calm", ""),
    Template.STAFF_CAMPAIGN_STARTED: Said(
        "Refunds for {name} have started",
        "Started",
        "calm",
        "The event is cancelled, and everything that was paid for it goes back. You are written to again at the end.",
    ),
    Template.STAFF_CAMPAIGN_FINISHED: Said("Refunds for {name} are finished", "Finished", "good", ""),
}
_UNMADE = {
    "dispute_lost": "The buyer's bank has given the money back itself: the buyer is owed nothing more for this, and has been told so. "
    "Do not pay it a second time.",
    "not_enough_left": "Less was left of the payment than this refund. The buyer has been told that you look into it: see what went back "
    "before, and refund what is still owed.",
}
"""By the reason of a refund that failed, where the buyer is not owed its amount again."""
_OUTCOMES = {
    "won": "The money stays with you. Refunds that waited for it go on.",
    "lost": "The bank has given the money back to the buyer. Refunds that waited for it are sent as far as their money is still there.",
}


def notice_words(notice: Notice) -> dict[str, Any]:
    """What the page and the text of a notice are filled with; `rows` are labels and values."""
    facts, said = notice.facts, _SAID[notice.template]
    amount = money(Money(**facts["amount"])) if "amount" in facts else ""
    text = _UNMADE.get(facts.get("reason", ""), said.text)
    if notice.template is Template.STAFF_DISPUTE_CLOSED:
        text = _OUTCOMES[facts["outcome"]]
    elif notice.template is Template.STAFF_CAMPAIGN_FINISHED:
        text = (
            f"{_bookings(facts['failed'])} could not be refunded and {'is' if facts['failed'] == 1 else 'are'} left to you."
            if facts["failed"]
            else "Every booking has been refunded. There is nothing left to do."
        )
    words = {"amount": amount, "outcome": facts.get("outcome", ""), "name": facts.get("name", "")}
    subject = said.subject
    for name, value in words.items():
        subject = subject.replace(f"{{{name}}}", value)
    tone = "warn" if facts.get("failed") or facts.get("outcome") == "lost" else said.tone
    return {"subject": subject, "state": said.state, "tone": tone, "text": text, "rows": _rows(notice, amount)}


def _rows(notice: Notice, amount: str) -> list[tuple[str, str]]:
    facts = notice.facts
    rows = [("Amount", amount)] if amount else []
    if "respond_by" in facts:
        by = facts["respond_by"]
        deadline = (
            f"{instant(datetime.fromisoformat(by), notice.zone)}, {notice.zone.key}" if by else "see the provider"
        )
        rows.append(("Evidence until", deadline))
    if "reason" in facts:
        rows.append(("Reason", facts["reason"].replace("_", " ")))
    if "reasons" in facts:
        rows.append(("Why", ", ".join(facts["reasons"]).replace("_", " ")))
    if "had_succeeded" in facts:
        rows.append(("When", "after it had been sent" if facts["had_succeeded"] else "when it was to be sent"))
    if "bookings" in facts:
        rows.append(("To refund", _bookings(facts["bookings"])))
    if "refunded" in facts:
        rows += [("Refunded", _bookings(facts["refunded"])), ("With staff", _bookings(facts["failed"]))]
    rows += [(f"Total {total['currency']}", money(Money(**total))) for total in facts.get("totals", ())]
    ids = {
        "Booking": notice.booking_id,
        "Refund": facts.get("refund_id"),
        "Dispute": facts.get("dispute_id"),
        "Payment": facts.get("payment_id"),
    }
    return rows + [(name, str(value)) for name, value in (ids | {"Event": facts.get("event_id")}).items() if value]


def _bookings(count: int) -> str:
    return f"{count:,} booking{'' if count == 1 else 's'}"
