"""Who may what, by the header of a request."""

import pytest
from chassis.auth import Principal, Role, holder_of
from chassis.errors import NotFound

from tests.chassis.issuer import BOOKING, NOW, OTHER_BOOKING, World, client_of, staff_token

BOOKING_PATH = f"/bookings/{BOOKING}"


@pytest.mark.parametrize(
    ("who", "answers"),
    [
        ("nobody", {"/staff": 401, "/refunder": 401, "/manager": 401, BOOKING_PATH: 401}),
        ("holder", {"/staff": 403, "/refunder": 403, "/manager": 403, BOOKING_PATH: 200}),
        ("other", {"/staff": 403, "/refunder": 403, "/manager": 403, BOOKING_PATH: 404}),
        ("no role", {"/staff": 403, "/refunder": 403, "/manager": 403, BOOKING_PATH: 403}),
        ("viewer", {"/staff": 200, "/refunder": 403, "/manager": 403, BOOKING_PATH: 200}),
        ("refunder", {"/staff": 200, "/refunder": 200, "/manager": 403, BOOKING_PATH: 200}),
        ("manager", {"/staff": 200, "/refunder": 200, "/manager": 200, BOOKING_PATH: 200}),
    ],
)
async def test_who_may_what(world: World, who: str, answers: dict[str, int]) -> None:
    match who:
        case "nobody":
            headers = {}
        case "holder" | "other":
            booking_id = BOOKING if who == "holder" else OTHER_BOOKING
            headers = {"Authorization": f"Bearer {world.auth.bookings.sign(booking_id, NOW)}"}
        case _:
            headers = {"Authorization": f"Bearer {staff_token(roles=[who])}"}
    async with client_of(world.auth) as client:
        assert {path: (await client.get(path, headers=headers)).status_code for path in answers} == answers


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic c3RhZmY6cHc=", "bearer", "Token x"])
async def test_other_authorization_headers_are_no_sign_in(world: World, header: str) -> None:
    async with client_of(world.auth) as client:
        assert (await client.get("/staff", headers={"Authorization": header})).status_code == 401


async def test_another_booking_looks_like_none() -> None:
    holder = Principal("booking", str(BOOKING), booking_id=BOOKING)
    holder_of(holder, BOOKING)
    holder_of(Principal("staff", "staff-7", frozenset({Role.VIEWER})), BOOKING)
    with pytest.raises(NotFound, match=r"^There is no such refund\.$"):
        holder_of(holder, OTHER_BOOKING, "refund")


async def test_the_interface_description_names_the_bearer_scheme(world: World) -> None:
    async with client_of(world.auth) as client:
        described = (await client.get("/openapi.json")).json()
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert described["paths"]["/staff"]["get"]["security"] == [{"HTTPBearer": []}]
    assert described["paths"]["/staff"]["get"].get("parameters", []) == []
