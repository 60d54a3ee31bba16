"""The oracle finds planted faults; otherwise its silence in the other tests would mean nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.sandbox.stripe import oracle
from tests.sandbox.stripe.conftest import Standin


async def answers(standin: Standin) -> dict[str, Any]:
    """One genuine answer of each important kind."""
    v1 = standin.client.v1
    intent = await standin.paid(metadata={"payment_id": "p"})
    refund = await v1.refunds.create_async({"payment_intent": intent.id, "amount": 100})
    charge = await v1.charges.retrieve_async(str(intent.latest_charge))
    found = {
        "payment_intent": intent,
        "refund": refund,
        "charge": charge,
        "balance_transaction": await v1.balance_transactions.retrieve_async(str(charge.balance_transaction)),
        "payment_method": await v1.payment_methods.retrieve_async(str(intent.payment_method)),
        "event": (await v1.events.list_async({"limit": 1})).data[0],
        "balance": await v1.balance.retrieve_async(),
    }
    return {kind: value.to_dict() for kind, value in found.items()}


async def test_genuine_answers_pass_and_single_mutations_are_caught(standin: Standin) -> None:
    """A renamed or retyped attribute is always found; a dropped one whenever the SDK says that it is never absent."""
    caught = {"rename": 0, "retype": 0}
    planted = 0
    for kind, value in (await answers(standin)).items():
        assert oracle.answer_violations(value) == [], kind
        for name in value:
            if name in {"object", "metadata"}:
                continue
            planted += 1
            renamed = copy.deepcopy(value)
            renamed[f"{name}_x"] = renamed.pop(name)
            caught["rename"] += bool(oracle.answer_violations(renamed))
            retyped = copy.deepcopy(value)
            retyped[name] = {"neither": ["this", "nor", "that"]}
            caught["retype"] += bool(oracle.answer_violations(retyped))
    assert planted > 100
    assert caught == {"rename": planted, "retype": planted}


@pytest.mark.parametrize(
    ("kind", "path", "wrong"),
    [
        ("payment_intent", ["status"], "paid"),
        ("payment_intent", ["capture_method"], "later"),
        ("payment_intent", ["amount"], "5000"),
        ("charge", ["payment_method_details", "card", "exp_month"], None),
        ("charge", ["payment_method_details", "card", "colour"], "blue"),
        ("charge", ["billing_details", "email"], 7),
        ("refund", ["reason"], "because"),
        ("event", ["type"], "payment_intent.paid"),
        ("event", ["data", "object", "amount"], "5000"),
        ("balance", ["available"], [{"amount": 1}]),
    ],
)
async def test_nested_and_enumerated_faults_are_caught(
    standin: Standin, kind: str, path: list[str], wrong: Any
) -> None:
    """Faults deep inside, and words that the SDK does not list, are found."""
    value = copy.deepcopy((await answers(standin))[kind])
    inner = value
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = wrong
    assert oracle.answer_violations(value)


@pytest.mark.parametrize(
    "body",
    [
        "amount=100",  # currency is missing
        "amount=ten&currency=eur",
        "amount=100&currency=eur&colour=blue",
        "amount=100&currency=eur&capture_method=later",
        "amount=100&currency=eur&confirm=yes",
        "amount=100&currency=eur&metadata[a][b]=c",
        "amount=100&currency=eur&automatic_payment_methods[enabled]=true&automatic_payment_methods[colour]=blue",
    ],
)
def test_wrong_requests_are_caught(body: str) -> None:
    """Missing, unknown, badly typed and wrongly spelled parameters are found, nested ones as well."""
    url = "http://127.0.0.1/v1/payment_intents"
    assert oracle.request_violations("post", url, "amount=100&currency=eur&capture_method=manual&metadata[a]=b") == []
    assert oracle.request_violations("post", url, body)


def test_the_oracle_knows_every_operation_of_the_sdk() -> None:
    """The services are read whole: a search finds its own route, not that of an object called `search`."""
    assert len(oracle.operations()) > 500
    assert oracle.request_violations("get", "http://127.0.0.1/v1/payment_intents/search?query=x", None) == []
    assert oracle.request_violations("get", "http://127.0.0.1/v1/nonsense", None) == ["the SDK has no GET /v1/nonsense"]
