"""A made-up world in which nothing differs: rows of the four databases, and what provider, broker, mailbox and CRM show of it.

It holds each kind of ending once: paid and confirmed, free, expired, cancelled with half back, cancelled for nothing, refunded and failed
afterwards, voided since the seats were gone, and disputed after half of it was refunded.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.ids import SystemIds
from contracts.catalogue import CONSUMERS, EVENTS, PUBLISHERS, queue_name
from notification.domain import Template
from notification.payloads import TYPES, type_of
from refund.domain import Case, Ground, decide
from refund.policy import Policy, Tier
from refund.reads import TRACE
from refund.shares import Line

from ops.privileges import in_broker
from ops.verify.records import CrmCall, Intent, Movement, Outside, Provider, ProviderDispute, ProviderRefund, QueueState

PRICE = 5000
FEE = 175
CURRENCY = "EUR"
CRM_URL = "http://127.0.0.1:9"
Row = dict[str, Any]


class Specimen:
    """`tables` are rows by service and table; `outside` is what lies outside; ids of the bookings are kept by their ending."""

    def __init__(self, now: datetime) -> None:
        self.now = now - timedelta(minutes=30)
        self.starts_at = now + timedelta(hours=30)
        self.tables: dict[str, dict[str, list[Row]]] = {service: defaultdict(list) for service in PUBLISHERS}
        self.outside = Outside(
            shown=Provider(livemode=False), vhost="boxoffice", mailbox=Counter(), calls=[], crm_url=CRM_URL
        )
        self.outside.queues = _queues()
        self.outside.permissions = _permissions()
        self._ids = SystemIds()
        self._versions: Counter[UUID] = Counter()
        self._seq = 0
        self.event_id, self.type_id, self.endpoint_id = self.new_id(), self.new_id(), self.new_id()
        self._endpoint()
        self.confirmed = self._paid(cancelled=None)
        self.free = self._booked("confirmed", price=0)
        self.expired = self._expired(seats_gone=False)
        self.half_back = self._paid(cancelled=self.now)
        self.nothing_back = self._paid(cancelled=self.starts_at - timedelta(hours=1))
        self.failed_later = self._paid(cancelled=self.now, fails=True)
        self.seats_gone = self._expired(seats_gone=True)
        self.disputed = self._disputed()
        self._catalogue()
        self._moved()

    def new_id(self) -> UUID:
        """Ids grow, as time does."""
        self.now += timedelta(milliseconds=2)
        return self._ids.uuid7(self.now)

    def add(self, service: str, table: str, **row: Any) -> Row:
        """A row; columns that are not named are NULL."""
        self.tables[service][table].append(row)
        return row

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _tell(self, event_type: str, subject: UUID, booking_id: UUID, body: Mapping[str, Any] | None = None) -> int:
        """An event that was published, consumed by all, and announced to the CRM. Returns its version."""
        event_id, event = self.new_id(), EVENTS[event_type]
        self._versions[subject] += 1
        version = self._versions[subject]
        self.add(
            event.publisher, "outbox", id=event_id, seq=self._next(), type=event_type, subject=subject, version=version,
            occurred_at=self.now, body=json.dumps(body or {}), attempts=0, published_at=self.now,
        )  # fmt: skip
        for service in CONSUMERS[event]:
            self.add(service, "inbox", consumer=queue_name(service, event), event_id=event_id, consumed_at=self.now)
        if type_of(event) in TYPES:
            self._deliver(f"evt_{subject.hex}_{version}", type_of(event), booking_id)
        return version

    def _deliver(self, webhook_id: str, name: str, booking_id: UUID) -> None:
        self.add(
            "notification", "webhook_deliveries", id=self.new_id(), endpoint_id=self.endpoint_id, webhook_id=webhook_id, type=name,
            booking_id=booking_id, body="{}", status="delivered", attempts=1, created_at=self.now, delivered_at=self.now,
        )  # fmt: skip
        assert self.outside.calls is not None, "it was given"
        self.outside.calls.append(CrmCall(webhook_id, verified=True, answered=200))

    def _mail(self, booking_id: UUID, template: Template, cause: str, facts: Mapping[str, Any] | None = None) -> None:
        message_id = f"<{self.new_id()}@boxoffice.example>"
        self.add(
            "notification", "messages", id=self.new_id(), seq=self._next(), booking_id=booking_id, template=template, cause=cause,
            facts=facts or {}, status="sent", message_id=message_id, attempts=1, unsure=0, created_at=self.now, sent_at=self.now,
        )  # fmt: skip
        assert self.outside.mailbox is not None, "it was given"
        self.outside.mailbox[message_id] = 1

    def _booked(self, status: str, price: int = PRICE) -> UUID:
        """A booking of two tickets as it was placed, and as confirmed where `status` says so."""
        booking_id, half = self.new_id(), price // 2
        tickets = [self.new_id(), self.new_id()]
        policy = {"policy_id": "standard", "policy_version": 1, "fee_minor": 0}
        policy |= {"tiers": [{"hours_before": 48, "percent": 100}, {"hours_before": 24, "percent": 50}]}
        for position, ticket in enumerate(tickets):
            self.add(
                "booking", "tickets", id=ticket, booking_id=booking_id, ticket_type_id=self.type_id, position=position, name="Seat",
                gross_minor=half, tax_minor=0, tax_rate_bp=0, code_index=ticket.hex,
            )  # fmt: skip
        lines = [
            {
                "line_id": str(ticket),
                "ticket_type_id": str(self.type_id),
                "name": "Seat",
                "gross_minor": half,
                "tax_minor": 0,
                "tax_rate_bp": 0,
            }
            for ticket in tickets
        ]
        self._tell("booking.placed.v1", booking_id, booking_id)
        booking = self.add(
            "booking", "bookings", id=booking_id, event_id=self.event_id, status=status, version=1, revision=1, event_facts={},
            refund_policy=policy, currency=CURRENCY, total_minor=price, tax_minor=0, contact="sealed", email_index="index",
            issued_tickets="sealed", placed_at=self.now, hold_expires_at=self.now, payment_version=0, refunded_minor=0, given_back={},
            refund_failed_minor=0,
        )  # fmt: skip
        self.add(
            "refund", "bookings", booking_id=booking_id, placed_at=self.now, event_id=self.event_id, starts_at=self.starts_at,
            timezone="Europe/Berlin", total_minor=price, currency=CURRENCY, policy=policy, lines=lines, promised_minor=0,
            unavailable_minor=0,
        )  # fmt: skip
        self.add(
            "notification", "bookings", id=booking_id, event={}, total_minor=price, currency=CURRENCY, policy=policy, contact="sealed",
            version=1, payment_attempted=False, confirmed=False, cancelled=False,
        )  # fmt: skip
        if price == 0:
            self.add("payment", "free_bookings", booking_id=booking_id)
            self._confirm(booking)
        return booking_id

    def _confirm(self, booking: Row) -> None:
        version = self._tell("booking.confirmed.v1", booking["id"], booking["id"])
        booking |= {"version": version, "confirmed_at": self.now}
        self.tables["notification"]["bookings"][-1]["version"] = version
        self._mail(booking["id"], Template.CONFIRMATION, f"booking/{booking['id']}/{version}")

    def _pay(self, booking: Row, status: str, intent_status: str | None) -> Row:
        payment_id = self.new_id()
        ref = f"pi_{payment_id.hex}" if intent_status else None
        payment = self.add(
            "payment", "payments", id=payment_id, booking_id=booking["id"], amount_minor=PRICE, currency=CURRENCY, status=status,
            version=0, wish="collect", booking_version=1, hold_expires_at=self.now, provider="stripe", provider_ref=ref,
            captured_minor=0, reserved_minor=0, refunded_minor=0, clearing_minor=0, withdrawn_minor=0, disputed_minor=0,
            double_return_minor=0, fee_known=False, declines=0, checks=0,
            created_at=self.now, updated_at=self.now,
        )  # fmt: skip
        if ref is not None and intent_status is not None:
            taken = PRICE if intent_status == "succeeded" else 0
            intent = Intent(
                ref, str(payment_id), str(booking["id"]), intent_status, PRICE, taken, CURRENCY, livemode=False,
                charge=f"ch_{payment_id.hex}",
            )  # fmt: skip
            self._shown.intents.append(intent)
            self._webhook(ref)
            payment["version"] = self._tell("payment.authorized.v1", payment_id, booking["id"])
            booking |= {"payment_id": payment_id, "payment_version": 1}
        return payment

    @property
    def _shown(self) -> Provider:
        assert self.outside.shown is not None, "it was given"
        return self.outside.shown

    def _webhook(self, object_ref: str) -> None:
        event_id = f"evt_{self.new_id().hex}"
        self._shown.events.add(event_id)
        self.add(
            "payment", "receipts", id=self.new_id(), provider="stripe", event_id=event_id, type="payment_intent.succeeded",
            object_ref=object_ref, body="\\x7b7d", tries=0, outcome="applied", received_at=self.now, processed_at=self.now,
        )  # fmt: skip

    def _post(
        self, payment: Row, kind: str, source: str, *entries: tuple[str, int], refund_id: UUID | None = None
    ) -> None:
        transaction = self.new_id()
        for account, amount in entries:
            self.add(
                "payment", "ledger_entries", id=self._next(), transaction_id=transaction, kind=kind, source=source, account=account,
                amount_minor=amount, currency=CURRENCY, payment_id=payment["id"], refund_id=refund_id, created_at=self.now,
            )  # fmt: skip

    def _paid(self, *, cancelled: datetime | None, fails: bool = False) -> UUID:
        """Captured and confirmed; then cancelled by the customer at that instant, where one is given."""
        booking_id = self._booked("confirmed" if cancelled is None else "cancelled")
        booking = self.tables["booking"]["bookings"][-1]
        payment = self._pay(booking, "succeeded", "succeeded")
        booking["version"] = self._tell("booking.seats-secured.v1", booking_id, booking_id)
        clearing, ref = f"clearing:{payment['id']}", payment["provider_ref"]
        self._post(payment, "capture_started", str(self.new_id()), (clearing, PRICE), ("revenue", -PRICE))
        self._post(payment, "captured", ref, ("provider:EUR", PRICE), (clearing, -PRICE))
        self._post(payment, "fee", ref, ("provider_fees", FEE), ("provider:EUR", -FEE))
        self._shown.movements.append(
            Movement(f"txn_{ref}", "charge", f"ch_{payment['id'].hex}", PRICE, FEE, CURRENCY, converted=False)
        )
        version = self._tell("payment.succeeded.v1", payment["id"], booking_id)
        payment |= {"captured_minor": PRICE, "fee_known": True, "version": version}
        booking |= {"payment_version": version, "paid_at": self.now}
        self._confirm(booking)
        told = self.tables["refund"]["bookings"][-1]
        told |= {
            "payment_id": payment["id"],
            "captured_minor": PRICE,
            "captured_currency": CURRENCY,
            "confirmed_at": self.now,
        }
        if cancelled is not None:
            self._cancel(booking, told, cancelled)
            self._refund(booking, payment, told, cancelled, fails=fails)
        return booking_id

    def _cancel(self, booking: Row, told: Row, received_at: datetime) -> None:
        version = self._tell("booking.cancelled.v1", booking["id"], booking["id"])
        booking |= {"version": version, "cancelled_by": "customer", "received_at": received_at}
        told |= {"cancelled_by": "customer", "cancelled_was": "confirmed", "cancel_received_at": received_at}
        told["decided_at"] = self.now
        self.tables["notification"]["bookings"][-1]["version"] = version
        self._mail(booking["id"], Template.BOOKING_CANCELLED, f"booking/{booking['id']}/{version}")

    def _refund(self, booking: Row, payment: Row, told: Row, received_at: datetime, *, fails: bool) -> None:
        decision = decide(_case(told, received_at))
        amount, refund_id = decision.amount_minor, self.new_id()
        refund = self.add(
            "refund", "refunds", id=refund_id, booking_id=booking["id"], payment_id=payment["id"], status="declined", amount_minor=amount,
            currency=CURRENCY, reason="customer_cancelled", ground=Ground.POLICY, trace=TRACE.dump_python(decision, mode="json"),
            requested_by="policy", version=1, payment_version=0, created_at=self.now, updated_at=self.now,
        )  # fmt: skip
        if not amount:
            refund["version"] = self._tell("refund.declined.v1", refund_id, booking["id"])
            self._mail(booking["id"], Template.NOTHING_TO_REFUND, f"refund/{refund_id}/1")
            return
        self._tell("refund.approved.v1", refund_id, booking["id"])
        self._execute(booking, payment, refund)
        told["promised_minor"] = amount
        if fails:
            self._return(booking, payment, refund)
            told["promised_minor"] = 0

    def _execute(self, booking: Row, payment: Row, refund: Row) -> None:
        """The provider accepts the refund."""
        refund_id, amount, attempt_id = refund["id"], refund["amount_minor"], self.new_id()
        ref, clearing = f"re_{refund_id.hex}", f"clearing:{refund_id}"
        self.add(
            "payment", "refunds", id=refund_id, payment_id=payment["id"], booking_id=booking["id"], amount_minor=amount, currency=CURRENCY,
            reason="customer_cancelled", status="succeeded", provider_ref=ref, checks=0, created_at=self.now, updated_at=self.now,
        )  # fmt: skip
        self._post(
            payment, "refund_started", str(attempt_id), ("refunds", amount), (clearing, -amount), refund_id=refund_id
        )
        self._post(payment, "refunded", ref, (clearing, amount), ("provider:EUR", -amount), refund_id=refund_id)
        self._shown.refunds.append(
            ProviderRefund(ref, payment["provider_ref"], str(refund_id), str(attempt_id), "succeeded", amount, CURRENCY)
        )
        self._shown.movements.append(Movement(f"txn_{ref}", "refund", ref, -amount, 0, CURRENCY, converted=False))
        payment["refunded_minor"] = booking["refunded_minor"] = amount
        payment["version"] = self._tell("payment.refunded.v1", payment["id"], booking["id"])
        refund |= {"status": "succeeded", "payment_version": payment["version"]}
        refund["version"] = self._tell("refund.completed.v1", refund_id, booking["id"])
        facts = {"amount": {"amount_minor": amount, "currency": CURRENCY}}
        self._mail(booking["id"], Template.REFUND_SENT, f"refund/{refund_id}/2", facts)

    def _return(self, booking: Row, payment: Row, refund: Row) -> None:
        """The bank returns it: it failed after it had succeeded."""
        amount, executed = refund["amount_minor"], self.tables["payment"]["refunds"][-1]
        ref = executed["provider_ref"]
        self._post(
            payment, "refund_reversed", ref, ("provider:EUR", amount), ("refunds", -amount), refund_id=refund["id"]
        )
        shown = self._shown.refunds.pop()
        self._shown.refunds.append(
            ProviderRefund(ref, shown.intent_ref, shown.refund_id, shown.attempt_id, "failed", amount, CURRENCY)
        )
        self._shown.movements.append(
            Movement(f"txn_f{ref}", "refund_failure", ref, amount, 0, CURRENCY, converted=False)
        )
        executed["status"] = "failed"
        payment["refunded_minor"] = booking["refunded_minor"] = 0
        payment["version"] = self._tell("payment.refund-failed.v1", payment["id"], booking["id"])
        refund |= {"status": "failed", "payment_version": payment["version"], "failure": "expired_or_canceled_card"}
        refund["version"] = self._tell("refund.failed.v1", refund["id"], booking["id"])
        facts = {"amount": {"amount_minor": amount, "currency": CURRENCY}}
        self._mail(booking["id"], Template.REFUND_FAILED, f"refund/{refund['id']}/3", facts)
        self._mail(booking["id"], Template.STAFF_REFUND_FAILED, f"refund/{refund['id']}/3", facts)

    def _disputed(self) -> UUID:
        """Half went back, and the bank took all of it: half went back twice, and the row says so."""
        booking_id = self._paid(cancelled=self.now)
        payment, dispute_id = self.tables["payment"]["payments"][-1], self.new_id()
        ref = f"du_{dispute_id.hex}"
        twice = payment["refunded_minor"]
        self.add(
            "payment", "disputes", id=dispute_id, payment_id=payment["id"], booking_id=booking_id, provider_ref=ref, status="open",
            status_since=self.now, reason="fraudulent", amount_minor=PRICE, currency=CURRENCY, withdrawn_minor=PRICE, movements=1,
            revision=1, checks=0, created_at=self.now, updated_at=self.now,
        )  # fmt: skip
        self._post(payment, "dispute_withdrawn", f"txn_{ref}", ("disputes", PRICE), ("provider:EUR", -PRICE))
        self._post(payment, "fee", f"txn_{ref}", ("provider_fees", FEE), ("provider:EUR", -FEE))
        self._shown.disputes.append(
            ProviderDispute(ref, payment["provider_ref"], "needs_response", PRICE, CURRENCY, is_withdrawn=True)
        )
        self._shown.movements.append(Movement(f"txn_{ref}", "adjustment", ref, -PRICE, FEE, CURRENCY, converted=False))
        payment |= {"withdrawn_minor": PRICE, "dispute_id": dispute_id, "double_return_minor": twice}
        payment["version"] = self._tell("payment.dispute-opened.v1", payment["id"], booking_id)
        facts = {"amount": {"amount_minor": PRICE, "currency": CURRENCY}}
        self._mail(booking_id, Template.STAFF_DISPUTE_OPENED, f"payment/{payment['id']}/{payment['version']}", facts)
        return booking_id

    def _expired(self, *, seats_gone: bool) -> UUID:
        """Never paid: the hold lapsed, or a late authorization found no seats and was voided."""
        booking_id = self._booked("expired")
        booking = self.tables["booking"]["bookings"][-1]
        payment = self._pay(booking, "voided", "canceled" if seats_gone else None)
        booking["version"] = self._tell("booking.expired.v1", booking_id, booking_id)
        self.tables["notification"]["bookings"][-1]["version"] = booking["version"]
        why = "seats_unavailable" if seats_gone else "booking_expired"
        if seats_gone:
            booking["version"] = self._tell("booking.seats-unavailable.v1", booking_id, booking_id)
            booking["unavailable_reason"] = "sold_out"
        payment |= {"wish": "release", "release_reason": why}
        payment["version"] = self._tell(
            "payment.voided.v1", payment["id"], booking_id, {"was_authorized": seats_gone, "reason": why}
        )
        if seats_gone:
            self._mail(booking_id, Template.PAYMENT_VOIDED, f"payment/{payment['id']}/{payment['version']}")
        return booking_id

    def _endpoint(self) -> None:
        self.add(
            "notification", "webhook_endpoints", id=self.endpoint_id, url=f"{CRM_URL}/hooks", secret="sealed",  # noqa: S106  # no secret
            event_types=sorted(TYPES), status="active", created_at=self.now - timedelta(days=1),
        )  # fmt: skip

    def _moved(self) -> None:
        """The event is moved in the end, which is told to the bookings that are confirmed."""
        version = self._tell("booking.event-rescheduled.v1", self.event_id, self.event_id)
        for booking_id in (self.confirmed, self.free):
            self._mail(booking_id, Template.EVENT_MOVED, f"booking/{self.event_id}/{version}")

    def _catalogue(self) -> None:
        sold = 2 * sum(booking["status"] == "confirmed" for booking in self.tables["booking"]["bookings"])
        self.add(
            "booking", "ticket_types", id=self.type_id, event_id=self.event_id, position=0, name="Seat", price_minor=PRICE // 2,
            tax_rate_bp=0, capacity=sold, held=0, sold=sold,
        )  # fmt: skip


def _case(told: Row, received_at: datetime) -> Case:
    policy = told["policy"]
    return Case(
        ground=Ground.POLICY,
        currency=CURRENCY,
        paid_minor=PRICE,
        remaining_minor=PRICE,
        lines=tuple(
            Line(UUID(line["line_id"]), line["name"], line["gross_minor"], line["tax_minor"], line["tax_rate_bp"])
            for line in told["lines"]
        ),
        policy=Policy(
            policy["policy_id"],
            policy["policy_version"],
            tuple(Tier(tier["hours_before"], tier["percent"]) for tier in policy["tiers"]),
            policy["fee_minor"],
        ),
        starts_at=told["starts_at"],
        timezone=told["timezone"],
        received_at=received_at,
    )


def _queues() -> list[QueueState]:
    work = [queue_name(service, event) for event, services in CONSUMERS.items() for service in services]
    names = [*work, *(f"{name}.parked" for name in work)]
    return [QueueState(name, 0, 0, {"x-queue-type": "quorum"}) for name in names]


def _permissions() -> list[dict[str, str]]:
    return [{"user": service, "vhost": "boxoffice", **in_broker(service)} for service in PUBLISHERS]
