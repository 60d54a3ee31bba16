"""`boxoffice refund simulate`: drafts played over bookings in a real database, and what it says of a draft that cannot be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from refund.policy import Policy, Tier

from ops.refund_simulate import Owed, UnusableDraft, lines, read_draft, simulate
from ops.settings import Settings

from .conftest import Execute
from .test_cli import boxoffice

STARTS_AT = datetime(2027, 6, 12, 18, 0, tzinfo=UTC)
FROZEN = {
    "policy_id": "default",
    "policy_version": 1,
    "tiers": [{"hours_before": 48, "percent": 100}, {"hours_before": 24, "percent": 50}],
    "fee_minor": 0,
}
DRAFT = Policy("draft", 1, (Tier(72, 100), Tier(24, 30)), 100)


async def sell(
    execute: Execute, event_id: UUID, *prices: int, currency: str = "EUR", starts_at: datetime = STARTS_AT
) -> None:
    booked = [
        {"line_id": str(uuid4()), "name": "Stalls", "gross_minor": price, "tax_minor": 0, "tax_rate_bp": 0}
        for price in prices
    ]
    await execute(
        "refund",
        "INSERT INTO bookings (booking_id, placed_at, event_id, starts_at, timezone, total_minor, currency, policy, lines,"
        " payment_id, captured_minor, captured_currency)"
        " VALUES ($1, $2, $3, $4, 'Europe/Berlin', $5, $6, $7, $8, $9, $5, $6)",
        uuid4(),
        starts_at - timedelta(days=90),
        event_id,
        starts_at,
        sum(prices),
        currency,
        json.dumps(FROZEN),
        json.dumps(booked),
        uuid4(),
    )


async def test_a_draft_stands_next_to_what_was_sold_at_every_hour_and_by_currency(
    settings: Settings, execute: Execute
) -> None:
    event_id = uuid4()
    await sell(execute, event_id, 999, 999)
    await sell(execute, event_id, 1000)
    await sell(execute, event_id, 3001, currency="JPY")
    await sell(execute, uuid4(), 5000)
    owed = await simulate(settings, DRAFT, event_id, None, None)
    assert owed == [
        Owed(72, None, "EUR", 2, 2998, 2798, 2998),
        Owed(72, None, "JPY", 1, 3001, 2901, 3001),
        Owed(48, 72, "EUR", 2, 2998, 700, 2998),
        Owed(48, 72, "JPY", 1, 3001, 800, 3001),
        Owed(24, 48, "EUR", 2, 2998, 700, 1500),
        Owed(24, 48, "JPY", 1, 3001, 800, 1501),
        Owed(None, 24, "EUR", 2, 2998, 0, 0),
        Owed(None, 24, "JPY", 1, 3001, 0, 0),
    ]
    assert [line.split("  ")[0] for line in lines(owed)][1::2] == [
        "72 or more",
        "48 to below 72",
        "24 to below 48",
        "less than 24",
    ]


async def test_bookings_are_chosen_by_the_start_of_their_event(settings: Settings, execute: Execute) -> None:
    event_id = uuid4()
    for days in (0, 1, 2):
        await sell(execute, event_id, 1000, starts_at=STARTS_AT + timedelta(days=days))
    chosen = await simulate(settings, DRAFT, event_id, STARTS_AT + timedelta(days=1), STARTS_AT + timedelta(days=2))
    assert {row.bookings for row in chosen} == {1}
    assert list(lines(await simulate(settings, DRAFT, uuid4(), None, None))) == ["No paid booking is among these."]


async def test_nothing_can_be_written_through_it(settings: Settings) -> None:
    """The connection is the one that verify reads with."""
    from ops.verify.reading import snapshot  # noqa: PLC0415  # the subject of this test alone

    async with snapshot("refund", settings.database_url("refund")) as read:
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await read.tuples("DELETE FROM bookings")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            '{"tiers": [{"hours_before": 24, "percent": 50}, {"hours_before": 48, "percent": 60}]}',
            "tiers.1.hours_before",
        ),
        ('{"tiers": [{"hours_before": 24, "percent": 101}]}', "tiers.0.percent"),
        ('{"tiers": [], "fee_minor": -1}', "fee_minor"),
        ('{"tiers": [{"hours": 24}]}', "tiers.0.hours_before"),
        ('{"fee_minor": 5}', "tiers"),
        ("tiers: 5", "the file"),
    ],
)
def test_a_draft_that_cannot_be_says_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "draft.json").write_text(text)
    with pytest.raises(UnusableDraft, match=named):
        read_draft(tmp_path / "draft.json")


def test_the_command_ends_with_the_reason(tmp_path: Path) -> None:
    code, _, said = boxoffice(tmp_path, "refund", "simulate", "--policy", str(tmp_path / "none.json"))
    assert (code, said.strip()) == (2, f"{tmp_path / 'none.json'}: No such file or directory")
