"""What a dispute may become, what is told of it, and what it leaves to refund. Pure, like the domain that it is a part of.

A status is only ever read from the provider's own object. A bank may decide anew (an appeal, a second round), so any may follow any.
"""

from __future__ import annotations

from enum import StrEnum


class DisputeFact(StrEnum):
    """What the provider's object says about a dispute, in words of ours."""

    INQUIRY = "inquiry"
    OPEN = "open"
    WON = "won"
    LOST = "lost"
    PREVENTED = "prevented"


class DisputeStatus(StrEnum):
    """What has become of a dispute."""

    INQUIRY = "inquiry"  # the bank asks; nothing is taken, and refunds go on
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Told(StrEnum):
    """What other services hear."""

    OPENED = "opened"
    CLOSED = "closed"


CLOSED = frozenset({DisputeStatus.WON, DisputeStatus.LOST})


def dispute_status(fact: DisputeFact, *, is_withdrawn: bool) -> DisputeStatus:
    """One that was prevented is lost where its amount was taken all the same."""
    if fact is DisputeFact.PREVENTED:
        return DisputeStatus.LOST if is_withdrawn else DisputeStatus.WON
    return DisputeStatus(fact.value)


def told(before: DisputeStatus | None, after: DisputeStatus) -> tuple[Told, ...]:
    """What a change is told as. What was never told as opened is not told as won: nothing has waited for it."""
    if before is after:
        return ()
    was_told_open = before is DisputeStatus.OPEN
    match after:
        case DisputeStatus.INQUIRY:
            return ()
        case DisputeStatus.OPEN:
            return (Told.OPENED,)
        case DisputeStatus.WON if before in {None, DisputeStatus.INQUIRY}:
            return ()
        case _:
            return (Told.CLOSED,) if was_told_open else (Told.OPENED, Told.CLOSED)


def disputed_of(captured: int, refunded: int, reserved: int, withdrawn: int, *, is_open: bool) -> int:
    """What disputes have taken of what could still be refunded, in minor units. While one is open, refunds wait: nothing is counted yet."""
    return 0 if is_open else min(withdrawn, captured - refunded - reserved)


def double_return(captured: int, refunded: int, withdrawn: int) -> int:
    """What went back to the buyer twice, by refunds and by disputes together, in minor units."""
    return max(0, refunded + withdrawn - captured)
