"""What one transaction changes about a payment that it holds, written as one statement with its events, postings and attempts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from chassis import outbox
from chassis.db import Transaction, table
from chassis.sql import Part
from contracts.event import Event
from contracts.payment import PaymentRefundBlocked, PaymentRefundPending
from sqlalchemy import ARRAY, DateTime, Executable, Uuid, any_, bindparam, case, insert, update

from payment import ledger, metrics, schedule
from payment.dispute_states import disputed_of, double_return
from payment.domain import Release, Status, Step, Trigger, next_status, next_step
from payment.models import CHECKS, REFUND_CHECKS, Attempt, Operation, Outcome, Payment, ProviderAccount, Refund
from payment.refund_states import RefundStatus, RefundTrigger, Waiting, next_refund_status

log = structlog.get_logger(__name__)

FEE_CHECKS_MAX = 5

_ATTEMPTS = table(Attempt)
_ATTEMPT = insert(_ATTEMPTS)
_HAD_EFFECT = _ATTEMPTS.c.operation == any_(bindparam("done", type_=ARRAY(_ATTEMPTS.c.operation.type)))
_CLOSING = (
    update(_ATTEMPTS)
    .where(
        _ATTEMPTS.c.payment_id == bindparam("of_payment", type_=Uuid),
        _ATTEMPTS.c.refund_id.is_(None),
        _ATTEMPTS.c.closed_at.is_(None),
    )
    .values(
        outcome=case((_HAD_EFFECT, Outcome.DONE.value), else_=Outcome.MOOT.value),
        closed_at=bindparam("at", type_=DateTime(timezone=True)),
    )
)
_CLOSING_DONE = _CLOSING.where(_HAD_EFFECT)
_SAVE = update(table(Payment)).where(table(Payment).c.id == bindparam("own", type_=Uuid))
_SAVE_REFUND = update(table(Refund)).where(table(Refund).c.id == bindparam("own", type_=Uuid))
"""Built once, as each payment runs them."""


class Change:
    """Collects changes; the payment shows them at once, the database has them after `save`."""

    def __init__(self, tx: Transaction, payment: Payment) -> None:
        self.tx = tx
        self.payment = payment
        self._values: dict[str, Any] = {}
        self._events: list[Event] = []
        self._before: list[Part] = []
        self._alongside: list[Part] = []

    def set(self, **values: Any) -> None:
        """Columns of the payment."""
        self._values |= values
        for name, value in values.items():
            setattr(self.payment, name, value)

    def move(self, trigger: Trigger) -> bool:
        """The next status; whether it is another one. Raises IllegalTransition."""
        status = next_status(self.payment.status, trigger)
        if status is self.payment.status:
            return False
        self.set(status=status, status_since=self.tx.now)
        self.tx.after_commit(metrics.PAYMENTS.labels(status).inc)
        return True

    def publish(self, event: type[Event], **facts: Any) -> None:
        """An event of the payment, with the next version."""
        self.set(version=self.payment.version + 1)
        common = {
            "version": self.payment.version,
            "occurred_at": self.tx.now,
            "payment_id": self.payment.id,
            "booking_id": self.payment.booking_id,
        }
        self._events.append(event(**common, **facts))

    def post(self, *postings: ledger.Posting) -> None:
        """Postings about the payment."""
        self.alongside(*ledger.entries(self.tx, self.payment.id, *postings))

    def alongside(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> None:
        """A statement that is run together with the payment's own."""
        self._alongside.append(Part(statement, parameters or {}))

    def beforehand(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> None:
        """A statement that is run before the payment's own."""
        self._before.append(Part(statement, parameters or {}))

    def open_attempt(self, operation: Operation, *, sent: bool, refund_id: UUID | None = None) -> Attempt:
        """A new attempt with a new key. `sent`: it is on its way as soon as this is committed."""
        attempt = Attempt(
            id=self.tx.new_id(),
            payment_id=self.payment.id,
            refund_id=refund_id,
            operation=operation,
            sent_at=self.tx.now if sent else None,
            created_at=self.tx.now,
        )
        self.alongside(_ATTEMPT, attempt.model_dump())
        return attempt

    def resend_attempt(self, attempt: Attempt) -> None:
        """The attempt is on its way once more, with the key that it had."""
        attempts = table(Attempt)
        self.alongside(update(attempts).where(attempts.c.id == attempt.id).values(sent_at=self.tx.now))

    def unsend_attempt(self, attempt_id: UUID) -> None:
        """The provider said that it did not run it: the next time nothing need be looked for."""
        attempts = table(Attempt)
        self.alongside(update(attempts).where(attempts.c.id == attempt_id).values(sent_at=None))

    def close_attempt(self, attempt_id: UUID, outcome: Outcome, code: str | None = None) -> None:
        """The attempt has ended: its key is never used again. Written first, since the next one may be opened with the same change."""
        attempts = table(Attempt)
        self.beforehand(
            update(attempts)
            .where(attempts.c.id == attempt_id, attempts.c.closed_at.is_(None))
            .values(outcome=outcome, code=code, closed_at=self.tx.now)
        )

    def close_attempts(self, *done: Operation, others: bool) -> None:
        """What is open about the payment itself has ended: `done` had its effect; with `others` the rest no longer matters."""
        closing = {"of_payment": self.payment.id, "done": list(done), "at": self.tx.now}
        self.alongside(_CLOSING if others else _CLOSING_DONE, closing)

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to save."""
        return bool(self._values or self._alongside or self._before)

    def check_soon(self) -> None:
        """Work on it right after the commit."""
        self.set(next_check_at=CHECKS.soon(self.tx, self.payment.id))

    def check_in(self, delay: timedelta | None) -> None:
        """Work on it later, or never."""
        self.set(next_check_at=None if delay is None else self.tx.now + delay)

    def schedule_check(self) -> None:
        """At once when there is something to do, otherwise when the schedule says."""
        payment = self.payment
        step = next_step(payment.status, payment.wish, has_intent=payment.provider_ref is not None, may_exist=False)
        if payment.status is Status.CAPTURING:
            return  # whoever captures holds the lease
        if step in {Step.CAPTURE, Step.CANCEL} and payment.status is not Status.UNKNOWN and payment.checks == 0:
            self.check_soon()
        elif payment.captured_minor and not payment.fee_known and payment.checks < FEE_CHECKS_MAX:
            self.check_in(schedule.FEE_CHECK_EVERY)
        else:
            hold_is_over = self.tx.now >= payment.hold_expires_at
            self.check_in(schedule.next_check(payment.status, payment.checks, hold_is_over=hold_is_over))

    def count_disputes(self) -> None:
        """What disputes leave to refund follows from what is refunded and reserved: never written by anyone else."""
        payment = self.payment
        if not payment.withdrawn_minor and not payment.disputed_minor and not payment.double_return_minor:
            return
        captured, refunded = payment.captured_minor, payment.refunded_minor
        is_open = payment.dispute_id is not None
        twice = double_return(captured, refunded, payment.withdrawn_minor)
        if twice > payment.double_return_minor:
            log.error("refund and dispute gave back twice", payment_id=str(payment.id), amount_minor=twice)
            self.tx.after_commit(metrics.OVERPAYMENTS.labels("refund_and_dispute").inc)
        self.set(
            disputed_minor=disputed_of(
                captured, refunded, payment.reserved_minor, payment.withdrawn_minor, is_open=is_open
            ),
            double_return_minor=twice,
        )

    async def save(self) -> None:
        """One statement, mostly. A data-modifying CTE runs whether or not the main statement matches: the payment is held, so it does."""
        self.count_disputes()
        for first in self._before:
            await self.tx.execute(*first)
        values = {**self._values, "updated_at": self.tx.now}
        self.payment.updated_at = self.tx.now
        told = [outbox.rows(self.tx, *self._events)] if self._events else []
        await self.tx.execute(_SAVE, {"own": self.payment.id, **values}, alongside=[*self._alongside, *told])


class RefundChange(Change):
    """The same for a payment and one of its refunds."""

    def __init__(self, tx: Transaction, payment: Payment, refund: Refund) -> None:
        super().__init__(tx, payment)
        self.refund = refund
        self._refund_values: dict[str, Any] = {}

    def set_refund(self, **values: Any) -> None:
        """Columns of the refund."""
        self._refund_values |= values
        for name, value in values.items():
            setattr(self.refund, name, value)

    def move_refund(self, trigger: RefundTrigger) -> bool:
        """The refund's next status; whether it is another one. Raises IllegalTransition."""
        status = next_refund_status(self.refund.status, trigger)
        if status is self.refund.status:
            return False
        self.set_refund(status=status, status_since=self.tx.now)
        if status not in {RefundStatus.PENDING, RefundStatus.UNKNOWN}:
            self.set_refund(waits_for=None)
        self.tx.after_commit(metrics.REFUNDS.labels(status).inc)
        return True

    def close_refund_attempt(self, outcome: Outcome) -> None:
        """The refund's open attempt has ended."""
        attempts = table(Attempt)
        is_open = (attempts.c.refund_id == self.refund.id, attempts.c.closed_at.is_(None))
        self.alongside(update(attempts).where(*is_open).values(outcome=outcome, closed_at=self.tx.now))

    def publish_about_refund(self, event: type[Event], **facts: Any) -> None:
        """An event of the payment about its refund, unless nobody knows that there was anything to refund."""
        if self.payment.release_reason is Release.REVIEW_REJECTED:
            return
        self.publish(event, refund_id=self.refund.id, amount=self.refund.amount, **facts)

    def wait_for(self, waits_for: Waiting | None) -> None:
        """What the refund waits for; told once per change. Of one that was made by hand nobody knows before it has succeeded."""
        if self.refund.waits_for is waits_for:
            return
        self.set_refund(waits_for=waits_for)
        if waits_for is not None and not self.refund.is_outside:
            self.publish_about_refund(PaymentRefundPending, why=waits_for)
        if waits_for is Waiting.BALANCE:
            self._read_balance_soon()

    @property
    def is_changed(self) -> bool:
        return bool(self._refund_values) or super().is_changed

    def block_refund(self) -> None:
        """The refund waits for the dispute, which may not be known yet."""
        self.move_refund(RefundTrigger.DISPUTED)
        dispute_id = self.payment.dispute_id
        if dispute_id is None:
            self.set_refund(checks=0)
            self.schedule_refund_check()
        elif dispute_id != self.refund.blocked_by:
            self.set_refund(blocked_by=dispute_id)
            self.publish_about_refund(PaymentRefundBlocked, dispute_id=dispute_id)
            self.check_refund_in(None)

    def _read_balance_soon(self) -> None:
        accounts = table(ProviderAccount)
        at = self.tx.now + schedule.BALANCE_AFTER_A_LACK
        is_later = (accounts.c.provider == self.payment.provider, accounts.c.next_balance_at > at)
        self.alongside(update(accounts).where(*is_later).values(next_balance_at=at))

    def post_about_refund(self, *postings: ledger.Posting) -> None:
        """Postings about the refund."""
        self.alongside(*ledger.entries(self.tx, self.payment.id, *postings, refund_id=self.refund.id))

    def check_refund_soon(self) -> None:
        """Work on the refund right after the commit."""
        self.set_refund(next_check_at=REFUND_CHECKS.soon(self.tx, self.refund.id))

    def check_refund_in(self, delay: timedelta | None) -> None:
        """Work on the refund later, or never."""
        self.set_refund(next_check_at=None if delay is None else self.tx.now + delay)

    def schedule_refund_check(self) -> None:
        """Work on the refund when the schedule says. A failed one that nobody knows of is sent anew: nobody else decides on it."""
        if self.refund.status is RefundStatus.FAILED and not self.refund.is_told:
            self.check_refund_in(schedule.FAILED_RETRY_EVERY)
            return
        self.check_refund_in(schedule.next_refund_check(self.refund.status, self.refund.checks, self.refund.waits_for))

    async def save(self) -> None:
        if self._refund_values:
            changed = {"own": self.refund.id, **self._refund_values, "updated_at": self.tx.now}
            self.alongside(_SAVE_REFUND, changed)
        await super().save()
