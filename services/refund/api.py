"""Refund's routes. The gateway serves them below /api."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import Holder, Refunder, Staff, holder_of
from chassis.crypto import Sealer
from chassis.db import Tx
from chassis.idempotency import Idempotent
from fastapi import APIRouter, Depends, Query, Request, Response

from refund import reads, service
from refund.domain import Status
from refund.schemas import Quote, RefundDetail, RefundPage, RefundRequest

router = APIRouter(tags=["refunds"])


async def _sealer(request: Request) -> Sealer:
    sealer: Sealer = request.app.state.sealer
    return sealer


Seals = Annotated[Sealer, Depends(_sealer)]


@router.get("/refunds/quote")
async def quote_cancellation(booking_id: UUID, asker: Holder, tx: Tx) -> Quote:
    """What a cancellation of the booking gives if it is received now."""
    holder_of(asker, booking_id)
    return await reads.quote_cancellation(tx, booking_id)


@router.post("/refunds", status_code=201, response_model=RefundDetail)
async def create_refund(body: RefundRequest, staff: Refunder, sealer: Seals, once: Idempotent) -> Response:
    """Refunds all that is left of a booking's payment."""
    return await once(lambda tx: service.create_refund(tx, sealer, staff, body))


@router.get("/refunds")
async def list_refunds(
    _: Staff,
    tx: Tx,
    status: Status | None = None,
    booking_id: UUID | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RefundPage:
    """Refunds, newest first."""
    return await reads.list_refunds(tx, status=status, booking_id=booking_id, cursor=cursor, limit=limit)


@router.get("/refunds/{refund_id}")
async def read_refund(refund_id: UUID, asker: Holder, sealer: Seals, tx: Tx) -> RefundDetail:
    """A refund with the trace of its decision."""
    return await reads.read_refund(tx, sealer, asker, refund_id)
