from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from tests.sandbox.world.conftest import World

BOOKING = "0190c1d2-0000-7000-8000-00000000000a"


def body(kind: str = "booking.confirmed", **data: Any) -> bytes:
    """Not as a serializer would write it, so that only the very bytes verify."""
    return json.dumps({"type": kind, "data": {"booking_id": BOOKING, "name": "Søren", **data}}, indent=3).encode()


def headers(
    world: World, identifier: str, content: bytes, *, age: float = 0, secret: str | None = None
) -> dict[str, str]:
    """As the specification's reference library signs."""
    at = datetime.fromtimestamp(int(time.time() - age), UTC)
    signer = Webhook(secret or world.crm.get("/api/secret").json()["secret"])
    signature = signer.sign(identifier, at, content.decode())
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
        "content-type": "application/json",
    }


def deliver(world: World, identifier: str = "msg_1", content: bytes | None = None) -> httpx2.Response:
    content = body() if content is None else content
    return world.crm.post("/hooks", content=content, headers=headers(world, identifier, content))


def test_a_signed_delivery_is_kept_byte_for_byte(world: World) -> None:
    assert deliver(world).status_code == 200
    [kept] = world.deliveries()
    assert kept["verified"] is True
    assert kept["refusal"] is None
    assert kept["webhook_id"] == "msg_1"
    assert kept["type"] == "booking.confirmed"
    assert kept["body"] == body().decode()
    assert kept["payload"] == json.loads(body())
    assert kept["answered"] == 200
    assert kept["path"] == "/hooks"
    assert kept["headers"]["webhook-id"] == "msg_1"


def test_attempts_are_counted_per_webhook_id(world: World) -> None:
    world.crm.post("/_control", json={"mode": "500", "n": 2}).raise_for_status()
    assert [deliver(world).status_code for _ in range(3)] == [500, 500, 200]
    deliver(world, "msg_2")
    counted = [(kept["webhook_id"], kept["attempt"], kept["attempts"], kept["answered"]) for kept in world.deliveries()]
    assert counted == [("msg_2", 1, 1, 200), ("msg_1", 3, 3, 200), ("msg_1", 2, 3, 500), ("msg_1", 1, 3, 500)]


def test_deliveries_are_found_by_type_booking_and_id(world: World) -> None:
    deliver(world, "msg_1")
    deliver(world, "msg_2", body("refund.completed"))
    deliver(world, "msg_3", json.dumps({"type": "refund.completed", "data": {}}).encode())

    def found(**conditions: str | int) -> list[str]:
        return [kept["webhook_id"] for kept in world.deliveries(**conditions)]

    assert found() == ["msg_3", "msg_2", "msg_1"]
    assert found(type="refund.completed") == ["msg_3", "msg_2"]
    assert found(booking=BOOKING) == ["msg_2", "msg_1"]
    assert found(booking=BOOKING, type="refund.completed") == ["msg_2"]
    assert found(webhook_id="msg_1") == ["msg_1"]
    assert found(limit=1) == ["msg_3"]
    assert world.crm.get("/api/deliveries?booking=x").status_code == 422


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"webhook-id": "another"}, "webhook-signature does not match the body."),
        ({"webhook-id": ""}, "webhook-id is missing."),
        ({"webhook-timestamp": ""}, "webhook-timestamp is missing."),
        ({"webhook-timestamp": "soon"}, "webhook-timestamp is not a count of seconds."),
        ({"webhook-timestamp": "9" * 400}, "webhook-timestamp is not a count of seconds."),
        ({"webhook-signature": ""}, "webhook-signature is missing."),
        ({"webhook-signature": "v1"}, "webhook-signature does not match the body."),
        ({"webhook-signature": "v1,AAAA v1a,BBBB ,"}, "webhook-signature does not match the body."),
    ],
)
def test_what_is_not_properly_signed_is_refused_and_kept_with_the_reason(
    world: World, change: dict[str, str], why: str
) -> None:
    answer = world.crm.post("/hooks", content=body(), headers={**headers(world, "msg_1", body()), **change})
    assert answer.status_code == 401
    assert answer.json()["detail"] == why
    [kept] = world.deliveries()
    assert (kept["verified"], kept["refusal"], kept["answered"]) == (False, why, 401)


def test_another_body_another_secret_and_another_time_are_refused(world: World) -> None:
    signed = headers(world, "msg_1", body())
    assert world.crm.post("/hooks", content=body() + b" ", headers=signed).status_code == 401
    other = headers(world, "msg_1", body(), secret="whsec_" + "A" * 43 + "=")
    assert world.crm.post("/hooks", content=body(), headers=other).status_code == 401
    for age, status in ((-310, 401), (310, 401), (290, 200), (-290, 200)):
        given = headers(world, "msg_1", body(), age=age)
        assert world.crm.post("/hooks", content=body(), headers=given).status_code == status, age


def test_one_of_several_signatures_is_enough(world: World) -> None:
    """As while a secret is rotated."""
    signed = headers(world, "msg_1", body())
    signed["webhook-signature"] = f"v1,b3RoZXI= {signed['webhook-signature']}"
    assert world.crm.post("/hooks", content=body(), headers=signed).status_code == 200


@pytest.mark.parametrize(
    "content", [b"", b"no json", b"[1]", b'{"type": 5}', b'{"type": "\\ud800"}', b"\xff\xfe", b"[" * 100_000]
)
def test_any_bytes_can_be_kept_and_shown(world: World, content: bytes) -> None:
    assert world.crm.post("/hooks", content=content).status_code == 401
    assert len(world.deliveries()) == 1
    assert world.crm.get("/").status_code == 200


def test_a_body_above_a_mebibyte_is_not_read(world: World) -> None:
    assert world.crm.post("/hooks", content=b"x" * (1024 * 1024 + 1)).status_code == 413
    assert world.deliveries() == []


@pytest.mark.parametrize(
    ("mode", "status"), [("500", 500), ("gone", 410), ("429", 429), ("redirect", 302), ("slow", 200)]
)
def test_each_mode_answers_as_named_until_it_is_used_up(world: World, mode: str, status: int) -> None:
    world.crm.post("/_control", json={"mode": mode, "n": 1, "seconds": 0.2}).raise_for_status()
    answer = deliver(world)
    assert answer.status_code == status
    assert answer.headers.get("retry-after") == ("1" if mode == "429" else None)
    assert world.deliveries()[0]["answered"] == status
    assert deliver(world).status_code == 200


def test_slow_keeps_what_it_has_not_answered(world: World) -> None:
    world.crm.post("/_control", json={"mode": "slow", "seconds": 60}).raise_for_status()
    with pytest.raises(httpx2.ReadTimeout):
        world.crm.post("/hooks", content=body(), headers=headers(world, "msg_1", body()), timeout=0.5)
    assert len(world.deliveries()) == 1


def test_a_sender_that_follows_a_redirect_is_told_on(world: World) -> None:
    world.crm.post("/_control", json={"mode": "redirect", "n": 1}).raise_for_status()
    world.crm.post("/hooks", content=body(), headers=headers(world, "msg_1", body()), follow_redirects=True)
    followed, redirected = world.deliveries()
    assert (redirected["path"], redirected["answered"]) == ("/hooks", 302)
    assert (followed["path"], followed["verified"]) == ("/moved", False)


def test_a_refused_delivery_does_not_use_up_a_mode(world: World) -> None:
    world.crm.post("/_control", json={"mode": "500", "n": 1}).raise_for_status()
    assert world.crm.post("/hooks", content=b"{}").status_code == 401
    assert deliver(world).status_code == 500


def test_deliveries_and_the_secret_outlive_a_kill(world: World) -> None:
    deliver(world)
    secret = world.crm.get("/api/secret").json()["secret"]
    assert secret.startswith("whsec_")
    world.stop(signal.SIGKILL)
    world.start()
    assert len(world.deliveries()) == 1
    assert world.crm.get("/api/secret").json()["secret"] == secret
    assert deliver(world).status_code == 200


def test_the_page_shows_deliveries_escaped(world: World) -> None:
    deliver(world, "msg_1", body("<script>alert(1)</script>"))
    page = world.crm.get("/").text
    assert "<script>alert" not in page
    assert "msg_1" in page
