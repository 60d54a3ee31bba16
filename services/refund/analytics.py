"""Refunds by reason, by the policy's percentage and by day. What was declined gave nothing and is counted nowhere."""

from __future__ import annotations

from typing import Any

from chassis.db import Transaction, table
from chassis.period import Period
from sqlalchemy import BigInteger, ColumnElement, Date, Integer, Select, Text, case, cast, func, literal, select

from refund.domain import BY_POLICY, PAID_BACK, Status
from refund.models import Refund
from refund.schemas import RefundAnalytics, RefundsOfDay, RefundsOfReason, RefundsOfTier

_REFUNDS = table(Refund)
_PERCENT = cast(_REFUNDS.c.trace["percent"].astext, Integer)
_CURRENCY = cast(_REFUNDS.c.currency, Text)
_IS_COMPLETED = _REFUNDS.c.status.in_(PAID_BACK)


async def refunds(tx: Transaction, period: Period) -> RefundAnalytics:
    """By reason and tier: refunds that were asked for in the period. By day: what was asked for and what reached buyers on each."""
    by_reason = await tx.execute(
        _asked(period, _REFUNDS.c.reason.label("reason"))
        .add_columns(_sum(case((_IS_COMPLETED, _REFUNDS.c.amount_minor), else_=0)).label("completed_minor"))
        .group_by(_REFUNDS.c.reason, _CURRENCY)
        .order_by(_REFUNDS.c.reason, _CURRENCY)
    )
    by_tier = await tx.execute(
        _asked(period, _PERCENT.label("percent"))
        .where(_REFUNDS.c.ground.in_(BY_POLICY))
        .group_by(_PERCENT, _CURRENCY)
        .order_by(_PERCENT.desc(), _CURRENCY)
    )
    return RefundAnalytics(
        by_reason=[RefundsOfReason(**row) for row in by_reason.mappings()],
        by_tier=[RefundsOfTier(**row) for row in by_tier.mappings()],
        by_day=await _by_day(tx, period),
    )


def _asked(period: Period, by: ColumnElement[Any]) -> Select[Any]:
    counted = (func.count().label("count"), _sum(_REFUNDS.c.amount_minor).label("amount_minor"))
    asked = (_REFUNDS.c.created_at >= period.begins, _REFUNDS.c.created_at < period.ends)
    return select(by, _CURRENCY.label("currency"), *counted).where(*asked, _REFUNDS.c.status != Status.DECLINED)


async def _by_day(tx: Transaction, period: Period) -> list[RefundsOfDay]:
    """A refund that has reached the buyer keeps the instant at which it did in `updated_at`."""
    requested = _day_sums(period, _REFUNDS.c.created_at, _REFUNDS.c.status != Status.DECLINED)
    completed = _day_sums(period, _REFUNDS.c.updated_at, _IS_COMPLETED)
    asked = {(row.day, row.currency): row.minor for row in await tx.execute(requested)}
    done = {(row.day, row.currency): row.minor for row in await tx.execute(completed)}
    return [
        RefundsOfDay(
            day=day,
            currency=currency,
            requested_minor=asked.get((day, currency), 0),
            completed_minor=done.get((day, currency), 0),
        )
        for day, currency in sorted(asked.keys() | done.keys())
    ]


def _day_sums(period: Period, at: ColumnElement[Any], wanted: ColumnElement[bool]) -> Select[Any]:
    day = cast(func.timezone(literal(period.timezone, Text), at), Date)
    dated = (
        select(day.label("day"), _CURRENCY.label("currency"), _REFUNDS.c.amount_minor)
        .where(at >= period.begins, at < period.ends, wanted)
        .cte("dated")
    )
    sums = _sum(dated.c.amount_minor).label("minor")
    return select(dated.c.day, dated.c.currency, sums).group_by(dated.c.day, dated.c.currency)


def _sum(amount: ColumnElement[Any]) -> ColumnElement[int]:
    return cast(func.sum(amount), BigInteger)
