"""A difference, and the table of what was checked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What is wrong."""

    MISSING_LOCAL = "MISSING_LOCAL"
    MISSING_PROVIDER = "MISSING_PROVIDER"
    AMOUNT = "AMOUNT"
    STATE = "STATE"
    DUPLICATE = "DUPLICATE"
    UNBALANCED = "UNBALANCED"
    STUCK = "STUCK"
    OVERSOLD = "OVERSOLD"
    UNCONSUMED = "UNCONSUMED"
    UNKNOWN_EVENT = "UNKNOWN_EVENT"
    VERSION_GAP = "VERSION_GAP"
    MAIL_MISSING = "MAIL_MISSING"
    MAIL_UNFOUNDED = "MAIL_UNFOUNDED"
    MAIL_DUPLICATE = "MAIL_DUPLICATE"
    CRM_MISSING = "CRM_MISSING"
    AUDIT = "AUDIT"
    PRIVILEGE = "PRIVILEGE"
    LEAK = "LEAK"
    SETTINGS = "SETTINGS"


CHECKS = {
    "M1": "every ledger transaction sums to zero",
    "M2": "clearing accounts end at zero",
    "M3": "paid means ticket or money back",
    "M4": "never refunded beyond captured, at any time",
    "M5": "one payment per booking",
    "M6": "each refund follows from its policy",
    "M7": "nothing goes back twice unsaid",
    "P1": "the provider's payments, refunds and disputes are ours",
    "P2": "the provider's balance is the ledger's",
    "P3": "each intention had one effect",
    "P4": "every webhook is known on both sides",
    "S1": "no event is oversold",
    "S2": "seat counters equal a recount",
    "S3": "no hold outlives its time",
    "Q1": "every event is published",
    "Q2": "every event is consumed by each that should",
    "Q3": "nothing forged was consumed",
    "Q4": "versions have no gaps",
    "Q5": "queues are empty, nothing is parked",
    "V1": "every transition has its mail, once",
    "V2": "no mail without a transition",
    "V3": "the CRM heard of every event, under one id",
    "X1": "the audit chains are whole",
    "X3": "privileges are the declared ones",
    "X4": "no card number, address or secret in clear",
    "X5": "durability is switched on",
}
"""By the numbers of the invariants."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two sides that do not agree. `since` is when it began, where that is known."""

    check: str
    kind: Kind
    subject: str
    expected: str
    found: str
    repair: str
    since: datetime | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same difference at a second look."""
        return self.check, self.kind, self.subject


@dataclass
class Report:
    """What was compared, what differs, and what could not be read. `unread` maps a source to the reason; `discarded` names events."""

    checked: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)

    def note(self, check: str, count: int, differences: Iterable[Difference] = ()) -> None:
        """Counts what `check` compared and adds what it found."""
        self.checked[check] = self.checked.get(check, 0) + count
        self.differences += differences

    @property
    def exit_code(self) -> int:
        """0 no difference, 1 differences, 2 a source could not be read, 3 one was not there to be read."""
        if self.differences:
            return 1
        if self.unread:
            return 2
        return 3 if self.left_out else 0

    def as_json(self) -> str:
        """Everything, for programs."""
        return json.dumps(
            {
                "exit_code": self.exit_code,
                "checks": [
                    {
                        "check": check,
                        "title": CHECKS[check],
                        "checked": self.checked[check],
                        "differences": sum(found.check == check for found in self.differences),
                    }
                    for check in CHECKS
                    if check in self.checked
                ],
                "differences": [asdict(found) for found in self.differences],
                "unread": self.unread,
                "left_out": self.left_out,
                "discarded": self.discarded,
            },
            indent=2,
            default=str,
        )

    def lines(self) -> Iterable[str]:
        """The same for people."""
        yield f"{'':4}{'checked':>10}{'differ':>8}  invariant"
        for check, title in CHECKS.items():
            if check in self.checked:
                count = sum(found.check == check for found in self.differences)
                yield f"{check:4}{self.checked[check]:>10}{count or '-':>8}  {title}"
        for found in self.differences:
            yield ""
            yield f"{found.check} {found.kind} {found.subject}"
            yield f"    expected {found.expected}"
            yield f"    found    {found.found}"
            yield f"    repair   {found.repair}" + (
                f" (since {found.since:%Y-%m-%d %H:%M:%S %Z})" if found.since else ""
            )
        yield ""
        yield from (f"{source} could not be read: {reason}" for source, reason in self.unread.items())
        yield from (f"{source} was not compared: {reason}" for source, reason in self.left_out.items())
        yield from (f"discarded by a person: {event}" for event in self.discarded)
        yield self.verdict()

    def verdict(self) -> str:
        """One sentence."""
        total = sum(self.checked.values())
        if self.differences:
            return f"{len(self.differences)} differences in {total} comparisons."
        if self.unread or self.left_out:
            return f"No difference in {total} comparisons, but not everything was compared."
        return f"No difference in {total} comparisons."
