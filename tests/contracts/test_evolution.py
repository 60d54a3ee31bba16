from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from contracts import generate
from contracts.asyncapi import schema
from contracts.booking import BookingConfirmed, BookingPlaced, SeatsUnavailable
from contracts.catalogue import CONSUMERS
from contracts.event import Event
from contracts.evolution import breaking_differences
from contracts.payment import PaymentRefundFailed, PaymentSucceeded

ROOT = Path(__file__).parents[2]

Change = Callable[[dict[str, Any]], object]


def changed(event: type[Event], change: Change) -> list[str]:
    before = schema(event)
    after = copy.deepcopy(before)
    change(after)
    assert after != before
    return breaking_differences(before, after)


def without(whole: dict[str, Any], name: str) -> None:
    del whole["properties"][name]
    whole["required"].remove(name)


def renamed(whole: dict[str, Any], name: str, other: str) -> None:
    whole["properties"][other] = whole["properties"].pop(name)
    whole["required"] = [other if field == name else field for field in whole["required"]]


def added(whole: dict[str, Any], name: str, *, required: bool) -> None:
    whole["properties"][name] = {"type": "string"}
    if required:
        whole["required"].append(name)


BREAKS: dict[str, tuple[type[Event], Change, str]] = {
    "a field is removed": (
        BookingPlaced,
        lambda whole: without(whole, "hold_expires_at"),
        "event.hold_expires_at was removed or renamed",
    ),
    "a field is renamed": (
        BookingPlaced,
        lambda whole: renamed(whole, "total", "sum"),
        "event.total was removed or renamed",
    ),
    "a field is retyped": (
        PaymentRefundFailed,
        lambda whole: whole["properties"]["reason"].update(type="integer"),
        "event.reason: type was 'string' and is 'integer'",
    ),
    "a format changes": (
        BookingPlaced,
        lambda whole: whole["properties"]["booking_id"].pop("format"),
        "event.booking_id: format was 'uuid' and is None",
    ),
    "a required field is new": (
        BookingPlaced,
        lambda whole: added(whole, "locale", required=True),
        "event.locale is new and required: a kept event lacks it",
    ),
    "an optional field becomes required": (
        PaymentSucceeded,
        lambda whole: whole["required"].append("method"),
        "event.method became required: a kept event may lack it",
    ),
    "a field may be left out": (
        BookingPlaced,
        lambda whole: whole["required"].remove("contact"),
        "event.contact is no longer always there: an older consumer needs it",
    ),
    "a default means something else": (
        BookingPlaced,
        lambda whole: whole["$defs"]["PolicySnapshot"]["properties"]["fee_minor"].update(default=100),
        "event.policy.fee_minor: default was 0 and is 100",
    ),
    "an enum loses a value": (
        SeatsUnavailable,
        lambda whole: whole["properties"]["reason"]["enum"].remove("sold_out"),
        "event.reason lost 'sold_out': a kept event may hold it",
    ),
    "an enum gains a value": (
        SeatsUnavailable,
        lambda whole: whole["properties"]["reason"]["enum"].append("moved"),
        "event.reason gained 'moved': an older consumer refuses it",
    ),
    "an enum narrows to one value": (
        SeatsUnavailable,
        lambda whole: whole["properties"].update(reason={"const": "sold_out", "type": "string"}),
        "event.reason lost 'booking_cancelled', 'event_cancelled': a kept event may hold it",
    ),
    "any text is allowed where an enum was": (
        SeatsUnavailable,
        lambda whole: whole["properties"].update(reason={"type": "string"}),
        "event.reason is no longer one of a few values",
    ),
    "an enum is set where any text was allowed": (
        PaymentRefundFailed,
        lambda whole: whole["properties"]["reason"].update(enum=["lost_or_stolen_card"]),
        "event.reason became one of a few values",
    ),
    "a limit is tightened": (
        BookingPlaced,
        lambda whole: whole["$defs"]["Line"]["properties"]["gross_minor"].update(minimum=1),
        "event.lines[].gross_minor: minimum was 0 and is 1",
    ),
    "a limit is loosened": (
        BookingPlaced,
        lambda whole: whole["$defs"]["PolicyTier"]["properties"]["percent"].pop("maximum"),
        "event.policy.tiers[].percent: maximum was 100 and is None",
    ),
    "a field may be null": (
        BookingPlaced,
        lambda whole: whole["properties"].update(total={"anyOf": [{"$ref": "#/$defs/Money"}, {"type": "null"}]}),
        "event.total had no alternatives and has 2",
    ),
    "a field may be null no longer": (
        BookingConfirmed,
        lambda whole: whole["properties"]["payment_id"]["anyOf"].pop(),
        "event.payment_id had 2 alternatives and has 1",
    ),
    "an alternative is retyped": (
        BookingConfirmed,
        lambda whole: whole["properties"]["payment_id"]["anyOf"][0].pop("format"),
        "event.payment_id: format was 'uuid' and is None",
    ),
    "a sealed field is sealed no longer": (
        BookingPlaced,
        lambda whole: whole["properties"]["contact"].pop("x-sealed"),
        "event.contact: x-sealed was True and is None",
    ),
    "a field of a shape is removed": (
        BookingPlaced,
        lambda whole: without(whole["$defs"]["Money"], "currency"),
        "event.total.currency was removed or renamed",
    ),
    "a shape gains a required field": (
        BookingPlaced,
        lambda whole: added(whole["$defs"]["Line"], "seat", required=True),
        "event.lines[].seat is new and required: a kept event lacks it",
    ),
    "a list holds something else": (
        BookingPlaced,
        lambda whole: whole["properties"]["lines"].update(items={"$ref": "#/$defs/Money"}),
        "event.lines[].line_id was removed or renamed",
    ),
    "a list holds anything": (
        BookingPlaced,
        lambda whole: whole["properties"]["lines"].pop("items"),
        "event.lines: the items of the list are no longer described",
    ),
    "a list's items are described at last": (
        BookingPlaced,
        lambda whole: whole["properties"]["booking_id"].update(items={"type": "string"}),
        "event.booking_id: the items of the list are now described",
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_planted_break_is_found_and_named(broken: str) -> None:
    event, change, sentence = BREAKS[broken]
    assert sentence in changed(event, change)


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: added(whole, "locale", required=False),
        lambda whole: added(whole["$defs"]["Line"], "seat", required=False),
        lambda whole: whole.update(description="Better words."),
        lambda whole: whole["properties"]["contact"].update(title="Who", description="…", examples=["AX"]),
        lambda whole: whole["required"].reverse(),
        lambda whole: whole["$defs"].update(Unused={"type": "object"}),
    ],
)
def test_what_only_adds_or_explains_breaks_nobody(change: Change) -> None:
    assert changed(BookingPlaced, change) == []


def test_the_order_of_an_enum_and_the_name_of_a_shape_mean_nothing() -> None:
    assert changed(SeatsUnavailable, lambda whole: whole["properties"]["reason"]["enum"].reverse()) == []

    def rename(whole: dict[str, Any]) -> None:
        text = json.dumps(whole).replace("#/$defs/Money", "#/$defs/Amount")
        whole.update(json.loads(text))
        whole["$defs"]["Amount"] = {**whole["$defs"].pop("Money"), "title": "Amount"}

    assert changed(BookingPlaced, rename) == []


@pytest.mark.parametrize("event", CONSUMERS, ids=lambda event: event.type)
def test_an_event_does_not_break_itself(event: type[Event]) -> None:
    assert breaking_differences(schema(event), schema(event)) == []


# --- the generated files


def test_the_contracts_break_no_released_snapshot() -> None:
    assert generate.breaks(ROOT) == []


def test_snapshots_and_documents_are_current() -> None:
    assert generate.stale(ROOT) == []


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    return generate.main(arguments)


def test_generating_anew_gives_files_that_are_current(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, "--check") == 1
    assert run(tmp_path, monkeypatch) == 0
    assert run(tmp_path, monkeypatch, "--check") == 0
    assert (tmp_path / generate.EVENTS_PAGE).read_text() == (ROOT / generate.EVENTS_PAGE).read_text()


def test_a_break_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generating must not be the way past the check: the snapshot stays until somebody deletes it."""
    generate.write(tmp_path)
    snapshot = tmp_path / generate.SNAPSHOTS / "refund.approved.v1.json"
    released = json.loads(snapshot.read_text())
    added(released, "campaign_id", required=True)
    snapshot.write_text(json.dumps(released))
    for arguments in ([], ["--check"]):
        assert run(tmp_path, monkeypatch, *arguments) == 1
        assert "refund.approved.v1: event.campaign_id was removed or renamed" in capsys.readouterr().err
    assert json.loads(snapshot.read_text()) == released
    snapshot.unlink()
    assert run(tmp_path, monkeypatch) == 0


def test_an_event_that_left_the_catalogue_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.write(tmp_path)
    (tmp_path / generate.SNAPSHOTS / "refund.forgotten.v1.json").write_text("{}")
    assert run(tmp_path, monkeypatch) == 1
    assert "refund.forgotten.v1 is gone from the catalogue" in capsys.readouterr().err


def test_a_stale_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generate.write(tmp_path)
    (tmp_path / generate.EVENTS_PAGE).write_text("edited by hand")
    assert run(tmp_path, monkeypatch, "--check") == 1
    assert capsys.readouterr().err == "docs/events.md is not current: run python -m contracts.generate\n"


def test_an_argument_that_it_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, "--force") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_events_page_names_every_event_its_queues_and_its_fields() -> None:
    page = (ROOT / generate.EVENTS_PAGE).read_text()
    for event, consumers in CONSUMERS.items():
        section = page.partition(f"### {event.__name__}\n")[2].partition("\n##")[0]
        assert f"`{event.type}`" in section
        assert all(
            f"`{consumer}.{event.type.split('.')[0]}-{event.type.split('.')[1]}`" in section for consumer in consumers
        )
        assert all(f"| `{name}` |" in section for name in event.model_fields.keys() - Event.model_fields.keys())
        example = json.loads(section.partition("```json\n")[2].partition("```")[0])
        event.model_validate(example)
