"""A test purchase goes through the running stack to its refund, and says where it stops when it cannot."""

from __future__ import annotations

import asyncio

from tests.e2e.stack import Stack
from tests.support.stack import BOXOFFICE


async def test_the_canary_books_pays_cancels_and_is_refunded(whole: Stack) -> None:
    assert "booked, paid, cancelled and refunded" in await whole.boxoffice("canary", "--once")
    await whole.stop("payment")
    failed = await asyncio.to_thread(whole.running.run, BOXOFFICE, "canary", "--once")
    assert failed.returncode == 1
    assert "the canary failed at pay:" in failed.stdout
