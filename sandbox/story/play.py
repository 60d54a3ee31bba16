"""The story's steps. Nothing is said that was not read back from a service, the provider, the mail catcher or the CRM receiver."""

from __future__ import annotations

import json
import secrets
from datetime import datetime, timedelta

from chassis.clock import SystemClock
from contracts.booking import BookingConfirmed, SeatsSecured
from contracts.event import Event
from contracts.money import Money
from contracts.payment import PaymentAuthorized, PaymentRefunded, PaymentSucceeded
from contracts.refund import RefundApproved

from sandbox.story import eventlog
from sandbox.story.eventlog import Happened
from sandbox.story.shop import CARD_WITH_3DS, Bought, Json, Shop, ShopError, until
from sandbox.story.timeline import Timeline

STARTS_IN = timedelta(hours=30)
SEATS = 2


class Story:
    """One run."""

    def __init__(self, shop: Shop, timeline: Timeline) -> None:
        self._shop = shop
        self._tell = timeline.say

    async def play(self) -> Bought:
        """All of it. Raises ShopError with the first thing that went wrong."""
        bought = await self._hold()
        await self._pay(bought)
        await self._confirmed(bought)
        await self._cancel(bought)
        await self._refunded(bought)
        return bought

    async def _hold(self) -> Bought:
        created = await self._shop.create_event(f"Story {secrets.token_hex(3)}", STARTS_IN, capacity=50)
        event = await self._shop.ask("booking", "GET", f"/api/events/{created['id']}")
        starts = _instant(event["starts_at"]).astimezone()
        self._tell(
            "booking",
            SystemClock().now(),
            f'event "{event["name"]}" created, starts {starts:%a %d %b %H:%M}',
        )
        buyer = f"buyer-{secrets.token_hex(4)}@example.org"
        bought = await self._shop.book(event, SEATS, {"name": "Grace Hopper", "email": buyer})
        booking = await self._shop.read(bought)
        until_ = _instant(booking["hold_expires_at"]).astimezone()
        self._tell(
            "booking",
            _instant(booking["placed_at"]),
            f"{SEATS} seats held until {until_:%H:%M:%S} for {_money(booking['total'])}",
        )
        return bought

    async def _pay(self, bought: Bought) -> None:
        opened = await self._shop.open_payment(bought)
        intent = await self._shop.enter_card(opened, CARD_WITH_3DS)
        if intent["status"] == "requires_action":
            await self._shop.pass_3d_secure(intent)
        intent = await self._shop.provider("GET", f"/v1/payment_intents/{intent['id']}")
        if intent["status"] not in {"requires_capture", "succeeded"}:
            raise ShopError("stripe", f"after 3-D Secure the intent is {intent['status']}")
        self._tell("stripe", SystemClock().now(), f"card entered, 3-D Secure passed: {intent['status']}")
        await self._shop.sync(opened, bought)
        await self._happened(bought, PaymentAuthorized, "authorized: reserved on the card, nothing charged yet")
        await self._happened(bought, SeatsSecured, "seats secured for the payment")
        await self._happened(bought, PaymentSucceeded, "captured")

    async def _confirmed(self, bought: Bought) -> None:
        happened = await self._happened(bought, BookingConfirmed, None)
        booking = await until("booking", "the confirmation", lambda: self._with_status(bought, "confirmed"))
        codes = [ticket["code"] for ticket in booking["tickets"]]
        self._tell("booking", happened.at, f"confirmed, {len(codes)} tickets issued")
        mail = await until("notification", "the mail with the tickets", lambda: self._mail(bought, codes[0]))
        missing = [code for code in codes if code not in mail["text"]]
        if missing:
            raise ShopError("notification", f"{len(missing)} of the ticket codes are not in the mail")
        files = ", ".join(sorted({attachment["content_type"] for attachment in mail["attachments"]}))
        self._tell("mail", _instant(mail["received_at"]), f'"{mail["subject"]}" arrived, with tickets ({files})')
        await self._crm_told(bought, "booking.confirmed")

    async def _cancel(self, bought: Bought) -> None:
        quote = await until("refund", "a quote for the paid booking", lambda: self._paid_quote(bought))
        self._tell(
            "refund", _instant(quote["now"]), f"quote: {quote['percent']} %, {_money(quote['amount'])}. {quote['rule']}"
        )
        cancelled = await self._shop.cancel(bought)
        received = _instant(cancelled["cancelled_at"])
        ahead = (_instant(cancelled["event"]["starts_at"]) - received).total_seconds() / 3600
        self._tell(
            "booking",
            received,
            f"cancelled by the {cancelled['cancelled_by']}, {ahead:.1f} h before the start; seats are free",
        )

    async def _refunded(self, bought: Bought) -> None:
        approved = await self._happened(bought, RefundApproved, None)
        decided = RefundApproved.model_validate_json(approved.body)
        self._tell("refund", approved.at, f"approved: {decided.amount}")
        await self._happened(bought, PaymentRefunded, "refund accepted by the provider")
        booking = await until("booking", "the refund on the booking", lambda: self._with_refund(bought))
        if booking["refunded_minor"] != decided.amount.amount_minor:
            raise ShopError(
                "booking", f"shows {booking['refunded_minor']} refunded, {decided.amount.amount_minor} was approved"
            )
        refund = await self._shop.ask("refund", "GET", f"/api/refunds/{decided.refund_id}", headers=bought.headers)
        if refund["status"] != "succeeded":
            raise ShopError("refund", f"the refund is {refund['status']} although booking shows it")
        self._tell(
            "refund",
            _instant(refund["updated_at"]),
            f"{refund['status']}: {_money(refund['amount'])} of {_money(booking['total'])}",
        )
        shown = f"{decided.amount.amount_minor / 100:.2f}"
        mail = await until("notification", "the mail about the refund", lambda: self._mail(bought, shown, "refund"))
        self._tell("mail", _instant(mail["received_at"]), f'"{mail["subject"]}" arrived, naming {shown}')
        await self._crm_told(bought, "refund.completed")

    async def _happened(self, bought: Bought, event: type[Event], what: str | None) -> Happened:
        """Waits for an event about the booking, and tells it unless `what` is None."""
        databases = self._shop.status["databases"]
        happened = await until(
            event.publisher, event.__name__, lambda: eventlog.find(databases, event.publisher, event.type, bought.id)
        )
        if what is not None:
            self._tell(happened.service, happened.at, what)
        return happened

    async def _with_status(self, bought: Bought, status: str) -> Json | None:
        booking = await self._shop.read(bought)
        return booking if booking["status"] == status else None

    async def _with_refund(self, bought: Bought) -> Json | None:
        booking = await self._shop.read(bought)
        return booking if booking["refunded_minor"] else None

    async def _paid_quote(self, bought: Bought) -> Json | None:
        quote = await self._shop.quote(bought)
        return quote if quote["state"] == "paid" else None

    async def _mail(self, bought: Bought, containing: str, subject: str = "") -> Json | None:
        mails = await self._shop.mails(bought.id)
        found = [mail for mail in mails if containing in mail["text"] and subject in mail["subject"]]
        if len(found) > 1:
            raise ShopError("notification", f'"{found[0]["subject"]}" was sent {len(found)} times')
        return found[0] if found else None

    async def _crm_told(self, bought: Bought, kind: str) -> None:
        async def verified() -> Json | None:
            return next((told for told in await self._shop.crm(bought.id, kind) if told["verified"]), None)

        told = await until("notification", f"the CRM being told {kind}", verified)
        self._tell("crm", _instant(told["received_at"]), f"told {json.dumps(kind)}, signature verified")


def _money(money: Json) -> str:
    return str(Money(money["amount_minor"], money["currency"]))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
