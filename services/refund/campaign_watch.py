"""Shows an operator how far the campaigns are that have not finished."""

from __future__ import annotations

from chassis import metrics
from chassis.db import Transaction, table
from prometheus_client import Gauge
from sqlalchemy import func, select

from refund.campaign_models import Campaign, CampaignItem
from refund.campaign_reads import joined, shown_state
from refund.campaign_rules import OVER, SHOWN_STATES

ITEMS_OPEN = Gauge(
    "refund_campaign_items",
    "Bookings of refund campaigns that have not finished, by state: queued, skipped, or the status of their refund.",
    ["state"],
    registry=metrics.REGISTRY,
)
OLDEST_SECONDS = Gauge(
    "refund_campaign_oldest_unfinished_seconds",
    "Age of the oldest such booking without an outcome, since the campaign took it on.",
    registry=metrics.REGISTRY,
)


async def measure(tx: Transaction) -> None:
    """Sets the gauges."""
    items, campaigns = table(CampaignItem), table(Campaign)
    state = shown_state()
    counted = await tx.execute(
        joined(state, func.count().label("items"), func.min(items.c.queued_at).label("since"))
        .where(items.c.event_id.in_(select(campaigns.c.id).where(campaigns.c.look_at.is_not(None))))
        .group_by(state)
    )
    found = {row.state: row for row in counted}
    for name in SHOWN_STATES:
        ITEMS_OPEN.labels(name).set(found[name].items if name in found else 0)
    oldest = min((row.since for name, row in found.items() if name not in OVER), default=tx.now)
    OLDEST_SECONDS.set((tx.now - oldest).total_seconds())
