"""`boxoffice parked`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from chassis.settings import load

from ops.settings import Settings, Shared

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    from chassis.parked import Parked
    from chassis.rehearsal import Rehearsal

    T = TypeVar("T")

commands = typer.Typer(no_args_is_help=True, help="Messages that a service gave up, until a person decides.")

Queue = Annotated[str, typer.Argument(help="The queue that it was given up from, such as payment.booking-placed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str, typer.Option(envvar="USER", help="Who does it; the audit names them.")]

# Importing what these need takes a second, which no other command should pay.


@commands.command("list")
def list_(*, as_json: Json = False) -> None:
    """What is parked, with its error. Status 1 where anything is."""
    from ops import parked  # noqa: PLC0415  # see above

    found = _run(parked.everything(load(Settings), load(Shared)))
    typer.echo(parked.as_json(found) if as_json else "\n".join(_lines(found)))
    raise typer.Exit(1 if found else 0)


@commands.command()
def show(queue: Queue, message_id: str, *, as_json: Json = False) -> None:
    """One message: headers and body. Sealed fields stay sealed."""
    from ops import parked  # noqa: PLC0415  # see above

    found = _run(_one(load(Settings), queue, message_id))
    if as_json:
        typer.echo(parked.as_json([found]))
        return
    typer.echo(json.dumps(found.headers, indent=2))
    typer.echo(found.body)


@commands.command()
def retry(
    queue: Queue,
    message_id: Annotated[str | None, typer.Argument(help="One message; without it all of the queue.")] = None,
    *,
    dry_run: Annotated[bool, typer.Option(help="Run the handler, roll back, and print what it would do.")] = False,
    as_json: Json = False,
    by: By = "somebody",
) -> None:
    """Send messages back to their queue as if never tried. They are removed once the broker has confirmed the copy."""
    from ops import parked  # noqa: PLC0415  # see above

    settings = load(Settings)
    if dry_run:
        _rehearse(settings, queue, message_id, as_json=as_json)
        return

    async def sent_back() -> int:
        async with parked.of_queue(settings, load(Shared), queue) as (messages, name):
            return await messages.retry(name, message_id, _actor(by))

    count = _run(sent_back())
    typer.echo(json.dumps({"retried": count}) if as_json else f"{count} sent back to {queue}")


@commands.command()
def discard(
    queue: Queue,
    message_id: str,
    *,
    reason: Annotated[str, typer.Option(help="Why nothing shall come of it. Kept in the service's audit chain.")],
    by: By = "somebody",
) -> None:
    """Take a message away for good: its event never has its effect in this service, also not when it is published again."""
    from ops import parked  # noqa: PLC0415  # see above

    async def discarded() -> None:
        async with parked.of_queue(load(Settings), load(Shared), queue) as (messages, name):
            await messages.discard(name, message_id, reason, _actor(by))

    _run(discarded())
    typer.echo(f"{message_id} discarded")


async def _one(settings: Settings, queue: str, message_id: str) -> Parked:
    from ops import parked  # noqa: PLC0415  # see above

    async with parked.of_queue(settings, load(Shared), queue) as (messages, name):
        return await messages.one(name, message_id)


def _rehearse(settings: Settings, queue: str, message_id: str | None, *, as_json: bool) -> None:
    from ops import parked  # noqa: PLC0415  # see above

    async def chosen() -> list[Parked]:
        if message_id is not None:
            return [await _one(settings, queue, message_id)]
        async with parked.of_queue(settings, load(Shared), queue) as (messages, name):
            return [message for message in (await messages.all())[0] if message.queue == name]

    async def rehearse() -> list[Rehearsal]:
        return await parked.rehearsed(settings, await chosen())

    with _logs_on_standard_error():
        results = _run(rehearse())
    if as_json:
        typer.echo(parked.as_json(results))
    for result in () if as_json else results:
        typer.echo(f"{result.message_id} {result.outcome}{f': {result.error}' if result.error else ''}")
        for table, counts in result.changes.items():
            typer.echo(f"    {table}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}")
        for event in result.events:
            typer.echo(f"    publishes {event}")
    raise typer.Exit(1 if any(result.outcome not in {"would be done", "already consumed"} for result in results) else 0)


def _lines(found: list[Parked]) -> Iterator[str]:
    for queue, group in groupby(found, key=lambda message: message.queue):
        messages = list(group)
        yield f"{queue}: {len(messages)} parked, the oldest of {messages[0].occurred_at or 'unknown time'}"
        for message in messages:
            yield f"    {message.message_id} {message.type} tried {message.tried}: {message.error}"
    if not found:
        yield "nothing is parked"


def _actor(by: str) -> str:
    """What the audit names: whoever has the administrator's addresses may claim to be anybody."""
    return f"command line/{by}"


def _run(doing: Coroutine[Any, Any, T]) -> T:
    from chassis.parked import UnknownMessage  # noqa: PLC0415  # see above

    try:
        return asyncio.run(doing)
    except (UnknownMessage, ValueError) as error:
        _fail(str(error))


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    raise typer.Exit(1)


@contextmanager
def _logs_on_standard_error() -> Iterator[None]:
    """What a handler logs must not stand between the lines of a result."""
    import structlog  # noqa: PLC0415  # see above

    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)
