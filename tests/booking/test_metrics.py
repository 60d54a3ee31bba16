"""The time that a buyer waits for the confirmation is measured from the buyer's own click."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from chassis.metrics import REGISTRY

from tests.booking.conftest import BoxOffice, payment_of
from tests.support.service import eventually


def within(seconds: str) -> float:
    return REGISTRY.get_sample_value("booking_confirm_seconds_bucket", {"le": seconds}) or 0.0


@pytest.mark.parametrize(
    ("ago_s", "bucket", "next_smaller"),
    [(25, "30.0", "20.0"), (-90, "0.5", None)],
    ids=["took 25 s", "the provider's clock is ahead"],
)
async def test_a_confirmation_is_timed(office: BoxOffice, ago_s: int, bucket: str, next_smaller: str | None) -> None:
    payment = payment_of(await office.book(await office.create_event()))
    before = within(bucket), within(next_smaller) if next_smaller else 0.0
    clicked_at = datetime.now(UTC) - timedelta(seconds=ago_s)
    told = payment.succeeded().model_copy(update={"buyer_confirmed_at": clicked_at})
    await office.service.deliver_and_wait(told)

    async def timed() -> bool:
        return within(bucket) == before[0] + 1

    await eventually(timed)
    assert next_smaller is None or within(next_smaller) == before[1]
