"""The dashboard: who may do what, and the work of a day at the desk."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import aio_pika
import httpx2
import pytest
from playwright.async_api import Route, expect

from tests.e2e.pages.conftest import NewVisitor
from tests.e2e.pages.visitor import Visitor
from tests.e2e.stack import Stack, contact

MONTH = timedelta(days=30)
PLACES = (
    "", "/events", "/bookings", "/refunds", "/payments", "/reviews", "/disputes", "/mails", "/surveys", "/crm", "/parked",
)  # fmt: skip


async def test_a_viewer_sees_and_changes_nothing(stack: Stack, visitor: Visitor) -> None:
    """What a role may not do is not shown, and is refused to whoever asks all the same."""
    event = await stack.shop.create_event(f"Seen {secrets.token_hex(4)}", MONTH, capacity=5)
    await visitor.sign_in("viewer", f"/staff/events/{event['id']}")
    await visitor.sees(event["name"])
    for name in ("Edit", "Cancel event", "Put on sale"):
        await expect(visitor.button(name)).to_have_count(0)
    token = await visitor.page.evaluate("JSON.parse(sessionStorage['staff-session']).token")
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {token}"}) as http:
        answer = await http.post(
            stack.url(f"/api/events/{event['id']}/cancel"), headers={"Idempotency-Key": secrets.token_hex(8)}
        )
    assert answer.status_code == 403


async def test_a_sign_in_that_was_not_begun_here_is_explained(visitor: Visitor) -> None:
    """A code that somebody else asked for opens nothing."""
    await visitor.page.goto("/staff/signed-in?code=stolen&state=other")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("Signing in did not work")


async def test_a_session_is_its_tabs_and_ends_here_and_at_the_issuer(stack: Stack, visitor: Visitor) -> None:
    """A reload asks for no sign-in. The token is in the tab's own storage and in headers, never in an address or where other tabs read.

    After a sign-out nothing of the desk comes back with the browser's button, and the issuer asks whoever comes next.
    """
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    page, issuer = visitor.page, stack.status["issuer"]
    await visitor.sign_in("viewer", "/staff/events")
    session = await page.evaluate("JSON.parse(sessionStorage['staff-session'])")
    silent = (await page.evaluate("url => fetch(url).then(answer => answer.json())", "/config.json"))["oidc_client_id"]
    query = {
        "response_type": "code", "client_id": silent, "redirect_uri": stack.url("/staff/signed-in"), "prompt": "none",
        "code_challenge": "x" * 43, "code_challenge_method": "S256",
    }  # fmt: skip

    async def known_at_the_issuer() -> bool:
        answer = await visitor.context.request.get(f"{issuer}/authorize?{urlencode(query)}", max_redirects=0)
        return "code=" in answer.headers["location"]

    assert await known_at_the_issuer()
    before = len(asked)
    await page.reload()
    await visitor.sees("Events")
    assert not [url for url in asked[before:] if url.startswith(issuer)]
    assert "code=" not in page.url
    assert not [url for url in asked if session["token"] in url]
    kept = await page.evaluate("Object.values(localStorage).join()")
    assert session["token"] not in kept
    assert session["idToken"] not in kept

    await visitor.button("Sign out").click()
    await visitor.sees("You are signed out")
    assert await page.evaluate("sessionStorage.getItem('staff-session')") is None
    assert not await known_at_the_issuer()
    await page.go_back(wait_until="commit")
    await page.locator("form button[name=role]").first.wait_for()
    assert page.url.startswith(issuer)
    assert "prompt=login" in page.url


async def test_a_sign_in_that_ends_amid_work_is_renewed_beside_it(stack: Stack, visitor: Visitor) -> None:
    """The API takes the token no more, whatever the clock says: one dialog, what is typed stays, and what was asked for is done once."""
    event = await stack.shop.create_event(f"Renewed {secrets.token_hex(4)}", MONTH, capacity=5)
    bought = await stack.shop.book(event, 1, contact())
    await stack.buy(bought)
    page = visitor.page
    await visitor.sign_in("refunder", f"/staff/bookings/{bought.id}")
    await visitor.button("Refund").click()
    form = page.get_by_role("dialog", name="Refund", exact=True)
    await form.get_by_label("An amount").check()
    await form.get_by_label("Amount in EUR").fill("5.00")
    await form.get_by_label("Reason").select_option("goodwill")
    token = await page.evaluate("JSON.parse(sessionStorage['staff-session']).token")

    async def refuse(route: Route) -> None:
        if (await route.request.header_value("authorization")) == f"Bearer {token}":
            await route.fulfill(
                status=401, json={"detail": "The token is revoked."}, content_type="application/problem+json"
            )
        else:
            await route.continue_()

    await page.route("**/api/**", refuse)
    await form.get_by_role("button", name="Refund €5.00").click()
    over = page.get_by_role("dialog", name="Your sign-in has ended: sign in again")
    await expect(over).to_have_count(1)
    async with visitor.context.expect_page() as beside:
        await over.get_by_role("link", name="Sign in").click()
    other = await beside.value
    await other.locator("button[name=role][value=refunder]").click()
    await expect(form.get_by_text("on its way to the payment provider")).to_be_visible()
    await expect(over).to_have_count(0)
    assert page.url.endswith(f"/staff/bookings/{bought.id}")
    given = "SELECT count(*) FROM refunds WHERE booking_id = $1 AND amount_minor = 500"
    assert await stack.count("refund", given, bought.booking["id"]) == 1


async def test_every_place_of_the_desk_is_readable(stack: Stack, new_visitor: NewVisitor) -> None:
    """For a manager, on a phone as well, without a serious finding of axe."""
    await stack.shop.ask("booking", "GET", "/api/events")
    visitor = await new_visitor()
    await visitor.sign_in("manager")
    findings = []
    for place in PLACES:
        await visitor.page.goto(f"/staff{place}")
        await visitor.page.get_by_role("heading", level=1).wait_for()
        await visitor.page.wait_for_load_state("networkidle")
        findings += [f"{place}: {found}" for found in await visitor.violations()]
    assert findings == []


async def test_staff_find_a_booking_and_refund_a_part(stack: Stack, visitor: Visitor) -> None:
    """By name and by e-mail, which rest sealed; the dialog says what is left, a double click refunds once, the timeline tells of it."""
    event = await stack.shop.create_event(f"Refunded {secrets.token_hex(4)}", MONTH, capacity=5)
    who = contact(f"Zuse Konrad{secrets.token_hex(3)}")
    bought = await stack.shop.book(event, 2, who)
    await stack.buy(bought)
    await visitor.sign_in("refunder", "/staff/bookings")
    for words in (who["name"].split()[1], who["email"]):
        await visitor.page.get_by_role("searchbox").fill(words)
        await visitor.page.wait_for_url(f"**/bookings?q={quote_plus(words)}")
        await expect(visitor.page.get_by_role("link", name=who["name"])).to_be_visible()
    await visitor.page.get_by_role("link", name=who["name"]).click()
    await visitor.sees(f"Booking of {who['name']}")
    await visitor.button("Refund").click()
    dialog = visitor.page.get_by_role("dialog")
    await dialog.get_by_label("An amount").check()
    await dialog.get_by_label("Amount in EUR").fill("12.34")
    await dialog.get_by_label("Reason").select_option("goodwill")
    await dialog.get_by_role("button", name="Refund €12.34").dblclick()
    await expect(dialog.get_by_text("on its way to the payment provider")).to_be_visible()
    await dialog.get_by_role("button", name="Close").last.click()
    await expect(visitor.page.get_by_text("€37.66").first).to_be_visible(timeout=30_000)
    given = "SELECT count(*) FROM refunds WHERE booking_id = $1 AND amount_minor = 1234"
    assert await stack.count("refund", given, bought.booking["id"]) == 1
    await stack.verify()


async def test_an_event_is_found_on_the_server_and_its_bookings_with_it(stack: Stack, visitor: Visitor) -> None:
    """By any part of its name; the choice is in the address, and its name there again after a reload."""
    mark = secrets.token_hex(4)
    events = [await stack.shop.create_event(f"{name} {mark}", MONTH, capacity=5) for name in ("Tosca", "Aida")]
    for event, name in zip(events, ("Ada Lovelace", "Grace Hopper"), strict=True):
        await stack.shop.book(event, 1, contact(name))
    await visitor.sign_in("viewer", "/staff/bookings")
    chooser = visitor.page.get_by_role("combobox", name="Event")
    async with visitor.page.expect_request(re.compile(rf"/api/events\?.*q=aida(\+|%20){mark}")):
        await chooser.fill(f"aida {mark}")
    await visitor.page.get_by_role("option", name=re.compile(f"^Aida {mark}")).click()
    await visitor.page.wait_for_url(f"**/bookings?event_id={events[1]['id']}")
    await visitor.page.reload()
    await expect(chooser).to_have_value(re.compile(f"^Aida {mark}"))
    table = visitor.page.get_by_role("table", name="Bookings")
    await expect(table.get_by_role("link", name="Grace Hopper")).to_be_visible()
    await expect(table.get_by_role("link", name="Ada Lovelace")).to_have_count(0)
    await visitor.page.goto("/staff/events")
    await visitor.page.get_by_role("searchbox").fill(f"{mark} tos")
    await expect(visitor.page.get_by_role("table", name="Events").get_by_role("link")).to_have_text([f"Tosca {mark}"])


async def test_a_rejected_payments_failed_refund_is_retried(stack: Stack, visitor: Visitor) -> None:
    """Payment gives back by itself what was charged for nothing; where that fails staff need not wait for the next day."""
    event = await stack.shop.create_event(f"Doubted {secrets.token_hex(4)}", MONTH, capacity=5)
    bought = await stack.shop.book(event, 1, contact())
    wrong = {"operation": "payment_intents.capture", "kind": "mutate", "count": 1, "replace": {"amount_received": 4}}
    await stack.provider_control("POST", "/faults", wrong)
    payment_id = (await stack.pay(bought))["payment"]["id"]
    await visitor.sign_in("refunder", "/staff/reviews")
    row = visitor.page.get_by_role("table", name="Payment reviews").get_by_role("row")
    row = row.filter(has=visitor.page.locator(f"a[href$='{payment_id}'], a[href$='{bought.id}']"))
    await row.get_by_role("button", name="Reject").click(timeout=60_000)
    refunds = visitor.page.get_by_role("table", name="Refunds at the provider")
    await stack.provider_control("PUT", "/refund-course", {"course": "fails_at_once"})
    try:
        await visitor.page.get_by_role("dialog").get_by_role("button", name="Reject").click()
        await visitor.page.goto(f"/staff/payments/{payment_id}")
        await expect(refunds).to_contain_text("failed", timeout=60_000)
    finally:
        await stack.provider_control("PUT", "/refund-course", {"course": None})
    await refunds.get_by_role("button", name="Retry").click()
    await visitor.page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    await expect(refunds).to_contain_text("succeeded", timeout=60_000)
    await expect(refunds.get_by_role("button", name="Retry")).to_have_count(0)
    await stack.verify()


async def test_a_large_refund_waits_for_a_second_person(stack: Stack, new_visitor: NewVisitor) -> None:
    """Who asked cannot approve; a colleague can."""
    event = await stack.shop.create_event(f"Large {secrets.token_hex(4)}", MONTH, capacity=5, price_minor=60_000)
    bought = await stack.shop.book(event, 1, contact())
    await stack.buy(bought)
    first = await new_visitor()
    await first.sign_in("manager", f"/staff/bookings/{bought.id}", name="first")
    await first.button("Refund").click()
    dialog = first.page.get_by_role("dialog")
    await dialog.get_by_label(re.compile("^All that remains")).check()
    await dialog.get_by_label("Reason").select_option("staff_cancelled")
    await dialog.get_by_role("button", name="Refund €600.00").click()
    await dialog.get_by_role("link", name="Open the refund").click()
    await first.sees(re.compile("Refund"))
    await expect(first.button("Approve")).to_have_count(0)
    second = await new_visitor()
    await second.sign_in("manager", "/staff/refunds?view=approval", name="second")
    await second.page.goto(first.page.url)
    await second.button("Approve").first.click()
    await second.page.get_by_role("dialog").get_by_role("button", name=re.compile("^Approve")).click()
    await expect(second.page.get_by_text("succeeded").first).to_be_visible(timeout=60_000)


async def test_an_event_is_planned_sold_and_cancelled_from_the_desk(stack: Stack, new_visitor: NewVisitor) -> None:
    """A draft that nobody sees, put on sale, booked by a buyer, cancelled by typing its name; everybody is refunded while one watches."""
    desk, buyer = await new_visitor(), await new_visitor()
    name = f"Planned {secrets.token_hex(4)}"
    await desk.sign_in("manager", "/staff/events/new")
    await desk.page.get_by_label("Name").first.fill(name)
    await desk.page.get_by_label("Venue").first.fill("The Old Cinema")
    await desk.page.get_by_label("Starts").fill("2031-05-01T20:00")
    await desk.page.get_by_label("Ends").fill("2031-05-01T22:00")
    await desk.page.get_by_label(re.compile("^Price")).fill("25")
    await desk.page.get_by_label("Seats").fill("10")
    await desk.page.get_by_label("Name").nth(1).fill("Stalls")
    await desk.button("Save as a draft").click()
    await desk.sees(name)
    event = {"id": desk.page.url.rpartition("/")[2], "name": name}
    await buyer.page.goto(f"/events/{event['id']}")
    await buyer.sees("There is nothing here")
    await desk.button("Put on sale").click()
    await expect(desk.button("Put on sale")).to_have_count(0)
    await buyer.book(event, 2)
    await desk.button("Cancel event").click()
    dialog = desk.page.get_by_role("dialog")
    await expect(dialog.get_by_text("€50.00")).to_be_visible()
    cancel = dialog.get_by_role("button", name="Cancel the event and refund everybody")
    await expect(cancel).to_be_disabled()
    await dialog.get_by_label(re.compile("^Type the event's name")).fill(name)
    await cancel.click()
    await desk.sees("Refunds of this event")
    await expect(desk.page.get_by_text("finished").first).to_be_visible(timeout=60_000)
    await buyer.page.reload()
    await buyer.sees("The event was cancelled")
    await stack.verify()


@pytest.mark.parametrize("service", ["notification", "refund"])
async def test_a_booking_stays_readable_while_a_service_is_away(whole: Stack, visitor: Visitor, service: str) -> None:
    event = await whole.shop.create_event(f"Away {secrets.token_hex(4)}", MONTH, capacity=5)
    bought = await whole.shop.book(event, 1, contact("Ada Lovelace"))
    await whole.buy(bought)
    await visitor.sign_in("manager", "/staff")
    await whole.stop(service)
    await visitor.page.goto(f"/staff/bookings/{bought.id}")
    await visitor.sees("Booking of Ada Lovelace")
    await expect(visitor.page.get_by_text(re.compile("not available|does not answer|cannot say")).first).to_be_visible()
    await whole.start(service)


async def test_a_manager_discards_a_parked_message(whole: Stack, visitor: Visitor) -> None:
    """Its error and its body are read, a dry run tells what it would do, a reason is asked for; a service that is away leaves a note."""
    await park(whole, "refund.payment-balance-read", '{"nonsense": true}')
    await visitor.sign_in("manager", "/staff/parked")
    parked = visitor.page.get_by_role("table", name="Parked messages of refund")
    await expect(parked).to_contain_text("KeyError: planted")
    await parked.get_by_role("link").click()
    await visitor.sees("Body")
    await expect(visitor.page.get_by_text('"nonsense": true')).to_be_visible()
    dialog = visitor.page.get_by_role("dialog")
    await visitor.button("Dry run").click()
    await dialog.get_by_role("button", name="Try it").click()
    await expect(dialog.get_by_role("status")).to_contain_text("cannot be read")
    await dialog.get_by_role("button", name="Close").last.click()

    await whole.stop("notification")
    await visitor.page.goto("/staff/parked")
    await expect(visitor.page.get_by_text("The list of notification is not available right now")).to_be_visible()
    await parked.get_by_role("button", name="Discard").click()
    await dialog.get_by_label("Reason").fill("no event of ours")
    await dialog.get_by_role("button", name="Discard").click()
    await expect(parked).to_have_count(0)
    await whole.start("notification")
    (row,) = await whole.rows("refund", "SELECT reason FROM audit WHERE action = 'parked.discard'")
    assert row["reason"] == "no event of ours"
    await whole.verify()


async def park(stack: Stack, queue: str, body: str) -> None:
    """A message as a service gives one up."""
    async with await aio_pika.connect(stack.status["rabbitmq"]["amqp"]) as connection, connection.channel() as channel:
        message = aio_pika.Message(
            body.encode(),
            headers={"x-tried": 6, "x-error": "KeyError: planted"},
            message_id=str(uuid4()),
            type="payment.balance-read.v1",
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await channel.default_exchange.publish(message, f"{queue}.parked", mandatory=True)
