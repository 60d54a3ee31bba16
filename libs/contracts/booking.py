"""What booking publishes, on the exchange `booking.events`. The aggregate is the booking."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.event import Event, Fact, Minor, Sealed
from contracts.money import Money


class EventFacts(Fact):
    """The event as it was when the booking was placed."""

    event_id: UUID
    name: str
    venue: str
    starts_at: AwareDatetime = Field(description="instant of the start")
    ends_at: AwareDatetime = Field(description="instant of the end")
    timezone: str = Field(description="IANA zone in which the event's local times are shown")


class PolicyTier(Fact):
    """`percent` of the price is refunded when the cancellation is received at least `hours_before` the start."""

    hours_before: int = Field(ge=0)
    percent: int = Field(ge=0, le=100)


class PolicySnapshot(Fact):
    """The refund policy frozen on the booking when it was placed."""

    policy_id: str
    policy_version: int
    tiers: tuple[PolicyTier, ...] = Field(
        description="strictly falling in hours and in percent; below the last: nothing"
    )
    fee_minor: Minor = Field(0, description="flat fee kept per booking, in the booking's currency")


class Line(Fact):
    """One ticket: one seat at a frozen price, tax included."""

    line_id: UUID
    ticket_type_id: UUID
    name: str
    gross_minor: Minor
    tax_minor: Minor
    tax_rate_bp: int = Field(ge=0, description="tax rate in basis points: 1900 is 19 %")


class BookingPlaced(Event, type="booking.placed.v1", subject="booking_id"):
    """Seats are held and a price is owed until `hold_expires_at`."""

    booking_id: UUID
    event: EventFacts
    lines: tuple[Line, ...]
    total: Money
    policy: PolicySnapshot
    contact: Sealed = Field(description='JSON {"name", "email", "language"}; sealed as "booking.contact"')
    hold_expires_at: AwareDatetime


class SeatsSecured(Event, type="booking.seats-secured.v1", subject="booking_id"):
    """The seats of an authorized payment are the buyer's: capture it."""

    booking_id: UUID
    payment_id: UUID


class SeatsUnavailable(Event, type="booking.seats-unavailable.v1", subject="booking_id"):
    """There is no seat for an authorized payment: void it, or refund it in full where it was captured at once."""

    booking_id: UUID
    payment_id: UUID
    reason: Literal["sold_out", "booking_cancelled", "event_cancelled"]


class IssuedTicket(Fact):
    """A ticket and its code; the list of them travels sealed."""

    line_id: UUID
    name: str
    code: str


class BookingConfirmed(Event, type="booking.confirmed.v1", subject="booking_id"):
    """Paid (or free) and seated; the tickets are issued."""

    booking_id: UUID
    payment_id: UUID | None = Field(description="absent for a free booking")
    event: EventFacts
    total: Money
    contact: Sealed = Field(description='JSON {"name", "email", "language"}; sealed as "booking.contact"')
    tickets: Sealed = Field(description='JSON list of {"line_id", "name", "code"}; sealed as "booking.tickets"')
    access: Sealed | None = Field(
        None, description='the token of the booking\'s holder, for links in mails; sealed as "booking.access"'
    )


class BookingExpired(Event, type="booking.expired.v1", subject="booking_id"):
    """The hold ended unpaid; the seats are free again."""

    booking_id: UUID


class EventDates(Fact):
    """When the event takes place, and until when it gives everything back, as it stood at an instant."""

    starts_at: AwareDatetime
    full_refund_until: AwareDatetime | None = None


class BookingCancelled(Event, type="booking.cancelled.v1", subject="booking_id"):
    """The seats are free again. Whether money goes back is refund's decision, by the instant at which the request was received."""

    booking_id: UUID
    by: Literal["customer", "staff", "event"]
    was: Literal["pending_payment", "payment_authorized", "confirmed"]
    received_at: AwareDatetime = Field(description="instant at which the request reached booking")
    line_ids: tuple[UUID, ...]
    event_dates: EventDates | None = Field(
        None, description="as they stood at received_at; absent where the event was cancelled, and in older events"
    )


class TicketsCancelled(Event, type="booking.tickets-cancelled.v1", subject="booking_id"):
    """Some tickets of a confirmed booking were given back and their seats are free again; the booking goes on with the others."""

    booking_id: UUID
    by: Literal["customer", "staff"]
    received_at: AwareDatetime = Field(description="instant at which the request reached booking")
    line_ids: tuple[UUID, ...] = Field(description="the tickets that this request gave back")
    remaining_line_ids: tuple[UUID, ...] = Field(description="the tickets that are still valid; never empty")
    event_dates: EventDates | None = Field(None, description="as they stood at received_at; absent in older events")


class EventRescheduled(Event, type="booking.event-rescheduled.v1", subject="event_id"):
    """An event was moved. Cancelling goes by whichever of the promised and the new start is better for the buyer."""

    event_id: UUID
    event: EventFacts
    previous_starts_at: AwareDatetime
    full_refund_until: AwareDatetime | None = Field(
        None, description="a material change: until this instant every buyer may cancel and gets everything back"
    )


class EventCancelled(Event, type="booking.event-cancelled.v1", subject="event_id"):
    """An event does not take place. Every booking of it follows with a BookingCancelled of its own; all that was captured goes back."""

    event_id: UUID
    name: str
    cancelled_at: AwareDatetime
