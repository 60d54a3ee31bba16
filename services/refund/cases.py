"""From what is written of a booking to the case that refund.domain decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from chassis.db import Transaction, table
from contracts.booking import PolicySnapshot
from sqlalchemy import RowMapping, select

from refund.domain import GIVES_NOTHING, Case, Ground
from refund.models import Booking, Refund
from refund.policy import Policy, Tier
from refund.shares import Line


async def given_refunds(tx: Transaction, booking_id: UUID) -> Sequence[RowMapping]:
    """Status, amount and lines of the booking's refunds that have their amount."""
    refunds = table(Refund)
    given = select(refunds.c.status, refunds.c.amount_minor, refunds.c.trace["lines"].label("lines")).where(
        refunds.c.booking_id == booking_id, refunds.c.status.not_in(GIVES_NOTHING)
    )
    return (await tx.execute(given)).mappings().all()


def case_of(booking: Booking, ground: Ground, received_at: datetime, given: Sequence[RowMapping]) -> Case:
    """The case of a booking that is placed; `given` are its refunds as `given_refunds` reads them."""
    assert booking.starts_at is not None, "a booking is decided on only once it is placed"
    shares = [share for refund in given for share in refund["lines"]]
    return Case(
        ground=ground,
        currency=str(booking.currency),
        paid_minor=booking.captured_minor or 0,
        remaining_minor=booking.remaining_minor,
        lines=tuple(
            _line(line, [share for share in shares if share["line_id"] == line["line_id"]])
            for line in booking.lines or ()
        ),
        policy=policy_of(PolicySnapshot.model_validate(booking.policy)),
        starts_at=booking.starts_at,
        timezone=str(booking.timezone),
        received_at=received_at,
    )


def _line(line: Mapping[str, Any], taken: Sequence[Mapping[str, Any]]) -> Line:
    return Line(
        line_id=UUID(line["line_id"]),
        name=line["name"],
        gross_minor=line["gross_minor"],
        tax_minor=line["tax_minor"],
        tax_rate_bp=line["tax_rate_bp"],
        refunded_minor=sum(share["refund_minor"] for share in taken),
        refunded_tax_minor=sum(share["refund_tax_minor"] for share in taken),
    )


def policy_of(snapshot: PolicySnapshot) -> Policy:
    """The policy as the domain applies it. Raises InvalidPolicy."""
    tiers = tuple(Tier(tier.hours_before, tier.percent) for tier in snapshot.tiers)
    return Policy(snapshot.policy_id, snapshot.policy_version, tiers, snapshot.fee_minor)
