"""V1 to V3: mails and CRM deliveries against what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

from contracts.catalogue import EVENTS, queue_name
from notification.domain import DeliveryStatus, MessageStatus, Template
from notification.payloads import TYPES, type_of, webhook_id_of

from ops.verify.reading import Consumption
from ops.verify.records import CrmCall, Delivery, Dossier, Endpoint, EventMove, Message, Terms, Told
from ops.verify.report import Difference, Kind

QUEUEING = timedelta(minutes=15)
"""Longer than all delays between retries of the event that a mail follows from."""

REJECTED = "rejected_in_review"
RESEND = "POST /notifications/{id}/resend, once the reason is gone"
MAILED = {
    "booking.confirmed.v1": (Template.CONFIRMATION,),
    "booking.tickets-cancelled.v1": (Template.TICKETS_CANCELLED,),
    "booking.cancelled.v1": (Template.BOOKING_CANCELLED,),
    "payment.held-for-review.v1": (Template.STAFF_PAYMENT_REVIEW,),
    "payment.dispute-opened.v1": (Template.STAFF_DISPUTE_OPENED,),
    "payment.dispute-closed.v1": (Template.STAFF_DISPUTE_CLOSED,),
    "refund.awaiting-approval.v1": (Template.STAFF_APPROVAL,),
    "refund.completed.v1": (Template.REFUND_SENT,),
    "refund.failed.v1": (Template.REFUND_FAILED, Template.STAFF_REFUND_FAILED),
    "refund.settled-manually.v1": (Template.REFUND_SETTLED,),
    "refund.declined.v1": (Template.NOTHING_TO_REFUND,),
}
"""Events that always have mails. A void has one where the seats were gone, an expiry after a failed attempt, a move for each booking that
was confirmed before it. Mails to staff are rows also where no address of theirs is set.
"""

ABOUT_BOOKING = frozenset(
    {
        "booking.placed.v1",
        "booking.confirmed.v1",
        "booking.tickets-cancelled.v1",
        "booking.expired.v1",
        "booking.cancelled.v1",
    }
)

MailKey = tuple[str, str]
"""Template and cause."""

Moves = Mapping[UUID, Sequence[EventMove]]
"""By the event that was moved, in the order of their versions."""


def moves_of(rows: Iterable[EventMove]) -> Moves:
    """Rows as checks look them up."""
    found: dict[UUID, list[EventMove]] = {}
    for row in rows:
        found.setdefault(row.event_id, []).append(row)
    return found


def expected_mails(dossier: Dossier, moves: Sequence[EventMove] = ()) -> tuple[set[MailKey], set[MailKey]]:
    """Mails that must be, and beyond them those that may be: which of two events came first decides on an expiry's and a move's."""
    must: set[MailKey] = set()
    may: set[MailKey] = set()
    subjects: list[tuple[UUID, Iterable[Told]]] = [(refund.id, refund.told) for refund in dossier.refunds]
    if dossier.booking is not None:
        subjects.append((dossier.booking.id, dossier.booking.told))
    if dossier.payment is not None:
        subjects.append((dossier.payment.id, dossier.payment.told))
    for subject, told in subjects:
        for event in told:
            cause = f"{EVENTS[event.type].publisher}/{subject}/{event.version}"
            must |= {(template, cause) for template in MAILED.get(event.type, ())}
    if (payment := dossier.payment) is not None:
        for event in payment.told:
            if event.detail == "seats_unavailable":
                must.add((Template.PAYMENT_VOIDED, f"payment/{payment.id}/{event.version}"))
            elif event.detail == REJECTED:
                must.add((Template.PAYMENT_REJECTED, f"payment/{payment.id}/{event.version}"))
    _add_expiries(dossier, must, may)
    _add_moves(dossier, moves, must, may)
    return must, may


def _is_survey(dossier: Dossier, message: Message) -> bool:
    """Whether a mail asks about what there was: the event of a booking that was confirmed, or a refund that the provider accepted."""
    if message.template == Template.SURVEY_EVENT:
        return dossier.booking is not None and dossier.booking.confirmed_at is not None
    return message.template == Template.SURVEY_REFUND and any(
        event.type == "refund.completed.v1" for refund in dossier.refunds for event in refund.told
    )


def _add_moves(dossier: Dossier, moves: Sequence[EventMove], must: set[MailKey], may: set[MailKey]) -> None:
    """The newest move is owed to a booking that was confirmed before it and still is. All others depend on what was seen first."""
    booking = dossier.booking
    if booking is None or booking.confirmed_at is None:
        return
    for move in moves:
        key = (Template.EVENT_MOVED, f"booking/{move.event_id}/{move.version}")
        owed = move is moves[-1] and booking.status == "confirmed" and booking.confirmed_at < move.occurred_at
        (must if owed else may).add(key)


def _add_expiries(dossier: Dossier, must: set[MailKey], may: set[MailKey]) -> None:
    if dossier.booking is None or dossier.payment is None:
        return
    attempts_failed = any(event.type == "payment.attempt-failed.v1" for event in dossier.payment.told)
    about = [event for event in dossier.booking.told if event.type in ABOUT_BOOKING]
    for event in about:
        if attempts_failed and event.type == "booking.expired.v1":
            key = (Template.HOLD_EXPIRED, f"booking/{dossier.booking.id}/{event.version}")
            (must if event is about[-1] else may).add(key)


def mails(dossier: Dossier, terms: Terms, moves: Moves = MappingProxyType({})) -> Iterator[Difference]:
    """V1 and V2 by the rows."""
    if dossier.booking is None or dossier.booking_id < terms.kept_since:
        return
    moved = moves.get(dossier.booking.event_id, ())
    must, may = expected_mails(dossier, moved)
    found = {(message.template, message.cause): message for message in dossier.messages}
    latest = max(
        (row.updated_at for row in (dossier.payment, *dossier.refunds) if row), default=dossier.booking.placed_at
    )
    latest = max(latest, dossier.booking.received_at or latest, dossier.booking.confirmed_at or latest)
    latest = max([latest, *(move.occurred_at for move in moved)])
    for template, cause in sorted(must - found.keys()):
        if terms.due(latest, QUEUEING):
            yield Difference(
                "V1",
                Kind.MAIL_MISSING,
                f"mail/{cause}",
                template,
                f"no row, {dossier.name}",
                "boxoffice republish",
                latest,
            )
    for template, cause in sorted(found.keys() - must - may):
        if not cause.startswith("resend/") and not _is_survey(dossier, found[template, cause]):
            yield Difference(
                "V2", Kind.MAIL_UNFOUNDED, f"mail/{cause}", "a transition", f"none, yet {template}", "open a case"
            )
    for message in dossier.messages:
        yield from _same_amount(message, dossier)
        if message.status == MessageStatus.FAILED:
            yield Difference(
                "V1", Kind.MAIL_MISSING, f"mail/{message.id}", "sent", "given up", RESEND, message.created_at
            )
        elif message.status == MessageStatus.QUEUED and terms.settled:
            yield Difference("V1", Kind.STUCK, f"mail/{message.id}", "sent", "queued", "see notification's log")


def _same_amount(message: Message, dossier: Dossier) -> Iterator[Difference]:
    refund = next((r for r in dossier.refunds if message.cause.startswith(f"refund/{r.id}/")), None)
    amount = message.facts.get("amount")
    if refund is not None and amount is not None:
        facts = {"amount_minor": refund.amount_minor, "currency": refund.currency}
        if amount != facts:
            yield Difference(
                "V1", Kind.AMOUNT, f"mail/{message.id}", str(facts), str(amount), "open a case: tell the customer"
            )


class Mailbox:
    """Takes dossiers one after the other, and compares their mails with what was delivered: copies by Message-ID."""

    def __init__(self, copies: Counter[str]) -> None:
        self._copies = copies
        self._known: set[str] = set()

    def dossier(self, dossier: Dossier) -> Iterator[Difference]:
        """V1: each sent mail is there once; copies only where the fate of an attempt was unknown."""
        for message in dossier.messages:
            if message.message_id is None:
                continue
            self._known.add(message.message_id)
            copies = self._copies[message.message_id]
            subject = f"mail/{message.id}"
            if not copies and message.status == MessageStatus.SENT:
                yield Difference("V1", Kind.MAIL_MISSING, subject, "a mail in the mailbox", "none", RESEND)
            if copies > message.attempts:
                found = f"{copies} copies"
                yield Difference(
                    "V1", Kind.MAIL_DUPLICATE, subject, f"at most {message.attempts}, one an attempt", found, "none"
                )

    def to_staff(self, messages: Iterable[Message]) -> None:
        """Takes the mails that are about no booking."""
        self._known.update(message.message_id for message in messages if message.message_id is not None)

    def rest(self) -> Iterator[Difference]:
        """V2: nothing was delivered that no row speaks of."""
        for message_id in self._copies.keys() - self._known:
            yield Difference("V2", Kind.MAIL_UNFOUNDED, message_id, "a row in notification", "none", "open a case")


class Announcements:
    """V3: events against what is owed to each endpoint."""

    def __init__(self, endpoints: Iterable[Endpoint], deliveries: Iterable[Delivery]) -> None:
        self._active = [endpoint for endpoint in endpoints if endpoint.status == "active"]
        self.deliveries = list(deliveries)
        self._owed = {(delivery.endpoint_id, delivery.webhook_id) for delivery in self.deliveries}

    def event(self, row: Consumption, _terms: Terms) -> Iterator[Difference]:
        """What notification has consumed since an endpoint was registered is owed to it."""
        if not row.events or (event := row.events[0]).type not in EVENTS:
            return
        contract = EVENTS[event.type]
        if (name := type_of(contract)) not in TYPES or queue_name("notification", contract) not in row.consumers:
            return
        webhook_id = webhook_id_of(contract, event.subject, event.version)
        for endpoint in self._active:
            wants = name in endpoint.event_types and event.occurred_at > endpoint.created_at
            if wants and (endpoint.id, webhook_id) not in self._owed:
                subject = f"webhook/{endpoint.id}/{webhook_id}"
                yield Difference("V3", Kind.CRM_MISSING, subject, f"{name} owed", "no delivery", "open a case")

    def settled(self, terms: Terms) -> Iterator[Difference]:
        """In settled mode nothing is still owed."""
        for delivery in self.deliveries if terms.settled else ():
            if delivery.status == DeliveryStatus.PENDING:
                subject = f"webhook/{delivery.endpoint_id}/{delivery.webhook_id}"
                yield Difference("V3", Kind.STUCK, subject, "delivered", "pending", "see whether the CRM answers")


def crm(
    endpoints: Iterable[Endpoint], deliveries: Iterable[Delivery], calls: Iterable[CrmCall], url: str
) -> Iterator[Difference]:
    """V3 at the receiver below `url`: what was delivered there is there under its id."""
    there = {endpoint.id for endpoint in endpoints if endpoint.url.startswith(url)}
    verified = {call.webhook_id for call in calls if call.verified}
    for delivery in deliveries:
        is_done = delivery.status == DeliveryStatus.DELIVERED and delivery.endpoint_id in there
        if is_done and delivery.webhook_id not in verified:
            subject = f"webhook/{delivery.endpoint_id}/{delivery.webhook_id}"
            yield Difference("V3", Kind.CRM_MISSING, subject, "a call at the CRM", "none", "POST …/redeliver")
