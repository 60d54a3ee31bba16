"""The routes of refund campaigns. The gateway serves them below /api."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from chassis.auth import Manager, Staff
from chassis.csv_export import CsvResponse
from chassis.db import Tx
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from refund import campaign, campaign_reads, campaign_report, campaign_stream
from refund.campaign_rules import ItemState
from refund.campaign_schemas import CampaignItemPage, CampaignPlan, CampaignProgress
from refund.domain import Status

router = APIRouter(prefix="/refund-campaigns/{event_id}", tags=["refund campaigns"])


async def _pace(request: Request) -> int:
    per_s: int = request.app.state.campaign_per_s
    return per_s


Pace = Annotated[int, Depends(_pace)]
ShownState = ItemState | Status


@router.get("")
async def read_campaign(
    event_id: UUID, _: Staff, tx: Tx, pace: Pace, *, dry_run: bool = False
) -> CampaignProgress | CampaignPlan:
    """How far the campaign of a cancelled event is; with `dry_run`, what cancelling the event would refund."""
    if dry_run:
        return await campaign_reads.plan(tx, event_id)
    return await campaign_reads.read_progress(tx, event_id, pace)


@router.post("/pause")
async def pause_campaign(event_id: UUID, manager: Manager, tx: Tx, pace: Pace) -> CampaignProgress:
    """Records no more refunds until it is resumed."""
    return await campaign.pause(tx, manager, event_id, pace)


@router.post("/resume")
async def resume_campaign(event_id: UUID, manager: Manager, tx: Tx, pace: Pace) -> CampaignProgress:
    """Goes on where it was paused."""
    return await campaign.resume(tx, manager, event_id, pace)


@router.post("/retry")
async def retry_campaign(event_id: UUID, manager: Manager, tx: Tx, pace: Pace) -> CampaignProgress:
    """Approves every failed refund of the campaign anew, at its pace."""
    return await campaign.retry(tx, manager, event_id, pace)


@router.get("/stream", response_class=StreamingResponse)
async def stream_campaign(event_id: UUID, request: Request, _: Staff, tx: Tx, pace: Pace) -> StreamingResponse:
    """Server-sent events `campaign`, each with the same JSON as the campaign itself; a comment at least every 6 s."""
    await campaign_reads.read_progress(tx, event_id, pace)  # so that a campaign that is not there is a 404
    return StreamingResponse(
        campaign_stream.updates(request.app.state.database, event_id, pace),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/items")
async def list_campaign_items(
    event_id: UUID,
    _: Staff,
    tx: Tx,
    state: ShownState | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CampaignItemPage:
    """The bookings of the campaign with what became of each."""
    return await campaign_reads.list_items(tx, event_id, state=state, cursor=cursor, limit=limit)


@router.get("/report.csv", response_class=CsvResponse)
async def report_campaign(event_id: UUID, _: Staff, tx: Tx) -> CsvResponse:
    """The closing report: a row for each booking."""
    return await campaign_report.report(tx, event_id)
