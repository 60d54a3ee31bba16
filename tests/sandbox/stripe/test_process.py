"""The stand-in as a process: what it refuses to be, what outlives its death, and the official command line client."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stripe

from sandbox.stripe.__main__ import main
from tests.sandbox.stripe.conftest import SECRET_KEY, Witness, eventually, free_port

CLI = os.environ.get("STRIPE_CLI")


@asynccontextmanager
async def process(state: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m sandbox.stripe`, answering; killed at the end if it still runs."""
    arguments = ["--port", str(port), "--state", str(state), "--api-key", SECRET_KEY]
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "sandbox.stripe", *arguments)

    async def answers() -> bool:
        assert child.returncode is None
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    try:
        await eventually(answers, 30)
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@asynccontextmanager
async def client_of(port: int) -> AsyncIterator[stripe.StripeClient]:
    witness = Witness()
    yield stripe.StripeClient(
        SECRET_KEY, base_addresses={"api": f"http://127.0.0.1:{port}"}, http_client=witness, max_network_retries=0
    )
    await witness.close_async()


async def test_what_was_answered_outlives_kill_9(tmp_path: Path) -> None:
    """Under load, killed at any moment: every intent that was answered is there afterwards, its key replays, and its events exist."""
    answered: dict[str, str] = {}
    port = free_port()

    async def keep_creating(client: stripe.StripeClient, worker: int) -> None:
        for number in range(1000):
            key = f"{worker}-{number}"
            try:
                intent = await client.v1.payment_intents.create_async(
                    {"amount": 5000, "currency": "eur", "metadata": {"key": key}}, {"idempotency_key": key}
                )
            except stripe.APIConnectionError:
                return
            answered[key] = intent.id

    async with process(tmp_path, port) as child, client_of(port) as client:
        workers = [asyncio.create_task(keep_creating(client, worker)) for worker in range(4)]

        async def enough() -> bool:
            return len(answered) > 50

        await eventually(enough, 30)
        child.send_signal(signal.SIGKILL)
        await asyncio.gather(*workers)
    async with process(tmp_path, port), client_of(port) as client:
        page = await client.v1.payment_intents.list_async({"limit": 100})
        kept = {intent.metadata["key"]: intent.id async for intent in page.auto_paging_iter()}
        assert answered.items() <= kept.items()
        key, identifier = next(iter(answered.items()))
        replayed = await client.v1.payment_intents.create_async(
            {"amount": 5000, "currency": "eur", "metadata": {"key": key}}, {"idempotency_key": key}
        )
        assert replayed.id == identifier
        events = await client.v1.events.list_async({"limit": 100, "type": "payment_intent.created"})
        created = [event.data.to_dict()["object"]["id"] async for event in events.auto_paging_iter()]
        assert sorted(created) == sorted(kept.values())


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--api-key", "sk_live_1234567890"], {}, "--api-key: the stand-in takes test keys only"),
        (["--api-key", "rk_live_1234567890"], {}, "--api-key: the stand-in takes test keys only"),
        (["--publishable-key", "pk_live_1234567890"], {}, "--publishable-key: the stand-in takes test keys only"),
        (
            [],
            {"BOXOFFICE_MODE": "production"},
            "BOXOFFICE_MODE=production: the Stripe stand-in does not run in production",
        ),
        (["--webhook-retry-seconds", "soon"], {}, "--webhook-retry-seconds: numbers of seconds"),
    ],
)
def test_what_the_process_refuses(  # noqa: PLR0917  # fixtures and a table's columns
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    environment: dict[str, str],
    sentence: str,
) -> None:
    """Exit status 2 and one sentence that repeats no key, before anything is opened."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["--port", "1", "--state", str(tmp_path / "state"), *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "live_1234567890" not in said
    assert not (tmp_path / "state").exists()


async def test_two_on_one_folder_are_one_too_many(tmp_path: Path) -> None:
    """The second does not start on the first one's state."""
    async with process(tmp_path, free_port()):
        arguments = ["--port", str(free_port()), "--state", str(tmp_path)]
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sandbox.stripe", *arguments, stderr=asyncio.subprocess.PIPE
        )
        _, said = await second.communicate()
    assert second.returncode != 0
    assert b"database is locked" in said


@pytest.mark.skipif(CLI is None, reason="STRIPE_CLI does not name the official command line client's binary")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["post", "/v1/payment_intents", "-d", "amount=100", "-d", "currency=usd"], '"requires_payment_method"'),
        (["get", "/v1/balance"], '"object":"balance"'),
        (["payment_intents", "list", "--limit", "3"], '"object":"list"'),
        (["get", "/v1/disputes"], "Stripe offers GET /v1/disputes, its stand-in does not"),
        (["trigger", "payment_intent.succeeded"], "Trigger succeeded"),
        (["trigger", "payment_intent.payment_failed"], "Trigger succeeded"),
        (["trigger", "payment_intent.requires_action"], "Trigger succeeded"),
        (["trigger", "payment_intent.canceled"], "Trigger succeeded"),
        (["trigger", "charge.captured"], "Trigger succeeded"),
        (["trigger", "charge.refunded"], "Trigger succeeded"),
        (["trigger", "charge.dispute.created"], "opens a dispute"),
    ],
)
async def test_the_official_command_line_client(tmp_path: Path, arguments: list[str], expected: str) -> None:
    """A client that we did not write gets what it asks for, or a 501 that names what is missing."""
    port = free_port()
    async with process(tmp_path / "state", port):
        finished = await asyncio.create_subprocess_exec(
            str(CLI),
            *arguments,
            *("--api-key", SECRET_KEY, "--api-base", f"http://127.0.0.1:{port}"),
            env=os.environ | {"HOME": str(tmp_path), "STRIPE_CLI_TELEMETRY_OPTOUT": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await finished.communicate()
    assert expected in output.decode()
