"""Amounts and times as people read them. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_currency
from contracts.money import EXPONENTS, Money

LOCALE = "en"


def money(amount: Money) -> str:
    """`€39.98`. Every minor unit is shown that there is, also where the currency usually goes without."""
    exponent = EXPONENTS[amount.currency]
    value = Decimal(amount.amount_minor).scaleb(-exponent)
    shown: str = format_currency(value, amount.currency, locale=LOCALE, currency_digits=exponent == 0)
    # CLDR's currencySpacing, which babel leaves out: a code of letters stands apart from the digits.
    return re.sub(r"(?<=[A-Z])(?=\d)", "\N{NO-BREAK SPACE}", shown)


def day(at: datetime, zone: ZoneInfo) -> str:
    """`Saturday, 14 November 2026` in the event's zone."""
    return format_datetime(at.astimezone(zone), "EEEE, d MMMM y", locale=LOCALE)


def span(start: datetime, end: datetime, zone: ZoneInfo) -> str:
    """`20:00 to 22:30 (UTC+01:00, Europe/Berlin)`; the end with its day and offset where they differ."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    until = f"{last:%H:%M}"
    if last.utcoffset() != first.utcoffset():
        until += f" ({_offset(last)})"
    if last.date() != first.date():
        until += f" on {day(end, zone)}"
    return f"{first:%H:%M} to {until} ({_offset(first)}, {zone.key})"


def instant(at: datetime, zone: ZoneInfo, *, seconds: bool = False) -> str:
    """`Thu, 12 November 2026, 20:00 (UTC+01:00)`."""
    local = at.astimezone(zone)
    return f"{format_datetime(local, 'EEE, d MMMM y, HH:mm:ss' if seconds else 'EEE, d MMMM y, HH:mm', locale=LOCALE)} ({_offset(local)})"


def _offset(local: datetime) -> str:
    digits = f"{local:%z}"
    return f"UTC{digits[:3]}:{digits[3:5]}"
