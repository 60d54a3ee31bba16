"""Who may ask, what is known, how refusals look: docs.stripe.com/api/authentication and docs.stripe.com/api/errors."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

import pytest
import stripe

from sandbox.stripe import forms
from sandbox.stripe.routes import ROUTES
from tests.sandbox.stripe import oracle
from tests.sandbox.stripe.conftest import SECRET_KEY, Standin


async def asked(standin: Standin, method: str, path: str, **facts: Any) -> tuple[int, dict[str, Any], Any]:
    facts = {"headers": {"Authorization": f"Bearer {SECRET_KEY}"}} | facts
    async with standin.session.request(method, f"{standin.url}{path}", **facts) as answer:
        return answer.status, await answer.json(), answer.headers


async def test_the_secret_key_is_taken_as_bearer_and_basic(standin: Standin) -> None:
    """Both forms of the key work and every answer has its own request id and the pinned version."""
    basic = b64encode(f"{SECRET_KEY}:".encode()).decode()
    assert (await asked(standin, "GET", "/v1/balance", headers={"Authorization": f"Basic {basic}"}))[0] == 200
    _, _, first = await asked(standin, "GET", "/v1/balance")
    _, _, second = await asked(standin, "GET", "/v1/balance")
    assert first["Stripe-Version"] == stripe.api_version
    assert re.fullmatch(r"req_\w{14}", first["Request-Id"])
    assert first["Request-Id"] != second["Request-Id"]


@pytest.mark.parametrize("header", [None, "Bearer sk_test_wrong_wrong", "Basic !!!", "Bearer ", "Digest x"])
async def test_other_keys_are_refused(standin: Standin, header: str | None) -> None:
    """401 in Stripe's shape; at most the beginning of the key is repeated."""
    headers = {"Authorization": header} if header else {}
    status, body, answered = await asked(standin, "GET", "/v1/balance", headers=headers)
    assert status == 401
    assert oracle.error_violations(body) == []
    assert answered["Request-Id"]
    assert "wrong" not in str(body)


async def test_the_sdk_recognises_a_wrong_key(standin: Standin) -> None:
    """It raises its AuthenticationError."""
    client = stripe.StripeClient(
        "sk_test_other", base_addresses={"api": standin.url}, http_client=standin.witness, max_network_retries=0
    )
    with pytest.raises(stripe.AuthenticationError):
        await client.v1.balance.retrieve_async()


async def test_another_account_is_out_of_reach(standin: Standin) -> None:
    """`Stripe-Account` may name the stand-in's own account and no other."""
    own = await standin.client.v1.accounts.retrieve_current_async()
    await standin.client.v1.balance.retrieve_async(options={"stripe_account": own.id})
    with pytest.raises(stripe.PermissionError, match="acct_other"):
        await standin.client.v1.balance.retrieve_async(options={"stripe_account": "acct_other"})


async def test_what_only_stripe_offers_is_a_501_that_names_it(standin: Standin) -> None:
    """Routes and parameters that the SDK knows; the SDK does not repeat such a call."""
    for call in (
        standin.client.v1.payouts.list_async(),
        standin.client.v1.subscriptions.create_async({"customer": "cus_1"}),
        standin.client.v1.payment_intents.increment_authorization_async("pi_1", {"amount": 5}),
    ):
        with pytest.raises(stripe.APIError) as refused:
            await call
        assert refused.value.http_status == 501
        assert re.search(r"Stripe offers (GET|POST) /v1/\S+, its stand-in does not", str(refused.value))
        assert standin.witness.headers["Stripe-Should-Retry"] == "false"
    with pytest.raises(stripe.APIError, match=r"the parameter on_behalf_of of payment_intents\.create") as named:
        await standin.client.v1.payment_intents.create_async(
            {"amount": 5000, "currency": "eur", "on_behalf_of": "acct_1"}
        )
    assert named.value.http_status == 501


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nonsense"), ("DELETE", "/v1/refunds/re_1"), ("GET", "/v1/")])
async def test_what_nobody_offers_is_a_404(standin: Standin, method: str, path: str) -> None:
    """Stripe has no such route either."""
    status, body, _ = await asked(standin, method, path)
    assert status == 404
    assert body["error"]["message"].startswith(f"Unrecognized request URL ({method}: ")


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ("currency=eur", "parameter_missing", "amount"),
        ("amount=ten&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=5_000&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=50.00&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=&currency=eur", "parameter_invalid_empty", "amount"),
        ("amount=5000&currency=eur&colour=blue", "parameter_unknown", "colour"),
        ("amount=5000&currency=eur&capture_method=later", None, "capture_method"),
        ("amount=5000&currency=eur&confirm=perhaps", None, "confirm"),
        ("amount=5000&currency=eur&metadata=x", None, "metadata"),
        ("amount=999999999&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount[gte]=5000&currency=eur", "parameter_invalid_integer", "amount"),
        ("amount=5000&currency=eur&automatic_payment_methods[enabled]=1&automatic_payment_methods[x]=1", None, None),
        ("amount=5000&currency=eur&metadata[a[b]]=1", None, None),
        ("amount=5000&amount[x]=1&currency=eur", None, "amount[x]"),
        ("amount=5000&currency=eur&description=" + "x" * 1001, "parameter_invalid_string", "description"),
        ("amount=5000&currency=eur&expand[]=latest_charge.colour&expand[]=colour", None, "expand"),
    ],
)
async def test_parameters_are_checked(standin: Standin, form: str, code: str | None, param: str | None) -> None:
    """400 with the parameter's name and, where Stripe has one, its code; nothing is made."""
    headers = {"Authorization": f"Bearer {SECRET_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    status, body, _ = await asked(standin, "POST", "/v1/payment_intents", data=form, headers=headers)
    assert status == 400
    assert oracle.error_violations(body) == []
    assert body["error"].get("code") == code or code is None
    assert body["error"].get("param") == param or param is None
    assert (await standin.client.v1.payment_intents.list_async()).data == []


async def test_odd_bodies_are_refused_not_fatal(standin: Standin) -> None:
    """Bytes that are no text, deep brackets, too many fields, too large a body, a NUL: 400, or kept as they are."""
    headers = {"Authorization": f"Bearer {SECRET_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
    deep = "metadata" + "[a]" * 50 + "=1"
    many = "&".join(f"metadata[{number}]=x" for number in range(2000))
    for body in (b"\xff\xfe", deep, many, "x" * 300_000, "amount=%ff"):
        status, answer, _ = await asked(standin, "POST", "/v1/payment_intents", data=body, headers=headers)
        assert (status, oracle.error_violations(answer)) == (400, []), body[:20]
    intent = await standin.client.v1.payment_intents.create_async(
        {"amount": 5000, "currency": "eur", "metadata": {"_odd": "\u0000😀\r\n", "2": "two"}}
    )
    intent = await standin.client.v1.payment_intents.retrieve_async(intent.id)
    assert intent.metadata.to_dict() == {"_odd": "\u0000😀\r\n", "2": "two"}


def test_stripes_form_encoding() -> None:
    """Brackets nest; numbers and empty brackets make lists; metadata keys stay keys."""
    parsed = forms.parse("a=1&b[c][d]=2&l[1]=y&l[0]=x&m[]=p&m[]=q&metadata[0]=zero&o[0][n]=5")
    assert parsed == {
        "a": "1",
        "b": {"c": {"d": "2"}},
        "l": ["x", "y"],
        "m": ["p", "q"],
        "metadata": {"0": "zero"},
        "o": [{"n": "5"}],
    }


async def test_expansion(standin: Standin) -> None:
    """Ids become objects, down to four levels and inside lists; what cannot be expanded is refused."""
    v1 = standin.client.v1
    intent = await standin.paid()
    await v1.refunds.create_async({"payment_intent": intent.id, "amount": 100})
    found: Any = await v1.payment_intents.retrieve_async(
        intent.id,
        {
            "expand": [
                "latest_charge.balance_transaction.source",
                "latest_charge.refunds.data.balance_transaction",
                "payment_method",
            ]
        },
    )
    assert found.latest_charge.balance_transaction.source.id == intent.latest_charge
    assert found.latest_charge.refunds.data[0].balance_transaction.amount == -100
    assert found.payment_method.card.last4 == "4242"
    listed: Any = await v1.refunds.list_async({"expand": ["data.payment_intent.latest_charge"]})
    assert listed.data[0].payment_intent.latest_charge.id == intent.latest_charge
    for path in ("amount", "latest_charge.billing_details", "data.customer"):
        with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
            await v1.payment_intents.retrieve_async(intent.id, {"expand": [path]})
    with pytest.raises(stripe.InvalidRequestError, match=r"expanding 'data\.charge' instead"):
        await v1.refunds.list_async({"expand": ["charge"]})


async def test_lists_are_paged_newest_first(standin: Standin) -> None:
    """`limit`, `starting_after`, `ending_before` and `created`; the SDK's own iteration sees each object once."""
    v1 = standin.client.v1
    made = [
        (await v1.payment_intents.create_async({"amount": 100 + place, "currency": "eur"})).id for place in range(7)
    ]
    page = await v1.payment_intents.list_async({"limit": 3})
    assert ([each.id for each in page.data], page.has_more) == (made[:3:-1], True)
    back = await v1.payment_intents.list_async({"limit": 2, "ending_before": made[2]})
    assert [each.id for each in back.data] == [made[4], made[3]]
    everything = [each.id async for each in (await v1.payment_intents.list_async({"limit": 2})).auto_paging_iter()]
    assert everything == made[::-1]
    await standin.control("POST", "/clock", {"advance_seconds": 100})
    late = await v1.payment_intents.create_async({"amount": 100, "currency": "eur"})
    recent = await v1.payment_intents.list_async({"created": {"gt": late.created - 50}})
    assert [each.id for each in recent.data] == [late.id]
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent"):
        await v1.payment_intents.list_async({"starting_after": "pi_missing"})


async def test_search(standin: Standin) -> None:
    """By metadata, status and both; by page; and a clear word for the rest of the query language."""
    v1 = standin.client.v1
    wanted = [(await standin.authorised(metadata={"booking_id": "b", "n": str(number)})).id for number in range(3)]
    await standin.authorised(metadata={"booking_id": "other"})
    await v1.payment_intents.capture_async(wanted[0])
    found = await v1.payment_intents.search_async({"query": "metadata['booking_id']:'b'", "limit": 2})
    assert [each.id for each in found.data] == wanted[:0:-1]
    assert found.next_page
    rest = await v1.payment_intents.search_async({"query": "metadata['booking_id']:'b'", "page": found.next_page})
    assert ([each.id for each in rest.data], rest.has_more) == ([wanted[0]], False)
    both = await v1.payment_intents.search_async({"query": 'status:"succeeded" AND metadata["booking_id"]:"b"'})
    assert [each.id for each in both.data] == [wanted[0]]
    with pytest.raises(stripe.APIError, match="exact matches"):
        await v1.payment_intents.search_async({"query": "amount>100"})


async def test_customers_and_their_cards(standin: Standin) -> None:
    """Created, changed, found by address, given a card, deleted; the id says afterwards that it is deleted."""
    v1 = standin.client.v1
    customer = await v1.customers.create_async({"email": "buyer@example.com", "name": "B. Uyer"})
    await v1.customers.update_async(customer.id, {"phone": "+49 30 1"})
    assert [each.id for each in (await v1.customers.list_async({"email": "buyer@example.com"})).data] == [customer.id]
    method = await v1.payment_methods.attach_async("pm_card_mastercard", {"customer": customer.id})
    assert [each.id for each in (await v1.payment_methods.list_async({"customer": customer.id})).data] == [method.id]
    intent = await standin.paid(customer=customer.id, payment_method=method.id)
    assert intent.customer == customer.id
    assert (await v1.payment_methods.detach_async(method.id)).customer is None
    assert (await v1.customers.delete_async(customer.id)).deleted
    gone = await v1.customers.retrieve_async(customer.id)
    assert gone.to_dict() == {"id": customer.id, "object": "customer", "deleted": True}


async def test_the_account_and_its_events(standin: Standin) -> None:
    """The account may charge; an event can be read back by its id, and listed by type."""
    account = await standin.client.v1.accounts.retrieve_current_async()
    assert (account.charges_enabled, account.default_currency) == (True, "eur")
    await standin.paid()
    events = standin.client.v1.events
    listed = await events.list_async({"types": ["charge.succeeded", "payment_intent.created"]})
    assert [event.type for event in listed.data] == ["charge.succeeded", "payment_intent.created"]
    assert (await events.retrieve_async(listed.data[0].id)).to_dict() == listed.data[0].to_dict()


async def test_a_browser_may_call_from_another_origin(standin: Standin) -> None:
    """Preflights are answered and answers carry the header that lets a page read them."""
    async with standin.session.options(f"{standin.url}/v1/payment_methods") as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    _, _, headers = await asked(standin, "GET", "/v1/balance")
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_every_route_is_one_of_the_sdks() -> None:
    """The stand-in invents no route."""
    for method, path in ROUTES:
        concrete = path.replace("{}", "x_1")
        problems = oracle.request_violations(method, f"http://127.0.0.1{concrete}", None)
        assert not any(problem.startswith("the SDK has no") for problem in problems), (method, path)
