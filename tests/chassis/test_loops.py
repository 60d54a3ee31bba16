"""What keeps a process alive, or lets it be started again: its background loops, and its look at the broker."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import asyncpg
import pytest
from chassis import broker as amqp
from chassis import link
from chassis.link import BrokerLink
from chassis.loops import repeat, running


@pytest.fixture
def terminated() -> Iterator[list[int]]:
    """Signals that asked this process to end."""
    told: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    yield told
    signal.signal(signal.SIGTERM, before)


async def fails() -> None:
    raise ValueError("a bug")


async def is_cut_off() -> None:
    waits_for = asyncio.get_running_loop().create_future()
    waits_for.cancel()
    await waits_for


async def returns() -> None:
    return


async def goes_on() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("loop", "signals"),
    [(fails, [signal.SIGTERM]), (is_cut_off, [signal.SIGTERM]), (returns, [signal.SIGTERM]), (goes_on, [])],
)
async def test_a_loop_that_ends_ends_the_process(terminated: list[int], loop: object, signals: list[int]) -> None:
    """However it ends: a service whose relay is gone would look healthy and publish nothing."""
    async with running([loop()]):  # type: ignore[operator]  # one of the four above
        for _ in range(3):
            await asyncio.sleep(0)
        assert terminated == signals
    assert terminated == signals, "the end of the block is no end of its own"


async def test_what_is_repeated_waits_out_an_outage_and_ends_with_a_bug() -> None:
    """A gauge that is set no more looks as if nothing had changed."""
    ends: list[Exception] = [
        OSError("connection refused"),
        asyncpg.InsufficientPrivilegeError("no"),
        ValueError("a bug"),
    ]

    async def measure() -> None:
        raise ends.pop(0)

    with pytest.raises(ValueError, match="a bug"):
        await repeat(measure, 0.001, "refunds cannot be counted")
    assert ends == []


class SlowLink(BrokerLink):
    """Its broker answers when `answered` is set."""

    def __init__(self) -> None:
        super().__init__(amqp.connect("refund", "amqp://refund:pw@127.0.0.1:1/", prefetch=1), ["queue"])
        self.answered = asyncio.Event()
        self.asked = 0
        self.cut_off = 0

    async def _all_consumed(self) -> bool:
        self.asked += 1
        try:
            await self.answered.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        return True


async def test_a_slow_broker_is_asked_once_and_never_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "ANSWERED_WITHIN_S", 0.02)
    slow = SlowLink()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await slow.consuming()
    assert (slow.asked, slow.cut_off) == (1, 0)
    slow.answered.set()
    assert await slow.consuming()
    assert await slow.consuming()
    assert (slow.asked, slow.cut_off) == (2, 0)


@pytest.mark.parametrize(("answers", "checks"), [(True, 3), (False, 7)])
async def test_a_link_is_patient_with_a_slow_broker(
    monkeypatch: pytest.MonkeyPatch, *, answers: bool, checks: int
) -> None:
    """Queues without a consumer are soon looked after; a broker that is only slow is not burdened with new connections."""
    monkeypatch.setattr(link, "ANSWERED_WITHIN_S", 0.01)
    monkeypatch.setattr(link, "CHECK_S", 0.01)
    monkeypatch.setattr(link, "UNANSWERED_CHECKS_BEFORE_RESTART", 7)
    looked = 0

    class Watched(BrokerLink):
        async def connected(self) -> bool:
            nonlocal looked
            looked += 1
            return True

        async def _all_consumed(self) -> bool:
            if not answers:
                await asyncio.Event().wait()
            return False

    await Watched(amqp.connect("refund", "amqp://refund:pw@127.0.0.1:1/", prefetch=1), ["queue"])._watch()
    assert looked == checks
