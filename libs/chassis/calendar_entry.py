"""A booking in the buyer's calendar (RFC 5545): what booking offers to download and what notification mails is one and the same entry."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from contracts.booking import EventFacts
from icalendar import Calendar, Event, Timezone


def calendar_entry(booking_id: UUID, event: EventFacts, *, move: int, cancelled: bool, stamped_at: datetime) -> bytes:
    """The calendar file. Calendars know an entry by its UID, and the newest by its SEQUENCE.

    `move` is the number of the event's newest move, 0 before the first; `cancelled` takes the entry back.
    """
    zone = ZoneInfo(event.timezone)
    entry = Event()
    entry.add("uid", f"booking.{booking_id}@boxoffice")
    entry.add("dtstamp", stamped_at)
    entry.add("dtstart", event.starts_at.astimezone(zone))
    entry.add("dtend", event.ends_at.astimezone(zone))
    entry.add("summary", event.name)
    entry.add("location", event.venue)
    entry.add("status", "CANCELLED" if cancelled else "CONFIRMED")
    entry.add("sequence", move + int(cancelled))
    calendar = Calendar()
    calendar.add("prodid", "-//Boxoffice//Tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method_of(cancelled=cancelled))
    if zone.key != "UTC":
        calendar.add_component(_rules(zone.key, event.starts_at.year))
    calendar.add_component(entry)
    content: bytes = calendar.to_ical()
    return content


def method_of(*, cancelled: bool) -> str:
    """What a calendar shall do with the entry (RFC 5546)."""
    return "CANCEL" if cancelled else "PUBLISH"


@lru_cache(maxsize=256)
def _rules(zone: str, year: int) -> Timezone:
    """Only the rules of the years around an event: clients need no more, and the whole history is four kilobytes."""
    return Timezone.from_tzid(zone, first_date=date(year - 1, 1, 1), last_date=date(year + 2, 1, 1))
