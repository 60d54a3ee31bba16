"""Money by day and by event, as the ledger has it, and what became of checkouts and attempts."""

from __future__ import annotations

from typing import Any

from chassis.db import Transaction, table
from chassis.period import Period
from sqlalchemy import BigInteger, ColumnElement, Date, Select, Text, case, cast, func, literal, select, tuple_

from payment import ledger
from payment.domain import Release, Status
from payment.models import Decline, LedgerEntry, Payment
from payment.schemas import Attempts, Checkouts, DeclinesOfCode, MoneyOfDay, MoneyOfEvent, PaymentAnalytics

_ENTRIES, _PAYMENTS, _DECLINES = table(LedgerEntry), table(Payment), table(Decline)
GIVEN_BACK = ("refunded", "refund_reversed", "refund_settled")
"""Kinds of postings by which a buyer has an amount back, or has it no more."""


async def payments(tx: Transaction, period: Period) -> PaymentAnalytics:
    """What was posted in the period, and the payments that were opened in it. What was refunded left us, also another way."""
    rows = (await tx.execute(_posted(period))).all()
    days = sorted((row for row in rows if row.day is not None), key=lambda row: (row.day, row.currency))
    events = sorted(
        (row for row in rows if row.day is None and (row.captured_minor or row.refunded_minor)),
        key=lambda row: (-row.captured_minor, str(row.event_id)),
    )
    return PaymentAnalytics(
        by_day=[
            MoneyOfDay(day=row.day, disputed_minor=row.disputed_minor, **_figures(row))
            for row in days
            if row.captured_minor or row.refunded_minor or row.disputed_minor
        ],
        by_event=[MoneyOfEvent(event_id=row.event_id, **_figures(row)) for row in events],
        checkouts=await _checkouts(tx, period),
        attempts=await _attempts(tx, period),
        declines=await _declines(tx, period),
    )


def _figures(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("currency", "captured_minor", "refunded_minor")}


def _posted(period: Period) -> Select[Any]:
    """Both groupings in one pass over the same entries, so that they add up to the same."""
    account, kind = _ENTRIES.c.account, _ENTRIES.c.kind
    captured = (kind == "captured") & account.startswith(ledger.provider(""))
    refunded = kind.in_(GIVEN_BACK) & ((account == ledger.REFUNDS) | account.startswith("clearing:"))
    posted = (
        select(
            cast(func.timezone(literal(period.timezone, Text), _ENTRIES.c.created_at), Date).label("day"),
            _PAYMENTS.c.event_id,
            cast(_ENTRIES.c.currency, Text).label("currency"),
            *(
                case((is_it, _ENTRIES.c.amount_minor), else_=0).label(name)
                for name, is_it in {
                    "captured_minor": captured,
                    "refunded_minor": refunded,
                    "disputed_minor": account == ledger.DISPUTES,
                }.items()
            ),
        )
        .join(_PAYMENTS, _PAYMENTS.c.id == _ENTRIES.c.payment_id)
        .where(_ENTRIES.c.created_at >= period.begins, _ENTRIES.c.created_at < period.ends)
        .cte("posted")
    )
    sums = [
        cast(func.sum(posted.c[name]), BigInteger).label(name)
        for name in ("captured_minor", "refunded_minor", "disputed_minor")
    ]
    return select(posted.c.day, posted.c.event_id, posted.c.currency, *sums).group_by(
        func.grouping_sets(tuple_(posted.c.day, posted.c.currency), tuple_(posted.c.event_id, posted.c.currency))
    )


async def _checkouts(tx: Transaction, period: Period) -> Checkouts:
    """Abandoned: let go before the buyer had authorized or been declined."""
    status, opened = _PAYMENTS.c.status, _PAYMENTS.c.created_at
    is_rejected = _PAYMENTS.c.release_reason.is_not_distinct_from(Release.REVIEW_REJECTED)
    has_tried = _PAYMENTS.c.authorized_at.is_not(None) | (_PAYMENTS.c.declines > 0)
    outcome = case(
        ((status == Status.SUCCEEDED) & ~is_rejected, "succeeded"),
        (status.in_([Status.SUCCEEDED, Status.FAILED]), "failed"),
        ((status == Status.VOIDED) & has_tried, "failed"),
        (status == Status.VOIDED, "abandoned"),
        else_="open",
    ).label("outcome")
    found = await tx.execute(
        select(outcome, func.count().label("count")).where(*_within(opened, period)).group_by(outcome)
    )
    return Checkouts(**{str(row.outcome): row[1] for row in found})


async def _attempts(tx: Transaction, period: Period) -> Attempts:
    """Of the buyers: an attempt has succeeded when the amount was authorized, or captured at once."""
    succeeded_at = func.coalesce(
        _PAYMENTS.c.authorized_at, case((_PAYMENTS.c.status == Status.SUCCEEDED, _PAYMENTS.c.status_since))
    )
    succeeded = select(func.count()).select_from(_PAYMENTS).where(*_within(succeeded_at, period)).scalar_subquery()
    declined = select(func.count()).select_from(_DECLINES).where(*_within(_DECLINES.c.at, period)).scalar_subquery()
    row = (await tx.execute(select(succeeded.label("succeeded"), declined.label("declined")))).one()
    return Attempts(succeeded=row.succeeded, declined=row.declined)


async def _declines(tx: Transaction, period: Period) -> list[DeclinesOfCode]:
    count = func.count().label("count")
    found = await tx.execute(
        select(_DECLINES.c.code, count)
        .where(*_within(_DECLINES.c.at, period))
        .group_by(_DECLINES.c.code)
        .order_by(count.desc(), _DECLINES.c.code)
    )
    return [DeclinesOfCode(code=code, count=number) for code, number in found]


def _within(at: ColumnElement[Any], period: Period) -> tuple[ColumnElement[bool], ...]:
    return at >= period.begins, at < period.ends
