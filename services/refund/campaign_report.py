"""The closing report of a campaign as CSV: a row for each booking; its amounts add up to the refunds'."""

from __future__ import annotations

from uuid import UUID

from chassis import csv_export
from chassis.db import Transaction

from refund.campaign_reads import item_of, items_query, named
from refund.campaign_schemas import CampaignItemRead

COLUMNS = (
    "booking_id",
    "payment_id",
    "refund_id",
    "amount_minor",
    "amount",
    "currency",
    "state",
    "reason",
    "queued_at",
    "handled_at",
    "updated_at",
)


async def report(tx: Transaction, event_id: UUID) -> csv_export.CsvResponse:
    """The report, read in one statement so that its amounts add up. Raises NotFound."""
    await named(tx, event_id)
    lines = [_line(item_of(row)) for row in await tx.execute(items_query(event_id))]
    return await csv_export.response(f"refund-campaign-{event_id}", COLUMNS, csv_export.whole(lines))


def _line(item: CampaignItemRead) -> csv_export.Line:
    money = item.amount
    return (
        item.booking_id,
        item.payment_id,
        item.refund_id,
        money.amount_minor,
        csv_export.units(money),
        money.currency,
        item.state,
        item.reason,
        item.queued_at,
        item.handled_at,
        item.updated_at,
    )
