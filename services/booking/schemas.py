"""What booking's HTTP interface takes and gives."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from chassis.period import TimeZone
from contracts.booking import EventFacts, PolicySnapshot
from contracts.money import EXPONENTS, LARGEST_AMOUNT_MINOR, Money
from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NaiveDatetime,
    StrictBool,
    StrictInt,
    StringConstraints,
)

from booking.domain import TICKETS_MAX, CancelledBy, RefundState, Status, TicketStatus

SEATS_MAX = 1_000_000
TICKET_TYPES_MAX = 50
EMAIL_LENGTH_MAX = 254
FULL_REFUND_DAYS_MAX = 365
DESCRIPTION_LENGTH_MAX = 5000


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text):
        raise ValueError("must not hold control characters")
    return text


def _plain_text(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n"):
        _one_line(line.replace("\t", " "))
    return text.strip()


def _enabled_currency(code: str) -> str:
    if code not in EXPONENTS:
        raise ValueError("is not an enabled currency")
    return code


def _email(text: str) -> str:
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        # The library's sentence may quote the address.
        raise ValueError("is not an e-mail address") from None


Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_LENGTH_MAX), AfterValidator(_plain_text)]
Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=EMAIL_LENGTH_MAX),
    AfterValidator(_one_line),
    AfterValidator(_email),
]
Search = Annotated[
    str,
    StringConstraints(max_length=EMAIL_LENGTH_MAX),
    Field(description="an e-mail address, a ticket's code, a booking's id, or words of the buyer's name in any order"),
]
EventSearch = Annotated[
    str,
    StringConstraints(max_length=100),
    AfterValidator(_one_line),
    Field(description="parts of its name, its venue and its day such as 2026-11-25, in any order"),
]
Currency = Annotated[str, AfterValidator(_enabled_currency)]


class Body(BaseModel):
    """A request's body: a field that is not known is refused, since it would be meant and not done."""

    model_config = ConfigDict(extra="forbid")


class TierCreate(Body):
    """`percent` goes back when the cancellation is received at least `hours_before` the start."""

    hours_before: StrictInt = Field(ge=0, le=100_000)
    percent: StrictInt = Field(ge=0, le=100)


class RefundPolicyCreate(Body):
    """Which part of the price goes back, by the instant of the cancellation."""

    policy_id: Line = "default"
    policy_version: StrictInt = Field(1, ge=1, le=1_000_000)
    tiers: tuple[TierCreate, ...] = Field(
        (TierCreate(hours_before=48, percent=100), TierCreate(hours_before=24, percent=50)), max_length=20
    )
    fee_minor: StrictInt = Field(0, ge=0, le=LARGEST_AMOUNT_MINOR)


class TicketTypeCreate(Body):
    """A price, tax included, and how many seats it is for."""

    name: Line
    price_minor: StrictInt = Field(ge=0, le=LARGEST_AMOUNT_MINOR)
    tax_rate_bp: StrictInt = Field(0, ge=0, le=10_000, description="tax rate in basis points: 1900 is 19 %")
    capacity: StrictInt = Field(ge=0, le=SEATS_MAX)


class EventCreate(Body):
    """Times are those on the clocks of `timezone`. `fold` 1 means the second of an hour that clocks show twice.

    One that is not `published` is a draft: staff see it, nobody can book it.
    """

    name: Line
    venue: Line
    local_start: NaiveDatetime
    local_end: NaiveDatetime
    local_start_fold: Literal[0, 1] | None = None
    local_end_fold: Literal[0, 1] | None = None
    timezone: TimeZone
    currency: Currency
    ticket_types: tuple[TicketTypeCreate, ...] = Field(min_length=1, max_length=TICKET_TYPES_MAX)
    refund_policy: RefundPolicyCreate = RefundPolicyCreate()
    description: Description | None = Field(None, description="plain text; its line breaks are kept")
    published: StrictBool = True


class TicketTypeChange(Body):
    """With an `id` a change of that type for future bookings: what is left out stays as it is. Without one a new type.

    The tax rate of a type may be changed while its event is a draft.
    """

    id: UUID | None = None
    name: Line | None = None
    price_minor: StrictInt | None = Field(None, ge=0, le=LARGEST_AMOUNT_MINOR)
    tax_rate_bp: StrictInt | None = Field(None, ge=0, le=10_000)
    capacity: StrictInt | None = Field(None, ge=0, le=SEATS_MAX)


class EventChange(Body):
    """What is left out stays as it is. Times are those on the clocks of `timezone`, the new one where it changes too.

    An empty `description` takes it away.
    """

    name: Line | None = None
    venue: Line | None = None
    local_start: NaiveDatetime | None = None
    local_end: NaiveDatetime | None = None
    local_start_fold: Literal[0, 1] | None = None
    local_end_fold: Literal[0, 1] | None = None
    timezone: TimeZone | None = None
    full_refund_days: StrictInt | None = Field(
        None,
        ge=1,
        le=FULL_REFUND_DAYS_MAX,
        description="how long every buyer of a moved event may cancel and gets everything back; 14 where day or venue changes",
    )
    ticket_types: tuple[TicketTypeChange, ...] = Field((), max_length=TICKET_TYPES_MAX)
    description: Description | None = Field(None, description="plain text; its line breaks are kept")


class TicketTypeRead(BaseModel):
    """A price and its free seats at this moment."""

    id: UUID
    name: str
    price: Money
    tax_rate_bp: int
    capacity: int
    available: int
    held: int | None = Field(None, description="seats of unpaid bookings; for staff only")
    sold: int | None = Field(None, description="seats of confirmed bookings; for staff only")


class EventRead(BaseModel):
    """An event as anyone sees it; staff see drafts too."""

    id: UUID
    name: str
    venue: str
    local_start: datetime
    local_end: datetime
    timezone: str
    starts_at: datetime
    ends_at: datetime
    currency: str
    status: Literal["draft", "on_sale", "started", "ended", "cancelled"]
    full_refund_until: datetime | None = Field(
        description="until this instant every buyer may cancel and gets everything back, since the event was moved"
    )
    refund_policy: PolicySnapshot
    ticket_types: list[TicketTypeRead]
    description: str | None = Field(None, description="plain text; its line breaks are kept")


class EventPage(BaseModel):
    """Events in the order of their start; `next_cursor` asks for those after them."""

    items: list[EventRead]
    next_cursor: UUID | None


class Item(Body):
    """Tickets of one type."""

    ticket_type_id: UUID
    quantity: StrictInt = Field(ge=1, le=TICKETS_MAX)


class Contact(Body):
    """Who gets the tickets."""

    name: Line
    email: Email


class BookingCreate(Body):
    """What is bought, and for whom."""

    event_id: UUID
    items: tuple[Item, ...] = Field(min_length=1, max_length=TICKETS_MAX)
    contact: Contact
    policy_accepted: StrictBool = Field(
        default=False, description="that the buyer was shown the refund policy and accepted it; kept as evidence"
    )


class BookingCounts(BaseModel):
    """How many bookings there are in each state."""

    pending_payment: int = 0
    payment_authorized: int = 0
    confirmed: int = 0
    expired: int = 0
    cancelled: int = 0


class EventCancellation(BaseModel):
    """What cancelling an event ends, or would end: the numbers at the instant of the cancellation, or of the dry run."""

    event_id: UUID
    cancelled_at: datetime | None = Field(description="absent in a dry run")
    bookings: BookingCounts = Field(description="those that are expired or cancelled are over already")
    tickets: int = Field(description="sold seats that come free")
    holds: int = Field(description="held seats that come free")
    authorizations: int = Field(description="authorized payments that are voided")
    buyers: int = Field(description="different buyers of the confirmed bookings")
    captured: list[Money] = Field(description="what was paid for the confirmed bookings, by currency")
    refunded: list[Money] = Field(description="what of it has gone back already, by currency")


class BookingCancel(Body):
    """Nothing is asked for: all that is left is given back. Otherwise the tickets that are."""

    ticket_ids: tuple[UUID, ...] | None = Field(None, min_length=1, max_length=TICKETS_MAX)


class TicketRead(BaseModel):
    """One ticket. Its code is there while it is valid."""

    id: UUID
    ticket_type_id: UUID
    name: str
    gross_minor: int
    tax_minor: int
    tax_rate_bp: int
    status: TicketStatus
    cancelled_at: datetime | None = Field(description="instant at which its cancellation was received")
    code: str | None


class BookingRead(BaseModel):
    """A booking as its holder and staff see it. `revision` only grows: a view with a lower one is older."""

    id: UUID
    status: Status
    revision: int
    event: EventFacts = Field(description="as it was when the booking was placed")
    current_event: EventFacts | None = Field(description="as it is now, where that differs")
    tickets: list[TicketRead]
    total: Money = Field(description="of all tickets that were booked")
    tax_minor: int
    refund_policy: PolicySnapshot
    contact: Contact
    placed_at: datetime
    hold_expires_at: datetime | None = Field(description="absent once the seats no longer wait for a payment")
    payment_id: UUID | None
    confirmed_at: datetime | None
    cancelled_at: datetime | None = Field(description="instant at which the cancellation was received")
    cancelled_by: CancelledBy | None
    full_refund_until: datetime | None = Field(
        description="until this instant a cancellation gets everything back, since the event was moved"
    )
    refund_state: RefundState
    refunded_minor: int
    policy_accepted_at: datetime | None = Field(
        None, description="instant at which the buyer accepted the refund policy"
    )


class BookingPlacedRead(BaseModel):
    """The new booking and the token that opens it."""

    booking: BookingRead
    access_token: str


class BookingSummary(BaseModel):
    """A booking in a list."""

    id: UUID
    status: Status
    event_id: UUID
    event_name: str
    total: Money
    contact: Contact
    placed_at: datetime
    refund_state: RefundState
    refunded_minor: int


class BookingPage(BaseModel):
    """Bookings, the newest first; `next_cursor` asks for those before them."""

    items: list[BookingSummary]
    next_cursor: UUID | None


class SalesOfDay(BaseModel):
    """Bookings that were confirmed on one day, whatever became of them."""

    day: date
    currency: str
    bookings: int
    tickets: int
    gross_minor: int


class SalesOfEvent(BaseModel):
    """Bookings of one event that were confirmed in the time, and its seats as they are now."""

    event_id: UUID
    name: str
    currency: str
    bookings: int
    tickets: int
    gross_minor: int
    capacity: int
    sold: int


class EventAnalytics(BaseModel):
    """Sales before cancellations and refunds. `by_day` leaves out days without any, `by_event` begins with the most tickets."""

    by_day: list[SalesOfDay]
    by_event: list[SalesOfEvent]
