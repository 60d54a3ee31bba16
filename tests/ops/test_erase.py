"""What is blanked of kept events: every sealed field that any contract has, in the form that its readers open."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from booking.schemas import Contact
from chassis.crypto import Sealer, new_index_key, new_keyset
from contracts.booking import BookingConfirmed
from contracts.catalogue import EVENTS
from contracts.event import Event

from ops.erase.parts import ADDRESS, ERASED_CONTACT, IN_EVENTS, blanked, sealed_fields
from tests.ops.test_cli import boxoffice


@pytest.fixture(scope="module")
def sealer() -> Sealer:
    return Sealer.from_settings(new_keyset(), new_index_key())


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.type)
def test_every_sealed_field_of_an_event_has_its_blank(event: type[Event]) -> None:
    """A new one, however deep it lies, fails here until it is said what stands there afterwards."""
    fields = sealed_fields(event)
    assert json.dumps(event.model_json_schema()).count('"x-sealed"') == len(fields)
    assert set(fields.values()) <= IN_EVENTS.keys()


def test_a_blanked_event_is_read_and_names_nobody(sealer: Sealer) -> None:
    event = BookingConfirmed.model_validate(
        {
            "version": 2,
            "occurred_at": datetime.now(UTC),
            "booking_id": uuid4(),
            "payment_id": None,
            "event": {
                "event_id": uuid4(),
                "name": "Tosca",
                "venue": "Oper",
                "starts_at": datetime.now(UTC),
                "ends_at": datetime.now(UTC),
                "timezone": "Europe/Berlin",
            },
            "total": {"amount_minor": 0, "currency": "EUR"},
            "contact": sealer.seal_json({"name": "Ada", "email": "ada@example.org"}, "booking.contact"),
            "tickets": sealer.seal_json([{"line_id": "x", "name": "Stalls", "code": "AAAA"}], "booking.tickets"),
            "access": sealer.seal("eyJ", "booking.access"),
        }
    )
    after = BookingConfirmed.model_validate_json(blanked(BookingConfirmed, event.model_dump_json(), sealer))
    assert sealer.unseal_json(after.contact, "booking.contact") == ERASED_CONTACT.value
    assert sealer.unseal_json(after.tickets, "booking.tickets") == []
    assert after.access is None
    assert after.model_copy(update={name: getattr(event, name) for name in ("contact", "tickets", "access")}) == event


def test_no_mail_can_be_sent_to_who_was_erased() -> None:
    assert ADDRESS.endswith(".invalid")
    assert set(ERASED_CONTACT.value) == set(Contact.model_fields)


def test_the_command_wants_one_of_two(tmp_path: Path) -> None:
    for arguments in ([], ["--email", "a@example.org", "--booking", str(uuid4())]):
        code, _, said = boxoffice(tmp_path, "erase", *arguments)
        assert (code, "say either --email or --booking" in said) == (2, True)
