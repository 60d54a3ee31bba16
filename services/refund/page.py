"""The answer to "where is my money" as a page: no script, nothing loaded from elsewhere, readable on a phone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from html import escape
from types import MappingProxyType
from urllib.parse import quote
from zoneinfo import ZoneInfo

from refund.schemas import MoneyStatus, RefundStep

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:0 auto;padding:1rem;color:#1a1a1a;background:#fff}"
    "article{border:1px solid #767676;border-radius:.5rem;padding:0 1rem;margin:1rem 0}"
    "input,button{font:inherit;padding:.4rem;width:100%;box-sizing:border-box}"
    "dt{font-weight:600}dd{margin:0 0 .5rem}.amount{font-size:1.25rem;font-weight:600}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#121212}}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex, nofollow",
        "X-Content-Type-Options": "nosniff",
    }
)
"""The address holds a token: it must not be kept, indexed, or told to another site."""
FIELDS = (
    '<p><label>Account holder<br><input name="account_holder" required maxlength="140" autocomplete="name"></label></p>'
    '<p><label>IBAN<br><input name="iban" maxlength="42" autocomplete="off"></label></p>'
    '<p><label>Or another way, in words<br><input name="other_way" maxlength="1000"></label></p>'
    "<p><button>Pay it there</button></p></form>"
)
NOT_VALID = "This link is not valid, or no longer. Open the newest mail about your booking and follow the link in it."


def render_status(status: MoneyStatus, token: str, wrong: str | None = None) -> str:
    """The page of a booking, with a form for each refund that did not arrive. `wrong` is what was wrong with the form."""
    return _page("".join(_body(status, token, wrong)))


def render_refusal() -> str:
    """The page behind a link that shows nothing."""
    return _page(f"<p>{escape(NOT_VALID)}</p>")


def _page(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="robots" content="noindex"><title>Where is my money?</title><style>{STYLE}</style></head>'
        f"<body><main><h1>Where is my money?</h1>{body}</main></body></html>"
    )


def _body(status: MoneyStatus, token: str, wrong: str | None) -> Iterator[str]:
    yield f"<p>Booking {status.booking_id}</p><dl>"
    for name, money in (("Paid", status.paid), ("Refunded", status.refunded), ("On its way", status.pending)):
        yield f"<dt>{name}</dt><dd>{escape(str(money))}</dd>"
    yield "</dl>"
    if wrong:
        yield f'<p role="alert">{escape(wrong)}</p>'
    if not status.refunds:
        yield "<p>There is no refund for this booking.</p>"
    for step in status.refunds:
        yield from _article(step, ZoneInfo(status.timezone), token)


def _article(step: RefundStep, zone: ZoneInfo, token: str) -> Iterator[str]:
    since = step.since.astimezone(zone).strftime("%d %B %Y, %H:%M %Z")
    yield f'<article><p class="amount">{escape(str(step.amount))}</p><p>{escape(step.state)}</p><dl>'
    yield f"<dt>Since</dt><dd>{escape(since)}</dd>"
    if step.expected_from and step.expected_until:
        yield f"<dt>Expected on your account</dt><dd>{_day(step.expected_from)} to {_day(step.expected_until)}</dd>"
    yield "</dl>"
    if step.what_to_do:
        yield f"<p>{escape(step.what_to_do)}</p>"
    if step.can_choose_payout:
        yield f'<form method="post" action="{step.id}/payout-details.html?token={quote(token)}">'
        yield FIELDS
    yield "</article>"


def _day(day: date) -> str:
    return day.strftime("%d %B %Y")
