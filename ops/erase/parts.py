"""What is sealed about a booking, by service and table, and what stands there once its customer is erased.

A column that may be empty is emptied; any other gets a sealed value of the form that its readers expect, and says that it was erased.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from booking.placed import ACCESS, CONTACT, TICKETS
from chassis.crypto import Sealer
from chassis.idempotency import SEALED_AS as ANSWER
from contracts.event import Event
from payment.receipts import SEALED_AS as RECEIPT

ADDRESS = "erased@erased.invalid"
"""No mail can be sent there: RFC 2606 keeps the domain from everybody."""


class Blank(NamedTuple):
    """A JSON value, sealed as the field that its readers open it as."""

    sealed_as: str
    value: Any

    def seal(self, sealer: Sealer) -> str:
        """Its ciphertext."""
        return sealer.seal_json(self.value, self.sealed_as)


ERASED_CONTACT = Blank(CONTACT, {"name": "Erased", "email": ADDRESS})
NO_TICKETS = Blank(TICKETS, [])
ERASED_ANSWER = Blank(ANSWER, {"erased": True})
"""It goes on saying that its request was made: the same key makes no second booking."""

IN_EVENTS: Mapping[str, Blank | None] = {CONTACT: ERASED_CONTACT, TICKETS: NO_TICKETS, ACCESS: None}
"""By what the field is sealed as: the publisher and the field's name."""


@dataclass(frozen=True)
class Part:
    """Rows of a table that are about bookings. `which` is a condition on them, with the bookings' ids as `:ids`."""

    table: str
    which: str
    blanks: Mapping[str, Blank | None]


OF_PAYMENTS = "payment_id IN (SELECT id FROM payments WHERE booking_id = ANY(:ids))"
REFS = """SELECT provider_ref FROM payments WHERE booking_id = ANY(:ids)
    UNION ALL SELECT provider_ref FROM refunds WHERE booking_id = ANY(:ids)
    UNION ALL SELECT provider_ref FROM disputes WHERE booking_id = ANY(:ids)"""
PARTS: Mapping[str, tuple[Part, ...]] = {
    "notification": (
        Part("bookings", "id = ANY(:ids)", {"contact": None, "tickets": None, "access": None}),
        Part("surveys", "booking_id = ANY(:ids)", {"comment": None}),
    ),
    "payment": (
        Part("reviews", OF_PAYMENTS, {"note": None}),
        Part("declines", OF_PAYMENTS, {"card": None}),
        Part(
            "receipts",
            f"outcome IS NOT NULL AND object_ref IN ({REFS})",
            {"body": Blank(RECEIPT, {"erased": True})},
        ),
    ),
    "refund": (Part("refunds", "booking_id = ANY(:ids)", {"note": None, "evidence": None, "payout_details": None}),),
    "booking": (
        Part(
            "bookings",
            "id = ANY(:ids)",
            {"contact": ERASED_CONTACT, "issued_tickets": NO_TICKETS, "access": None},
        ),
    ),
}
"""In the order in which they are blanked. What finds the codes of tickets stays: it is no person's, and their holders may enter."""

RELATED: Mapping[str, str] = {
    "notification": "SELECT id, NULL::timestamptz AS at FROM bookings WHERE id = ANY(:ids)",
    "payment": """SELECT id, created_at AS at FROM payments WHERE booking_id = ANY(:ids)
        UNION ALL SELECT payment_id, sent_at FROM attempts JOIN payments ON payments.id = payment_id WHERE booking_id = ANY(:ids)
        UNION ALL SELECT id, created_at FROM refunds WHERE booking_id = ANY(:ids)""",
    "refund": "SELECT id, created_at AS at FROM refunds WHERE booking_id = ANY(:ids)",
    "booking": "SELECT id, placed_at AS at FROM bookings WHERE id = ANY(:ids)",
}
"""What else has an id in requests about bookings, and when requests made it: answers are found by their address or their instant."""


def sealed_fields(event: type[Event]) -> dict[str, str]:
    """The sealed fields of an event, and what each is sealed as."""
    properties = event.model_json_schema()["properties"]
    return {
        name: f"{event.publisher}.{name}"
        for name, shape in properties.items()
        if any(each.get("x-sealed") for each in (shape, *shape.get("anyOf", ())))
    }


def blanked(event: type[Event], body: str, sealer: Sealer) -> str:
    """The body of a kept event without what was sealed in it. Raises KeyError for a sealed field that IN_EVENTS does not know."""
    kept = json.loads(body)
    for name, sealed_as in sealed_fields(event).items():
        blank = IN_EVENTS[sealed_as]
        kept[name] = None if blank is None else blank.seal(sealer)
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
