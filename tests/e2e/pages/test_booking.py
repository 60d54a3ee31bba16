"""Booking pages: from the list of events to tickets in the hand, and whatever may come in between."""

from __future__ import annotations

import html
import re
import secrets
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from playwright.async_api import Request, Route, expect

from sandbox.story.shop import Bought, Json
from tests.e2e.pages.conftest import NewVisitor
from tests.e2e.pages.visitor import CARD_WITH_3DS, DECLINED, Visitor
from tests.e2e.stack import Stack, order, until

MONTH = timedelta(days=30)


@pytest.fixture
async def event(stack: Stack) -> Json:
    return await stack.shop.create_event(f"Evening {secrets.token_hex(4)}", MONTH, capacity=20)


async def test_a_card_buys_tickets_that_open_again_anywhere(
    stack: Stack, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """From the list to two tickets with their codes; reload, a second tab and the mail's link on another device show the same.

    What books and what pays is one trace, although the page was reloaded in between.
    """
    traced: list[tuple[str, str]] = []

    def note(request: Request) -> None:
        if "traceparent" in request.headers:
            traced.append((urlsplit(request.url).path, request.headers["traceparent"].split("-")[1]))

    visitor.page.on("request", note)
    event = await stack.shop.create_event(f"Soon {secrets.token_hex(4)}", timedelta(minutes=20), capacity=20)
    await visitor.page.goto("/")
    await visitor.page.get_by_role("link", name=event["name"]).click()
    await visitor.sees(event["name"])
    await visitor.choose(event, 2)
    await expect(visitor.page.get_by_text("€50.00").first).to_be_visible()
    await visitor.button("Reserve and pay").click()
    await visitor.sees("Pay for your tickets")
    booking_id = visitor.booking_id
    await visitor.page.reload()
    await visitor.sees("Pay for your tickets")
    await visitor.pay()
    await visitor.sees("You are booked")
    codes = visitor.page.get_by_role("img", name=re.compile("^Code of "))
    await expect(codes).to_have_count(2)
    assert {"/api/bookings", "/api/payments"} <= {path for path, _ in traced}
    assert len({trace for _, trace in traced}) == 1
    await visitor.page.reload()
    await expect(codes).to_have_count(2)
    second_tab = await visitor.context.new_page()
    await second_tab.goto(f"/bookings/{booking_id}")
    await expect(second_tab.get_by_role("heading", name="You are booked")).to_be_visible()

    stranger = await new_visitor(phone=True)
    await stranger.page.goto(f"/bookings/{booking_id}")
    await stranger.sees("Open your booking from your mail")
    token = await visitor.page.evaluate("Object.values(localStorage).find((kept) => kept.includes('.'))")
    await stranger.page.goto(f"/bookings/{booking_id}#token={token}")
    await stranger.sees("You are booked")
    assert "token" not in stranger.page.url
    confirmed = "SELECT count(*) FROM bookings WHERE id = $1 AND status = 'confirmed'"
    assert await stack.count("booking", confirmed, UUID(booking_id)) == 1


async def test_3d_secure_that_fails_and_then_passes(visitor: Visitor, event: Json) -> None:
    """The bank's page lies over the shop's; a failed one leaves the booking payable."""
    await visitor.reserve(event)
    await visitor.pay(CARD_WITH_3DS)
    await visitor.answer_challenge("Fail")
    await expect(visitor.page.get_by_role("alert").first).to_contain_text("nothing was charged")
    await visitor.pay(CARD_WITH_3DS)
    await visitor.answer_challenge("Complete")
    await visitor.sees("You are booked")


async def test_a_declined_card_is_explained_and_another_one_pays(visitor: Visitor, event: Json) -> None:
    await visitor.reserve(event)
    await visitor.pay(DECLINED)
    await expect(visitor.page.get_by_role("alert").first).to_contain_text("not enough money on this card")
    await visitor.page.reload()
    await visitor.pay()
    await visitor.sees("You are booked")


async def test_a_reload_at_the_challenge_goes_on_where_it_was(visitor: Visitor, event: Json) -> None:
    await visitor.reserve(event)
    await visitor.pay(CARD_WITH_3DS)
    await visitor.is_challenged()
    await visitor.page.reload()
    await visitor.button("Confirm at my bank").click()
    await visitor.answer_challenge("Complete")
    await visitor.sees("You are booked")


async def test_a_hold_that_ends_at_the_challenge_charges_nothing(stack: Stack, visitor: Visitor, event: Json) -> None:
    """The seats are free again while the bank still asks: the page says so, and no money moves."""
    booking_id = await visitor.reserve(event)
    await visitor.pay(CARD_WITH_3DS)
    await visitor.is_challenged()
    await _end_hold(stack, booking_id)
    await visitor.sees("Your reservation has expired")
    await expect(visitor.page.get_by_text("You have not been charged.")).to_be_visible()

    async def is_let_go() -> bool:
        status = "SELECT count(*) FROM payments WHERE booking_id = $1 AND status IN ('failed', 'voided')"
        return await stack.count("payment", status, UUID(booking_id)) == 1

    await until(is_let_go, "the payment is not over")


async def test_seats_that_went_to_others_are_not_charged(whole: Stack, visitor: Visitor) -> None:
    """The money came when the hold had ended and somebody else had the last seat."""
    event = await whole.shop.create_event(f"Last seat {secrets.token_hex(4)}", MONTH, capacity=1)
    booking_id = await visitor.reserve(event)
    await whole.stop("rabbitmq")  # what payment has to say waits in its outbox
    await visitor.pay()
    await visitor.sees("One moment, your payment is being confirmed")
    await _end_hold(whole, booking_id)
    await whole.shop.book(event, 1, order(event)["contact"])
    await whole.start("rabbitmq")
    await visitor.sees("The seats were gone, and you are not charged", within_s=60)
    await visitor.page.reload()
    await visitor.sees("The seats were gone, and you are not charged")


async def test_a_sold_out_event_says_what_is_left(stack: Stack, visitor: Visitor) -> None:
    event = await stack.shop.create_event("Pages, two seats", MONTH, capacity=2)
    await visitor.choose(event, 2)
    await stack.shop.book(event, 1, order(event)["contact"])
    await visitor.button("Reserve and pay").click()
    await expect(visitor.page.get_by_role("alert").first).to_contain_text("only 1 is left")
    await visitor.page.get_by_label("Number of tickets, Stalls").select_option("1")
    await visitor.button("Reserve and pay").click()
    await visitor.sees("Pay for your tickets")


async def test_nobody_pays_and_the_page_says_so(stack: Stack, visitor: Visitor, event: Json) -> None:
    """As long as the seats are held, the event's page leads back to the payment."""
    booking_id = await visitor.reserve(event)
    await visitor.page.go_back()
    held = visitor.page.get_by_text("You hold 1 seat until")
    await expect(held).to_be_in_viewport()
    await visitor.page.get_by_role("link", name="go on to payment").click()
    await visitor.sees("Pay for your tickets")
    await _end_hold(stack, booking_id)
    await visitor.sees("Your reservation has expired")
    await visitor.page.get_by_role("link", name="Choose seats again").click()
    await expect(visitor.page.get_by_label("Number of tickets, Stalls")).to_have_value("1")
    await expect(held).to_have_count(0)


@pytest.mark.parametrize(
    ("starts_in", "goes_back"),
    [
        (timedelta(days=10), "€50.00 goes back to you"),
        (timedelta(hours=30), "€25.00 goes back to you"),
        (timedelta(hours=3), "Nothing goes back to you"),
    ],
)
async def test_a_cancellation_says_first_what_goes_back(
    stack: Stack, visitor: Visitor, starts_in: timedelta, goes_back: str
) -> None:
    """100, 50 and 0 %: the quote, then the cancelled booking with its money."""
    event = await stack.shop.create_event(f"Pages, cancelled {starts_in}", starts_in, capacity=5)
    await visitor.book(event, 2)
    await visitor.button("Cancel booking or tickets").click()
    await expect(visitor.page.get_by_text(goes_back)).to_be_visible()
    await visitor.button("Cancel the booking").click()
    await visitor.sees("Your booking is cancelled")
    if goes_back.startswith("€"):
        await expect(visitor.page.get_by_text(re.compile("accepted your refund"))).to_be_visible(timeout=30_000)
    else:
        await expect(visitor.page.get_by_text("By the refund terms nothing goes back.")).to_be_visible()


async def test_one_of_two_tickets_is_given_back(visitor: Visitor, event: Json) -> None:
    await visitor.book(event, 2)
    await visitor.button("Cancel booking or tickets").click()
    await visitor.page.get_by_role("checkbox").first.uncheck()
    await expect(visitor.page.get_by_text("€25.00 goes back to you")).to_be_visible()
    await visitor.button("Give 1 ticket back").click()
    await expect(visitor.page.get_by_role("img", name=re.compile("^Code of "))).to_have_count(1)
    await expect(visitor.page.get_by_text("of which 1 given back")).to_be_visible()


async def test_a_german_phone_books_by_keyboard_alone(new_visitor: NewVisitor, event: Json) -> None:
    """Language by the browser, 360 px without sideways scrolling, each step reached with Tab, Space and Enter."""
    visitor = await new_visitor(phone=True, language="de-DE")
    page = visitor.page
    await page.goto(f"/events/{event['id']}")
    await page.get_by_label(re.compile("Anzahl.*Stalls")).focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Grete Minde")
    await page.keyboard.press("Tab")
    await page.keyboard.type("grete@example.org")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    assert await visitor.violations() == []
    await page.keyboard.press("Tab")
    async with page.expect_request(
        lambda request: (request.method, request.url[-13:]) == ("POST", "/api/bookings")
    ) as placing:
        await page.keyboard.press("Enter")
    assert (await placing.value).post_data_json["language"] == "de"
    await expect(visitor.card_form.locator("[name=number]")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await visitor.enter_card()
    await visitor.button(re.compile("bezahlen$")).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("img", name=re.compile("^Code"))).to_have_count(1)
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert await visitor.violations() == []
    assert await page.locator("html").get_attribute("lang") == "de"


async def test_a_survey_is_answered_from_its_mail(stack: Stack, new_visitor: NewVisitor, event: Json) -> None:
    """By keyboard, on a phone, in the mail's language. Its link chooses an answer and gives none; the token leaves the address.

    Staff read it in the list of answers, and with its booking.
    """
    placed = await stack.shop.ask("booking", "POST", "/api/bookings", json={**order(event), "language": "de"})
    bought = Bought(placed["booking"], placed["access_token"])
    await stack.buy(bought)
    await stack.shop.cancel(bought)
    link = await _survey_link(stack, bought.id)
    visitor = await new_visitor(phone=True, language="de-DE")
    page = visitor.page
    await page.goto(link)
    await visitor.sees("Wie lief Ihre Erstattung?")
    await expect(page.get_by_role("radio", name="4, gut")).to_be_checked()
    assert "token" not in page.url
    answer = "SELECT count(*) FROM surveys WHERE booking_id = $1 AND score = $2"
    assert (
        await stack.count("notification", f"{answer} OR booking_id = $1 AND score IS NOT NULL", UUID(bought.id), 4) == 0
    )
    assert await visitor.violations() == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.get_by_role("radio", name="4, gut").focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Schnell und ohne Rückfragen.")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await visitor.sees("Vielen Dank")
    await expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert await visitor.violations() == []
    assert await stack.count("notification", answer, UUID(bought.id), 5) == 1
    await page.reload()
    await expect(page.get_by_text("Sie haben 5 von 5 geantwortet.")).to_be_visible()
    await page.goto(f"/survey/{link.partition('/survey/')[2][:36]}#token=forged")
    await visitor.sees("Öffnen Sie die Umfrage aus Ihrer Mail")

    desk = await new_visitor()
    await desk.sign_in("viewer", "/staff/surveys")
    ours = desk.page.get_by_role("table", name="Survey answers").get_by_role("row")
    ours = ours.filter(has_text="Schnell und ohne Rückfragen.").filter(has=desk.page.locator(f"a[href$='{bought.id}']"))
    await expect(ours).to_contain_text("5 of 5")
    async with desk.page.expect_response(re.compile(r"/api/surveys\?max_score=2$")) as low:
        await desk.page.get_by_label("Low scores only").click()
    assert bought.id not in [found["booking_id"] for found in (await (await low.value).json())["items"]]
    await expect(ours).to_have_count(0)
    await desk.page.goto(f"/staff/bookings/{bought.id}")
    await expect(desk.page.get_by_role("table", name="Survey answers")).to_contain_text("5 of 5")


@pytest.mark.parametrize("service", ["booking", "payment", "refund"])
async def test_a_page_says_what_is_away_and_recovers(whole: Stack, visitor: Visitor, event: Json, service: str) -> None:
    """Nothing is blank while a service is stopped, and nothing has to be reloaded when it is back."""
    if service == "refund":
        await visitor.book(event)
    elif service == "payment":
        await visitor.choose(event)
    await whole.stop(service)
    if service == "booking":
        await visitor.page.goto(f"/events/{event['id']}")
        await expect(visitor.page.get_by_text("not available right now").first).to_be_visible()
    elif service == "payment":
        await visitor.button("Reserve and pay").click()
        await expect(visitor.page.get_by_text("Paying is not available right now.")).to_be_visible()
    else:
        await visitor.button("Cancel booking or tickets").click()
        await expect(visitor.page.get_by_text("We cannot work out right now")).to_be_visible()
    await whole.start(service)
    if service == "booking":
        await visitor.sees(event["name"], within_s=40)
    elif service == "payment":
        await expect(visitor.card_form.locator("[name=number]")).to_be_visible(timeout=40_000)
    else:
        await expect(visitor.page.get_by_text("€25.00 goes back to you")).to_be_visible(timeout=40_000)


async def test_the_payment_page_loads_what_is_listed_and_nothing_else(
    stack: Stack, visitor: Visitor, event: Json
) -> None:
    """The inventory of docs/pages.md: scripts, frames and connections by their origin. Anything else fails."""
    seen: set[tuple[str, str]] = set()
    gateway, stripe = stack.status["gateway"], stack.status["stripe_sandbox"]

    async def look(route: Route) -> None:
        request = route.request
        origin = "/".join(request.url.split("/")[:3])
        seen.add((request.resource_type, {gateway: "gateway", stripe: "stripe"}.get(origin, origin)))
        await route.continue_()

    await visitor.context.route("**/*", look)
    await visitor.reserve(event)
    await visitor.pay(CARD_WITH_3DS)
    await visitor.answer_challenge("Complete")
    await visitor.sees("You are booked")
    assert {(kind, origin) for kind, origin in seen if not origin.startswith("data:")} <= {
        ("document", "gateway"),
        ("script", "gateway"),
        ("stylesheet", "gateway"),
        ("fetch", "gateway"),
        ("image", "gateway"),
        ("other", "gateway"),
        ("script", "stripe"),
        ("document", "stripe"),
        ("stylesheet", "stripe"),
        ("fetch", "stripe"),
        ("xhr", "stripe"),
    }
    inline = "[...document.querySelectorAll('script')].filter((script) => !script.src).length"
    assert await visitor.page.evaluate(inline) == 0


async def _survey_link(stack: Stack, booking_id: str) -> str:
    """The link of 4 of 5 in the mail that asks about a refund, whose time this lets come."""

    async def begun() -> bool:
        return (
            await stack.count(
                "notification",
                "SELECT count(*) FROM surveys WHERE booking_id = $1 AND kind = 'refund'",
                UUID(booking_id),
            )
            == 1
        )

    await until(begun, "no refund is known to the surveys")
    async with stack.database("notification") as connection:
        await connection.execute(
            "UPDATE surveys SET created_at = now() - interval '2 days', next_attempt_at = now() "
            "WHERE booking_id = $1 AND kind = 'refund' AND status = 'waiting'",
            UUID(booking_id),
        )

    async def mailed() -> list[str]:
        mails = await stack.shop.mails(booking_id)
        pages = [mail["html"] for mail in mails if mail["subject"].startswith("Wie lief die Erstattung")]
        return [html.unescape(link) for page in pages for link in re.findall(r'href="([^"]+score=4)"', page)]

    return (await until(mailed, "no mail asks how the refund was"))[0]


async def _end_hold(stack: Stack, booking_id: str) -> None:
    """As if the time to pay were over; returns when the seats are free."""
    async with stack.database("booking") as connection:
        await connection.execute(
            "UPDATE bookings SET hold_expires_at = now(), expiry_due_at = now() WHERE id = $1", UUID(booking_id)
        )

        async def is_over() -> bool:
            return await connection.fetchval("SELECT status = 'expired' FROM bookings WHERE id = $1", UUID(booking_id))

        await until(is_over, "the hold has not ended")
