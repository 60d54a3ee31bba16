"""Refund's routes. The gateway serves them below /api."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs, quote
from uuid import UUID

from chassis.auth import Auth, Holder, Manager, Principal, Refunder, Staff, holder_of
from chassis.crypto import Sealer
from chassis.csv_export import CsvResponse
from chassis.db import Database, Tx
from chassis.errors import NotFound, Problem, Unauthorized
from chassis.idempotency import Idempotent
from chassis.period import AskedPeriod
from chassis.timeline import Timeline
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from refund import analytics, lists, page, policies, reads, staff, status, timeline
from refund.domain import Status
from refund.schemas import (
    Evidence,
    MoneyStatus,
    PayoutDetails,
    PolicyDraft,
    PolicyHistory,
    PolicyRead,
    Quote,
    RefundAnalytics,
    RefundDetail,
    RefundPage,
    RefundRequest,
    RefundStep,
)

router = APIRouter(tags=["refunds"])
FORM_FIELDS_MAX = 10
PolicyId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]


async def _sealer(request: Request) -> Sealer:
    sealer: Sealer = request.app.state.sealer
    return sealer


async def _limits(request: Request) -> Mapping[str, int]:
    limits: Mapping[str, int] = request.app.state.approval_above_minor
    return limits


async def _linked(request: Request, token: str) -> Principal:
    """The holder whose token is in a link. Raises Unauthorized, also for a token of staff."""
    auth: Auth = request.app.state.auth
    principal = await auth.principal(token)
    if principal.booking_id is None:
        raise Unauthorized
    return principal


Seals = Annotated[Sealer, Depends(_sealer)]
Limits = Annotated[Mapping[str, int], Depends(_limits)]


@router.get("/refunds/quote")
async def quote_cancellation(
    booking_id: UUID, asker: Holder, tx: Tx, line_ids: Annotated[list[UUID] | None, Query(max_length=100)] = None
) -> Quote:
    """What a cancellation of the booking, or of some of its tickets, gives if it is received now."""
    holder_of(asker, booking_id)
    return await reads.quote_cancellation(tx, booking_id, line_ids)


@router.get("/refunds/status")
async def read_status(booking_id: UUID, asker: Holder, tx: Tx) -> MoneyStatus:
    """Where the money of a booking is, in plain words."""
    holder_of(asker, booking_id)
    return await status.read_status(tx, booking_id)


@router.get("/refunds/status.html", response_class=HTMLResponse)
async def show_status(token: str, request: Request, tx: Tx) -> HTMLResponse:
    """The same as a page, behind a link that holds the booking's token."""
    return await _status_page(request, tx, token)


@router.post("/refunds/{refund_id}/payout-details.html", response_class=HTMLResponse, include_in_schema=False)
async def choose_payout_on_page(refund_id: UUID, token: str, request: Request, sealer: Seals, tx: Tx) -> Response:
    """The form of that page."""
    try:
        fields = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        return await _status_page(request, tx, token, f"The form may have at most {FORM_FIELDS_MAX} fields.")
    try:
        details = PayoutDetails.model_validate({name: values[-1] for name, values in fields.items()})
        await status.choose_payout(tx, sealer, await _linked(request, token), refund_id, details)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
            for found in error.errors(include_input=False)
        )
        return await _status_page(request, tx, token, wrong)
    except Problem as problem:
        return await _status_page(request, tx, token, problem.detail)
    return RedirectResponse(f"../status.html?token={quote(token)}", 303, page.HEADERS)


async def _status_page(request: Request, tx: Tx, token: str, wrong: str | None = None) -> HTMLResponse:
    try:
        holder = await _linked(request, token)
        assert holder.booking_id is not None, "a link is a booking's"
        found = await status.read_status(tx, holder.booking_id)
    except (Unauthorized, NotFound) as refused:
        return HTMLResponse(page.render_refusal(), refused.status, page.HEADERS)
    return HTMLResponse(page.render_status(found, token, wrong), 422 if wrong else 200, page.HEADERS)


@router.post("/refunds/{refund_id}/payout-details")
async def choose_payout(refund_id: UUID, body: PayoutDetails, holder: Holder, sealer: Seals, tx: Tx) -> RefundStep:
    """Another way in which the holder wants the money of a refund that did not arrive."""
    return await status.choose_payout(tx, sealer, holder, refund_id, body)


@router.post("/refunds", status_code=201, response_model=RefundDetail)
async def create_refund(
    body: RefundRequest, asker: Refunder, sealer: Seals, limits: Limits, once: Idempotent
) -> Response:
    """Refunds an amount, or of some tickets, or all that is left of a booking's payment."""
    return await once(lambda tx: staff.create_refund(tx, sealer, limits, asker, body))


@router.post("/refunds/{refund_id}/approve")
async def approve_refund(refund_id: UUID, asker: Refunder, sealer: Seals, tx: Tx) -> RefundDetail:
    """A second person lets a refund above the limit go."""
    return await staff.approve_refund(tx, sealer, asker, refund_id)


@router.post("/refunds/{refund_id}/decline")
async def decline_refund(refund_id: UUID, asker: Refunder, sealer: Seals, tx: Tx) -> RefundDetail:
    """A second person refuses it."""
    return await staff.decline_refund(tx, sealer, asker, refund_id)


@router.post("/refunds/{refund_id}/retry")
async def retry_refund(refund_id: UUID, asker: Refunder, sealer: Seals, limits: Limits, tx: Tx) -> RefundDetail:
    """The same refund once more, after it failed; by another person where it is above the limit now."""
    return await staff.retry_refund(tx, sealer, limits, asker, refund_id)


@router.post("/refunds/{refund_id}/settle-manually")
async def settle_refund(refund_id: UUID, body: Evidence, asker: Manager, sealer: Seals, tx: Tx) -> RefundDetail:
    """Staff paid the buyer another way."""
    return await staff.settle_refund(tx, sealer, asker, refund_id, body)


async def _filtered(
    status: Annotated[list[Status] | None, Query(max_length=len(Status))] = None,
    booking_id: UUID | None = None,
    event_id: UUID | None = None,
) -> lists.Filters:
    return lists.Filters(tuple(status or ()), booking_id, event_id)


Filtered = Annotated[lists.Filters, Depends(_filtered)]


@router.get("/refunds")
async def list_refunds(
    _: Staff,
    tx: Tx,
    filters: Filtered,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RefundPage:
    """Refunds in any of the statuses, newest first. Those that failed are the work list of staff."""
    return await lists.list_refunds(tx, filters, cursor, limit)


@router.get("/refunds.csv", response_class=CsvResponse)
async def export_refunds(_: Staff, request: Request, filters: Filtered) -> CsvResponse:
    """The same refunds as a file for a spreadsheet, at most 50,000."""
    database: Database = request.app.state.database
    return await lists.export_refunds(database, filters)


@router.get("/analytics/refunds")
async def analyse_refunds(tx: Tx, _: Staff, period: AskedPeriod) -> RefundAnalytics:
    """Refunds by reason, by the policy's percentage and by day."""
    return await analytics.refunds(tx, period)


@router.get("/refunds/{refund_id}")
async def read_refund(refund_id: UUID, asker: Holder, sealer: Seals, tx: Tx) -> RefundDetail:
    """A refund with the trace of its decision."""
    return await reads.read_refund(tx, sealer, asker, refund_id)


@router.get("/refunds/{refund_id}/timeline")
async def read_refund_timeline(refund_id: UUID, tx: Tx, _: Staff) -> Timeline:
    """What happened to the refund, oldest first."""
    return await timeline.read_timeline(tx, refund_id)


@router.get("/refund-policies/{policy_id}")
async def read_policy(policy_id: PolicyId, _: Staff, tx: Tx) -> PolicyHistory:
    """A policy with all its versions."""
    return await policies.read_policy(tx, policy_id)


@router.put("/refund-policies/{policy_id}")
async def put_policy(policy_id: PolicyId, body: PolicyDraft, asker: Manager, tx: Tx) -> PolicyRead:
    """A new version of a policy. What was sold keeps the version that was frozen on it."""
    return await policies.put_policy(tx, asker, policy_id, body)
