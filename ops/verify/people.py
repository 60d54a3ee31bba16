"""V1 to V3: mails and CRM deliveries against what happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from contracts.catalogue import EVENTS, queue_name
from notification.domain import DeliveryStatus, MessageStatus, Template
from notification.payloads import TYPES, type_of

from ops.verify.reading import Consumption
from ops.verify.records import CrmCall, Delivery, Dossier, Endpoint, Message, Terms, Told
from ops.verify.report import Difference, Kind

QUEUEING = timedelta(minutes=15)
"""Longer than all delays between retries of the event that a mail follows from."""

RESEND = "POST /notifications/{id}/resend, once the reason is gone"
MAILED = {
    "booking.confirmed.v1": Template.CONFIRMATION,
    "booking.cancelled.v1": Template.BOOKING_CANCELLED,
    "refund.completed.v1": Template.REFUND_SENT,
    "refund.failed.v1": Template.REFUND_FAILED,
    "refund.declined.v1": Template.NOTHING_TO_REFUND,
}
"""Events that always have a mail. A void has one where the seats were gone, an expiry after a failed attempt."""

ABOUT_BOOKING = frozenset({"booking.placed.v1", "booking.confirmed.v1", "booking.expired.v1", "booking.cancelled.v1"})

MailKey = tuple[str, str]
"""Template and cause."""


def expected_mails(dossier: Dossier) -> tuple[set[MailKey], set[MailKey]]:
    """Mails that must be, and beyond them those that may be: which of two events came first decides on an expiry's."""
    must: set[MailKey] = set()
    may: set[MailKey] = set()
    subjects: list[tuple[UUID, Iterable[Told]]] = [(refund.id, refund.told) for refund in dossier.refunds]
    if dossier.booking is not None:
        subjects.append((dossier.booking.id, dossier.booking.told))
    for subject, told in subjects:
        for event in told:
            if (template := MAILED.get(event.type)) is not None:
                must.add((template, f"{EVENTS[event.type].publisher}/{subject}/{event.version}"))
    if (payment := dossier.payment) is not None:
        for event in payment.told:
            if event.detail == "seats_unavailable":
                must.add((Template.PAYMENT_VOIDED, f"payment/{payment.id}/{event.version}"))
    _add_expiries(dossier, must, may)
    return must, may


def _add_expiries(dossier: Dossier, must: set[MailKey], may: set[MailKey]) -> None:
    if dossier.booking is None or dossier.payment is None:
        return
    attempts_failed = any(event.type == "payment.attempt-failed.v1" for event in dossier.payment.told)
    about = [event for event in dossier.booking.told if event.type in ABOUT_BOOKING]
    for event in about:
        if attempts_failed and event.type == "booking.expired.v1":
            key = (Template.HOLD_EXPIRED, f"booking/{dossier.booking.id}/{event.version}")
            (must if event is about[-1] else may).add(key)


def mails(dossier: Dossier, terms: Terms) -> Iterator[Difference]:
    """V1 and V2 by the rows."""
    if dossier.booking is None or dossier.booking_id < terms.kept_since:
        return
    must, may = expected_mails(dossier)
    found = {(message.template, message.cause): message for message in dossier.messages}
    latest = max(
        (row.updated_at for row in (dossier.payment, *dossier.refunds) if row), default=dossier.booking.placed_at
    )
    latest = max(latest, dossier.booking.received_at or latest, dossier.booking.confirmed_at or latest)
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
        if not cause.startswith("resend/"):
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
        webhook_id = f"evt_{event.subject.hex}_{event.version}"
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
