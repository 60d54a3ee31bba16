"""What staff do about refunds: ask, approve, decline, try again, settle by hand.

Each verb locks the booking before it looks, so that of two at once the second sees what the first has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from chassis import audit, outbox
from chassis.auth import Principal, Role
from chassis.crypto import Sealer
from chassis.db import Transaction, table
from chassis.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from contracts.money import WHOLE_UNITS_ONLY, Money
from contracts.refund import RefundApproved, RefundSettledManually
from sqlalchemy import RowMapping, select, update

from refund.cases import case_of, given_refunds, lines_at_the_end, move_then, read_booking
from refund.domain import (
    BY_POLICY,
    FOR_CANCELLATION,
    Case,
    Ground,
    IllegalTransition,
    Status,
    Trigger,
    decide,
    next_status,
)
from refund.limits import may_be_repeated, needs_second_person, suggestion
from refund.models import Booking, Refund
from refund.policy import Moved
from refund.reads import SEALED_EVIDENCE, SEALED_NOTE, TRACE, detail_of
from refund.recording import about, count, record_refund
from refund.schemas import Evidence, RefundDetail, RefundRequest
from refund.service import end_of
from refund.shares import Line

WHATEVER_THE_POLICY = frozenset({"duplicate", "event_cancelled"})
"""Reasons that owe the buyer everything."""


class SamePerson(Forbidden):
    """A refund above the limit is decided on by another person than the one who asked for it."""

    def __init__(self, what: str) -> None:
        Problem.__init__(self, f"You asked for this refund yourself: another person has to {what}.")


async def create_refund(
    tx: Transaction, sealer: Sealer, limits_minor: Mapping[str, int], staff: Principal, body: RefundRequest
) -> RefundDetail:
    """Refunds what is asked for, or has a second person asked where it is above the limit.

    Raises NotFound for a booking that refund does not know, Conflict where nothing was paid, less is left, the policy gives less or the
    payment is disputed, Invalid for what could never be refunded, Forbidden for an override without the role.
    """
    if body.override and not staff.has(Role.MANAGER):
        raise Forbidden
    booking, moved = await _paid_booking(tx, body.booking_id)
    given = await given_refunds(tx, booking.booking_id)
    decision = decide(_asked(case_of(booking, Ground.STAFF, tx.now, given), body))
    if not decision.amount_minor:
        raise _too_little(booking, "Nothing is left to refund of this.", "nothing_left")
    if not body.override:
        _check_dispute(booking)
        if body.reason not in WHATEVER_THE_POLICY:
            _check_policy(tx, booking, moved, given, decision.amount_minor)
    is_large = needs_second_person(limits_minor, decision.case.currency, _alone_minor(given) + decision.amount_minor)
    refund = await record_refund(
        tx,
        booking,
        decision,
        reason=body.reason,
        requested_by=staff.subject,
        trigger=Trigger.ASK_SECOND_PERSON if is_large else Trigger.APPROVE,
        note=body.note and sealer.seal(body.note, SEALED_NOTE),
        override=body.override,
    )
    await _audit(tx, staff, "refund.create", refund, status=refund.status, override=body.override)
    return detail_of(refund, sealer, staff)


async def approve_refund(tx: Transaction, sealer: Sealer, staff: Principal, refund_id: UUID) -> RefundDetail:
    """The second person agrees. Raises NotFound, Conflict unless it waits for one or where the policy has given it since, Forbidden for
    the same person.
    """
    refund, booking = await _awaiting(tx, staff, refund_id, Trigger.APPROVE)
    if not refund.override:
        _check_dispute(booking)
        await _check_not_given_since(tx, refund, booking)
    await _move(tx, refund, Trigger.APPROVE, RefundApproved, decided_by=staff.subject)
    await _audit(tx, staff, "refund.approve", refund)
    return detail_of(refund, sealer, staff)


async def decline_refund(tx: Transaction, sealer: Sealer, staff: Principal, refund_id: UUID) -> RefundDetail:
    """The second person refuses: the amount is the booking's again. Nobody outside had heard of it. Raises as `approve_refund`."""
    refund, booking = await _awaiting(tx, staff, refund_id, Trigger.DECLINE)
    await _promise(tx, booking, -refund.amount_minor)
    await _move(tx, refund, Trigger.DECLINE, None, decided_by=staff.subject)
    await _audit(tx, staff, "refund.decline", refund)
    return detail_of(refund, sealer, staff)


async def retry_refund(
    tx: Transaction, sealer: Sealer, limits_minor: Mapping[str, int], staff: Principal, refund_id: UUID
) -> RefundDetail:
    """The same refund once more, after it failed. Where others of the booking have reached the limit since, it is above it now.

    Raises NotFound, Conflict unless it failed and its money is still there, Forbidden for the one who asked for it where it is above.
    """
    refund, booking, given = await _locked(tx, refund_id)
    if refund.status != Status.FAILED:
        raise IllegalTransition(Status(refund.status), Trigger.APPROVE)
    if refund.ground == Ground.OUTSIDE:
        raise _too_little(booking, "It was made at the provider: make a new refund of what is left.", "made_outside")
    _check_dispute(booking)
    _check_still_there(tx, refund, booking, given)
    decided_by = refund.decided_by
    if refund.ground == Ground.STAFF and decided_by is None:
        asked_minor = _alone_minor(given) + refund.amount_minor
        if needs_second_person(limits_minor, refund.currency, asked_minor):
            _check_second(staff, refund, "try it again")
            decided_by = staff.subject
    await _promise(tx, booking, refund.amount_minor)
    await _move(tx, refund, Trigger.APPROVE, RefundApproved, failure=None, decided_by=decided_by)
    await _audit(tx, staff, "refund.retry", refund)
    return detail_of(refund, sealer, staff)


async def settle_refund(
    tx: Transaction, sealer: Sealer, staff: Principal, refund_id: UUID, body: Evidence
) -> RefundDetail:
    """Staff paid the buyer another way. Raises NotFound, Conflict unless it failed or is blocked and its money is still there."""
    if body.paid_at > tx.now:
        raise Invalid("paid_at", "must not lie in the future")
    refund, booking, given = await _locked(tx, refund_id)
    next_status(Status(refund.status), Trigger.SETTLE_MANUALLY)
    if refund.status == Status.FAILED:
        _check_still_there(tx, refund, booking, given)
        await _promise(tx, booking, refund.amount_minor)
    evidence = sealer.seal(body.evidence, SEALED_EVIDENCE)
    await _move(tx, refund, Trigger.SETTLE_MANUALLY, RefundSettledManually, evidence=evidence, paid_at=body.paid_at)
    await _audit(tx, staff, "refund.settle_manually", refund, paid_at=body.paid_at.isoformat())
    return detail_of(refund, sealer, staff)


async def _paid_booking(tx: Transaction, booking_id: UUID) -> tuple[Booking, Moved | None]:
    known = await read_booking(tx, booking_id, for_update=True)
    if known is None:
        raise NotFound("booking")
    booking, moved = known
    if booking.captured_minor is None:
        raise Conflict("Nothing was paid for this booking.", state="unpaid")
    if booking.remaining_minor == 0:
        raise _too_little(booking, "Nothing is left to refund of this booking.", "nothing_left")
    return booking, moved


def _asked(case: Case, body: RefundRequest) -> Case:
    """The case with what staff ask for. Raises Invalid for what the booking never had, Conflict for what is no longer left."""
    if body.amount_minor is not None:
        _check_amount(case, "amount_minor", body.amount_minor, case.paid_minor, case.remaining_minor)
        return replace(case, asked_minor=body.amount_minor)
    if body.lines is None:
        return case
    lines = {line.line_id: line for line in case.lines}
    amounts: dict[UUID, int] = {}
    for index, asked in enumerate(body.lines):
        line = lines.get(asked.line_id)
        if line is None:
            raise Invalid(f"lines.{index}.line_id", "is no ticket of this booking")
        if asked.amount_minor is not None:
            field = f"lines.{index}.amount_minor"
            _check_amount(case, field, asked.amount_minor, line.gross_minor, line.left_minor)
        amounts[asked.line_id] = line.left_minor if asked.amount_minor is None else asked.amount_minor
    if sum(amounts.values()) > case.remaining_minor:
        raise _less_left(Money(case.remaining_minor, case.currency))
    chosen = tuple(line_id for line_id in lines if line_id in amounts)
    return replace(case, line_ids=chosen, asked_lines=tuple(amounts[line_id] for line_id in chosen))


def _check_amount(case: Case, field: str, amount_minor: int, whole_minor: int, left_minor: int) -> None:
    if case.currency in WHOLE_UNITS_ONLY and amount_minor % 100:
        raise Invalid(field, f"must be a multiple of 100 in {case.currency}")
    if amount_minor > whole_minor:
        raise Invalid(field, f"is more than was paid: {Money(whole_minor, case.currency)}")
    if amount_minor > left_minor:
        raise _less_left(Money(left_minor, case.currency))


def _check_policy(
    tx: Transaction, booking: Booking, moved: Moved | None, given: Sequence[RowMapping], asked_minor: int
) -> None:
    """Raises Conflict where a booking is given more than its policy gives as it stands: received now, or when it was cancelled."""
    ground, _, received_at = end_of(booking) or (Ground.POLICY, None, tx.now)
    if ground not in BY_POLICY:
        return
    moved = move_then(booking.cancelled_dates, moved)
    allowed_minor = suggestion(
        case_of(booking, ground, received_at, given, moved=moved, line_ids=lines_at_the_end(booking))
    )
    if asked_minor > allowed_minor:
        allowed = Money(allowed_minor, str(booking.currency))
        raise Conflict(
            f"The policy gives {allowed}: a manager may override it.",
            state="above_policy",
            remaining=Money(booking.remaining_minor, str(booking.currency)),
            allowed=allowed,
        )


async def _check_not_given_since(tx: Transaction, refund: Refund, booking: Booking) -> None:
    """Raises Conflict where the cancellation that the refund is for was decided on since it was asked for: it would be paid twice."""
    if booking.decided_at is None or refund.reason not in FOR_CANCELLATION:
        return
    known = await read_booking(tx, booking.booking_id)
    assert known is not None, "it is locked"
    without, moved = known
    without.promised_minor -= refund.amount_minor
    others = [other for other in await given_refunds(tx, booking.booking_id) if other["id"] != refund.id]
    _check_policy(tx, without, moved, others, refund.amount_minor)


def _check_dispute(booking: Booking) -> None:
    if booking.dispute_id is not None:
        raise _too_little(
            booking, "The buyer's bank disputes this payment, and may give the money back itself.", "disputed"
        )


def _check_still_there(tx: Transaction, refund: Refund, booking: Booking, given: Sequence[RowMapping]) -> None:
    if booking.remaining_minor < refund.amount_minor:
        raise _less_left(Money(booking.remaining_minor, refund.currency))
    lines: Sequence[Line] = case_of(booking, Ground.STAFF, tx.now, given).lines
    if not may_be_repeated(TRACE.validate_python(refund.trace), lines):
        raise _too_little(
            booking, "Other refunds took from the same tickets since: make a new refund of what is left.", "changed"
        )


def _less_left(remaining: Money) -> Conflict:
    return Conflict(f"Only {remaining} is left to refund.", state="less_left", remaining=remaining)


def _too_little(booking: Booking, sentence: str, state: str) -> Conflict:
    return Conflict(sentence, state=state, remaining=Money(booking.remaining_minor, str(booking.currency)))


async def _locked(tx: Transaction, refund_id: UUID) -> tuple[Refund, Booking, Sequence[RowMapping]]:
    """A refund, its booking and what was given of it; the booking is locked first, as everywhere. Raises NotFound."""
    refunds = table(Refund)
    found = await tx.execute(select(refunds.c.booking_id).where(refunds.c.id == refund_id))
    known = await read_booking(tx, booking_id, for_update=True) if (booking_id := found.scalar_one_or_none()) else None
    if known is None:
        raise NotFound("refund")
    row = (await tx.execute(select(refunds).where(refunds.c.id == refund_id).with_for_update())).mappings().one()
    return Refund(**row), known[0], await given_refunds(tx, known[0].booking_id)


async def _awaiting(tx: Transaction, staff: Principal, refund_id: UUID, trigger: Trigger) -> tuple[Refund, Booking]:
    refund, booking, _ = await _locked(tx, refund_id)
    if refund.status != Status.AWAITING_APPROVAL:
        raise IllegalTransition(Status(refund.status), trigger)
    _check_second(staff, refund, "approve or decline it")
    return refund, booking


def _alone_minor(given: Sequence[RowMapping]) -> int:
    """What staff gave of the booking that no second person has decided on."""
    return sum(
        refund["amount_minor"] for refund in given if refund["ground"] == Ground.STAFF and refund["decided_by"] is None
    )


def _check_second(staff: Principal, refund: Refund, what: str) -> None:
    if refund.requested_by == staff.subject:
        raise SamePerson(what)
    if refund.override and not staff.has(Role.MANAGER):
        raise Forbidden


async def _promise(tx: Transaction, booking: Booking, minor: int) -> None:
    bookings = table(Booking)
    await tx.execute(
        update(bookings)
        .where(bookings.c.booking_id == booking.booking_id)
        .values(promised_minor=booking.promised_minor + minor)
    )


async def _move(
    tx: Transaction,
    refund: Refund,
    trigger: Trigger,
    event: type[RefundApproved | RefundSettledManually] | None,
    **changes: Any,
) -> None:
    """Moves the refund on, in the database and as it was read, and tells of it."""
    changes |= {"status": next_status(Status(refund.status), trigger), "updated_at": tx.now}
    if event is not None:
        changes["version"] = refund.version + 1
    for name, value in changes.items():
        setattr(refund, name, value)
    refunds = table(Refund)
    moved = update(refunds).where(refunds.c.id == refund.id).values(changes)
    await tx.execute(moved, alongside=[] if event is None else [outbox.rows(tx, event(**about(refund)))])
    count(tx, Status(refund.status), refund.reason, refund.amount_minor, refund.currency)


async def _audit(tx: Transaction, staff: Principal, action: str, refund: Refund, **more: object) -> None:
    after = {"booking_id": refund.booking_id, "amount_minor": refund.amount_minor, "currency": refund.currency, **more}
    subject, reason = f"refund/{refund.id}", refund.reason
    await audit.record(tx, actor=staff.subject, action=action, subject=subject, reason=reason, after=after)
