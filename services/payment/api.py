"""Routes of payment: each is one call into a verb."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import Holder, Refunder, Staff, holder_of
from chassis.crypto import Sealer
from chassis.csv_export import CsvResponse
from chassis.db import Database, Tx
from chassis.period import AskedPeriod
from chassis.timeline import Timeline
from fastapi import APIRouter, Depends, Query, Request

from payment import analytics, reads, reviews, service, timeline
from payment.dispute_states import DisputeStatus
from payment.domain import Status
from payment.fraud import ReviewStatus, Rules
from payment.gateways import Gateway
from payment.schemas import (
    Decision,
    DisputePage,
    PaymentAnalytics,
    PaymentCreate,
    PaymentDetail,
    PaymentPage,
    PaymentRead,
    PaymentStarted,
    RefundRead,
    ReviewPage,
    ReviewRead,
)

router = APIRouter(tags=["payments"])


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


async def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def _sealer(request: Request) -> Sealer:
    sealer: Sealer = request.app.state.sealer
    return sealer


async def _rules(request: Request) -> Rules:
    rules: Rules = request.app.state.review_rules
    return rules


Db = Annotated[Database, Depends(_database)]
"""For verbs that call the provider between two transactions of their own."""
Provider = Annotated[Gateway, Depends(_gateway)]
Seals = Annotated[Sealer, Depends(_sealer)]
ReviewRules = Annotated[Rules, Depends(_rules)]


@router.post("/payments", status_code=201)
async def start_payment(
    body: PaymentCreate, holder: Holder, database: Db, gateway: Provider, rules: ReviewRules
) -> PaymentStarted:
    """Asked again, it shows the same payment: there is one for each booking."""
    holder_of(holder, body.booking_id)
    return await service.start_payment(database, gateway, body.booking_id, rules)


@router.get("/payments")
async def list_payments(
    tx: Tx,
    _: Staff,
    booking_id: UUID | None = None,
    status: Status | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> PaymentPage:
    """Newest first."""
    return await reads.list_payments(tx, booking_id, status, cursor, limit)


@router.get("/payments.csv", response_class=CsvResponse)
async def export_payments(
    database: Db, _: Staff, booking_id: UUID | None = None, status: Status | None = None
) -> CsvResponse:
    """The same payments as a file for a spreadsheet, at most 50,000."""
    return await reads.export_payments(database, booking_id, status)


@router.get("/payments/{payment_id}")
async def read_payment(payment_id: UUID, holder: Holder, tx: Tx) -> PaymentDetail:
    """The payment as it is recorded; for staff with its refunds."""
    return await service.read_payment(tx, payment_id, holder)


@router.get("/payments/{payment_id}/timeline")
async def read_payment_timeline(payment_id: UUID, tx: Tx, _: Staff) -> Timeline:
    """What happened to the payment, oldest first."""
    return await timeline.read_timeline(tx, payment_id)


@router.post("/payments/{payment_id}/sync")
async def sync_payment(
    payment_id: UUID, holder: Holder, database: Db, gateway: Provider, rules: ReviewRules
) -> PaymentRead:
    """A hint that something has happened: the provider is asked at once."""
    return await service.sync_payment(database, gateway, payment_id, holder, rules)


@router.post("/payments/{payment_id}/refunds/{refund_id}/retry")
async def retry_payment_refund(payment_id: UUID, refund_id: UUID, asker: Refunder, tx: Tx) -> RefundRead:
    """Sends the failed refund of a rejected payment once more. All others are retried as refunds: `/refunds/{refund_id}/retry`."""
    return await reviews.retry_refund(tx, asker, payment_id, refund_id)


@router.get("/disputes")
async def list_disputes(
    tx: Tx,
    _: Staff,
    status: DisputeStatus | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> DisputePage:
    """Newest first."""
    return await reads.list_disputes(tx, status, cursor, limit)


@router.get("/payment-reviews")
async def list_payment_reviews(
    tx: Tx,
    sealer: Seals,
    _: Staff,
    status: ReviewStatus | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> ReviewPage:
    """Payments that a person looks at or has looked at, newest first."""
    return await reviews.list_reviews(tx, sealer, status, cursor, limit)


@router.post("/payment-reviews/{payment_id}/approve")
async def approve_payment_review(
    payment_id: UUID, body: Decision, asker: Refunder, sealer: Seals, tx: Tx
) -> ReviewRead:
    """Lets the payment go on, as any authorization that comes late does."""
    return await reviews.approve(tx, sealer, asker, payment_id, body)


@router.post("/payment-reviews/{payment_id}/reject")
async def reject_payment_review(payment_id: UUID, body: Decision, asker: Refunder, sealer: Seals, tx: Tx) -> ReviewRead:
    """Ends the payment: the buyer is not charged, or gets back in full what was captured."""
    return await reviews.reject(tx, sealer, asker, payment_id, body)


@router.get("/analytics/payments")
async def analyse_payments(tx: Tx, _: Staff, period: AskedPeriod) -> PaymentAnalytics:
    """Money by day and by event, and what became of checkouts and attempts."""
    return await analytics.payments(tx, period)
