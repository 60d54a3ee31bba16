import io
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import structlog
from chassis import logs
from chassis.logs import MASK, redacted_text
from chassis.tracing import continued
from pydantic import BaseModel, ValidationError

Lines = Callable[[], list[dict[str, Any]]]
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJib29raW5nIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Configures logging as a service does; gives the lines that were written since the last call."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logs.configure("booking", "info")
    structlog.contextvars.clear_contextvars()
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def test_a_line_says_when_where_and_what(lines: Lines) -> None:
    structlog.get_logger("booking.service").info("seats taken", seats=2, booking="b-1")
    (line,) = lines()
    assert datetime.fromisoformat(line.pop("at")).tzinfo == UTC
    assert line == {
        "event": "seats taken",
        "seats": 2,
        "booking": "b-1",
        "level": "info",
        "logger": "booking.service",
        "service": "booking",
    }


def test_ids_of_request_event_and_trace_join_the_lines(lines: Lines) -> None:
    structlog.contextvars.bind_contextvars(request_id="r-12345678", event_id="e-1")
    with continued("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"):
        structlog.get_logger().info("ours")
        logging.getLogger("some.library").warning("theirs: %s", "detail")
    ours, theirs = lines()
    for line in (ours, theirs):
        assert line["request_id"] == "r-12345678"
        assert line["event_id"] == "e-1"
        assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
        assert line["service"] == "booking"
    assert theirs["event"] == "theirs: detail"
    assert theirs["level"] == "warning"


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    structlog.get_logger().debug("ours")
    logging.getLogger("some.library").debug("theirs")
    assert lines() == []


def test_a_librarys_own_handler_does_not_write_past_the_redaction(lines: Lines) -> None:
    library, own = logging.getLogger("eager.library"), io.StringIO()
    library.addHandler(logging.StreamHandler(own))
    library.propagate = False
    logs.configure("booking", "info")
    library.error("mail to ada@example.org")
    (line,) = lines()
    assert own.getvalue() == ""
    assert line["event"] == f"mail to {MASK}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mail to ada.lovelace+tickets@mail.example.org failed", f"mail to {MASK} failed"),
        ("GET /bookings?email=ada%40example.org&status=paid", f"GET /bookings?email={MASK}&status=paid"),
        ("Key (email)=(ada@example.org) already exists", f"Key (email)=({MASK}) already exists"),
        (f"got {JWT} today", f"got {MASK} today"),
        (f"Authorization: Bearer {JWT}", f"Authorization: Bearer {MASK}"),
        ("Bearer abcdefghijklmnop", f"Bearer {MASK}"),
        ("{'authorization': 'Basic c3RhZmY6cGFzc3dvcmQ='}", f"{{'authorization': 'Basic {MASK}'}}"),
        ("Invalid API Key: sk_test_4eC39HqLyjW", f"Invalid API Key: {MASK}"),
        ("rk_live_abc123 pk_test_abc123", f"{MASK} {MASK}"),
        ("whsec_dGVzdHNlY3JldA==", MASK),
        ("pi_3NxYz_secret_AbC123 confirmed", f"{MASK} confirmed"),
        ("amqp://booking:hunter2@127.0.0.1:5672/boxoffice", f"amqp://{MASK}@127.0.0.1:5672/boxoffice"),
        ("postgresql+asyncpg://booking:p%40w@db/booking", f"postgresql+asyncpg://{MASK}@db/booking"),
        ("connect(user='booking', password='hunter2')", f"connect(user='booking', password='{MASK}')"),
        ('{"client_secret": "abc", "id": 1}', f'{{"client_secret": "{MASK}", "id": 1}}'),
        ("card 4242424242424242 declined", f"card {MASK} declined"),
        ("card4242424242424242x", f"card{MASK}x"),
        ("4000 0566 5566 5556", MASK),
        ("3782-822463-10005", MASK),
        ("note: 6011111111111117.", f"note: {MASK}."),
    ],
)
def test_what_must_not_be_read_is_masked_in_text(text: str, masked: str) -> None:
    assert redacted_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424241",
        "4242 4242",
        "42424242424242424242424242",
        "01936f3e-4242-7424-8424-242424242424",
        "42424242-4242-4242-8242-424242424242",
        "0af76519164242424242424242423190",
        "c0d5" + "4242424242424242" * 3 + "deadbeefcafe",
        "2026-11-23T12:00:00.000000Z",
        "payment.succeeded.v1 to notification.events at 3 @ 5",
        "https://example.org/api/events?after=01936f3e",
        "the token is missing",
        "seats held: 2",
        "basic information",
    ],
)
def test_ids_and_plain_words_stay_readable(text: str) -> None:
    assert redacted_text(text) == text


def test_telling_keys_are_masked_whatever_they_hold(lines: Lines) -> None:
    structlog.get_logger().info(
        "booked",
        name="Ada Lovelace",
        Email=["a", "b"],
        contact={"first_name": "Ada", "seats": 2, "phone": 123, "nested": [{"cvc": 123}]},
        headers={"Authorization": "x", "X-Api-Key": "y", "accept": "json"},
        client_secret=b"z",
        number=7,
        event_name="Gala",
        attempt_number=3,
    )
    (line,) = lines()
    assert line["name"] == line["Email"] == line["client_secret"] == line["number"] == MASK
    assert line["contact"] == {"first_name": MASK, "seats": 2, "phone": MASK, "nested": [{"cvc": MASK}]}
    assert line["headers"] == {"Authorization": MASK, "X-Api-Key": MASK, "accept": "json"}
    assert line["event_name"] == "Gala"
    assert line["attempt_number"] == 3


def test_values_of_every_shape_are_looked_into(lines: Lines) -> None:
    class Contact(BaseModel):
        address: str = "ada@example.org"

    booking = UUID("01936f3e-0000-7000-8000-000000000001")
    cycle: list[Any] = []
    cycle.append(cycle)
    structlog.get_logger().info(
        "odd",
        model=Contact(),
        raw=b"to ada@example.org \xff",
        many=("ada@example.org", {"k": "ada@example.org"}),
        card_as_integer={"given": 4242424242424242},
        amount_minor=4200,
        ratio=0.5,
        paid=True,
        nothing=None,
        booking=booking,
        price=Decimal("1.50"),
        cycle=cycle,
        **{"ada@example.org": 1},
    )
    (line,) = lines()
    assert "ada@example.org" not in json.dumps(line)
    assert line["model"] == f"address='{MASK}'"
    assert line["card_as_integer"] == {"given": MASK}
    assert (line["amount_minor"], line["ratio"], line["paid"], line["nothing"]) == (4200, 0.5, True, None)
    assert line["booking"] == str(booking)
    assert line["price"] == "1.50"
    assert line[MASK] == 1


def test_an_exception_shows_type_and_stack_without_locals_or_people(lines: Lines) -> None:
    def charge(card_number: str) -> None:
        local = "ada@example.org in a local variable"
        raise ValueError(f"card {card_number} of ada@example.org refused") from RuntimeError(
            f"sk_test_abc123 {local[:1]}"
        )

    try:
        charge("4242424242424242")
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("some.library").exception("failed as well")
        usual = traceback.format_exc()
    ours, theirs = lines()
    for line in (ours, theirs):
        assert line["error_type"] == "ValueError"
        assert "in charge" in line["exception"]
        assert "RuntimeError" in line["exception"]
        assert f"card {MASK} of {MASK} refused" in line["exception"]
        assert "in a local variable" not in line["exception"]
        assert "4242424242424242" not in line["exception"].replace('charge("4242424242424242")', "")
        assert "sk_test_abc123" not in line["exception"]
    assert "4242424242424242" in usual, "the test would prove nothing"


def test_an_exception_object_is_written_like_the_current_one(lines: Lines) -> None:
    structlog.get_logger().error("ended", exc_info=KeyError("whsec_abc123"))
    (line,) = lines()
    assert line["error_type"] == "KeyError"
    assert line["exception"] == f"KeyError: '{MASK}'"


def test_values_that_libraries_quote_are_masked() -> None:
    class Booking(BaseModel):
        seats: int

    with pytest.raises(ValidationError) as refused:
        Booking.model_validate({"seats": "Ada Lovelace"})
    assert "Ada Lovelace" in str(refused.value)
    assert "Ada" not in redacted_text(str(refused.value))
    quoted = "[SQL: …]\n[parameters: ('Ada Lovelace', [1, 2])]\n(Background on this error)"
    assert redacted_text(quoted) == f"[SQL: …]\n[parameters: {MASK}]\n(Background on this error)"


@pytest.mark.parametrize("unit", ["a", "eyJ", "a.", "1", "1 ", "a_secret", "input_value=", "token=", "://a:", "f0-"])
def test_long_hostile_text_is_cut_and_costs_little(lines: Lines, unit: str) -> None:
    started = time.perf_counter()
    structlog.get_logger().info("long", text=unit * (1_000_000 // len(unit)))
    assert time.perf_counter() - started < 1
    (line,) = lines()
    assert len(line["text"]) < 25_000
