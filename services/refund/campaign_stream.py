"""Tells a waiting page how far a campaign is, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

from chassis.db import Database
from chassis.relay import wait

from refund.campaign_reads import read_progress
from refund.campaign_rules import CampaignState

POLL_S = 1.0
HEARTBEAT = timedelta(seconds=5)
LONGEST = timedelta(minutes=15)
"""A page that waits longer connects anew, which also checks its token anew."""


async def updates(database: Database, event_id: UUID, pace_per_s: int) -> AsyncIterator[str]:
    """The campaign's progress now and after every change, until it has finished; a comment when nothing changes."""
    ends_at = database.clock.now() + LONGEST
    shown, told_at, number = None, database.clock.now(), 0
    while database.clock.now() < ends_at:
        async with database.transaction() as tx:
            progress = await read_progress(tx, event_id, pace_per_s)
        counts = (progress.state, progress.done, progress.items, progress.totals)
        if counts != shown:
            shown, told_at, number = counts, progress.as_of, number + 1
            yield f"event: campaign\nid: {number}\ndata: {progress.model_dump_json()}\n\n"
        elif progress.as_of - told_at >= HEARTBEAT:
            told_at = progress.as_of
            yield ": nothing new\n\n"
        if progress.state is CampaignState.FINISHED:
            return
        await wait(asyncio.Event(), POLL_S)
