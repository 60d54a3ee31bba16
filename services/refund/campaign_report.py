"""The closing report of a campaign as CSV: a row for each booking; its amounts add up to the refunds'."""

from __future__ import annotations

import csv
import io
from uuid import UUID

from chassis.db import Transaction
from contracts.money import EXPONENTS

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
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


async def report(tx: Transaction, event_id: UUID) -> str:
    """The report with its line of names. Raises NotFound."""
    await named(tx, event_id)
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(COLUMNS)
    for row in await tx.execute(items_query(event_id)):
        lines.writerow(_cells(item_of(row)))
    return text.getvalue()


def _cells(item: CampaignItemRead) -> list[str]:
    minor, currency = item.amount.amount_minor, item.amount.currency
    digits = EXPONENTS[currency]
    units = f"{minor // 10**digits}.{minor % 10**digits:0{digits}d}" if digits else str(minor)
    instants = (
        instant.isoformat() if instant else "" for instant in (item.queued_at, item.handled_at, item.updated_at)
    )
    ids = (str(item.booking_id), str(item.payment_id), str(item.refund_id or ""))
    return [*ids, str(minor), units, currency, item.state, as_text(item.reason or ""), *instants]


def as_text(cell: str) -> str:
    """The cell so that no spreadsheet runs it: what begins like a formula gets an apostrophe (owasp.org, CSV injection)."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
