"""Who may see and do what, and what is never shown."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.payment.shop import Shop


async def test_a_booking_that_is_not_known_asks_to_come_again(still_shop: Shop) -> None:
    answer = await still_shop.start(uuid4())
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")


async def test_only_the_holder_and_staff_may(still_shop: Shop) -> None:
    payment = await still_shop.started()
    client, service = still_shop.service.client, still_shop.service
    stranger = service.holder(uuid4())
    body = {"booking_id": str(payment.booking_id)}
    assert (await client.post("/payments", json=body)).status_code == 401
    assert (await client.post("/payments", json=body, headers=stranger)).status_code == 404
    for method, path in (("GET", f"/payments/{payment.id}"), ("POST", f"/payments/{payment.id}/sync")):
        assert (await client.request(method, path)).status_code == 401
        foreign = await client.request(method, path, headers=stranger)
        missing = await client.request(method, path.replace(str(payment.id), str(uuid4())), headers=stranger)
        assert (foreign.status_code, foreign.json()) == (missing.status_code, missing.json())
        assert foreign.status_code == 404
        for headers in (service.holder(payment.booking_id), service.staff("viewer")):
            assert (await client.request(method, path, headers=headers)).status_code == 200
    assert (await client.get("/payments")).status_code == 401
    assert (await client.get("/payments", headers=stranger)).status_code == 403


async def test_what_a_buyer_is_shown(still_shop: Shop) -> None:
    booking_id = await still_shop.book(1999)
    answer = (await still_shop.start(booking_id)).json()
    payment = answer["payment"]
    assert set(answer) == {"payment", "client_secret", "publishable_key"}
    assert answer["publishable_key"].startswith("pk_test_")
    assert answer["client_secret"].startswith("pi_")
    assert (payment["status"], payment["payable"], payment["attempts_left"]) == ("requires_payment_method", True, 5)
    assert payment["amount"] == {"amount_minor": 1999, "currency": "EUR"}
    assert (payment["method"], payment["captured_minor"]) == (None, 0)
    assert (await still_shop.start(booking_id)).json()["client_secret"] == answer["client_secret"]


async def test_once_authorized_there_is_nothing_to_confirm(still_shop: Shop) -> None:
    payment = await still_shop.authorized()
    answer = await still_shop.start(payment.booking_id)
    assert answer.status_code == 201
    assert (answer.json()["client_secret"], answer.json()["payment"]["payable"]) == (None, False)


async def test_no_secret_is_stored_or_logged(still_shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    booking_id = await still_shop.book()
    secret = (await still_shop.start(booking_id)).json()["client_secret"]
    assert secret not in caplog.text
    async with still_shop.service.database.transaction() as tx:
        for name in ("payments", "attempts", "outbox", "idempotency_keys"):
            rows = await tx.execute(text(f"SELECT * FROM {name}"))  # names of ours
            assert secret not in str(rows.all())


async def test_a_provider_that_is_down_is_said(still_shop: Shop) -> None:
    payment = await still_shop.started()
    await still_shop.standin.fault("payment_intents.retrieve", "error_before")
    assert (await still_shop.start(payment.booking_id)).status_code == 503
    await still_shop.standin.fault("payment_intents.retrieve", "error_before")
    assert (await still_shop.sync(payment))["status"] == "requires_payment_method"


async def test_staff_find_payments(still_shop: Shop) -> None:
    client, viewer = still_shop.service.client, still_shop.service.staff("viewer")
    booked = [await still_shop.book() for _ in range(3)]
    await still_shop.expire(booked[0])
    first = (await client.get("/payments", params={"limit": 2}, headers=viewer)).json()
    assert [found["booking_id"] for found in first["payments"]] == [str(booked[2]), str(booked[1])]
    second = (await client.get("/payments", params={"limit": 2, "cursor": first["next_cursor"]}, headers=viewer)).json()
    assert second["payments"][0]["booking_id"] == str(booked[0])
    one = (await client.get("/payments", params={"booking_id": str(booked[1])}, headers=viewer)).json()
    assert [found["booking_id"] for found in one["payments"]] == [str(booked[1])]
    assert one["next_cursor"] is None
    voided = (await client.get("/payments", params={"status": "voided"}, headers=viewer)).json()
    assert str(booked[0]) in {found["booking_id"] for found in voided["payments"]}
    assert {found["status"] for found in voided["payments"]} == {"voided"}


@pytest.mark.parametrize(
    "params", [{"status": "paid"}, {"booking_id": "x"}, {"cursor": "1"}, {"limit": "0"}, {"limit": "101"}]
)
async def test_a_wrong_filter_is_named(still_shop: Shop, params: dict[str, str]) -> None:
    answer = await still_shop.service.client.get("/payments", params=params, headers=still_shop.service.staff("viewer"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(params))


@pytest.mark.parametrize("body", [{}, {"booking_id": "x"}, {"booking_id": str(uuid4()), "amount_minor": 1}, []])
async def test_a_wrong_body_is_refused(still_shop: Shop, body: object) -> None:
    answer = await still_shop.service.client.post("/payments", json=body, headers=still_shop.service.holder(uuid4()))
    assert answer.status_code == 422
