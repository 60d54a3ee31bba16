"""`boxoffice doctor`: whether everything that Boxoffice stands on is there and set up, and what to do where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import stripe
from alembic.script import ScriptDirectory
from chassis.clock import SystemClock
from chassis.settings import Configuration
from chassis.topology import Topology, topology
from payment.receipts import EVENTS
from pydantic_settings import SettingsConfigDict

from ops.settings import SERVICES, Settings, Shared
from ops.verify import trust
from ops.verify.outside import Management, ProviderSettings, stripe_client
from ops.verify.reading import Snapshot, snapshot
from ops.verify.report import Difference
from ops.verify.run import DATABASE_ERRORS, OUTSIDE_ERRORS, read_rights, read_settings, reason

SKEW_MAX = timedelta(seconds=2)
"""Holds, tokens and webhooks are judged by clocks."""

ANSWERED_ODDLY = (KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Finding:
    """One look: `wrong` is what is not as it should be, `todo` what to do about it. A look that could not be taken is `skipped`."""

    what: str
    wrong: str | None = None
    todo: str = ""
    skipped: str | None = None

    @property
    def line(self) -> str:
        """As it is printed."""
        if self.skipped:
            return f"-      {self.what}: not looked at, {self.skipped}"
        return f"ok     {self.what}" if self.wrong is None else f"wrong  {self.what}: {self.wrong}. {self.todo}"


class Smtp(Configuration):
    """The mail server, as notification is told it."""

    model_config = SettingsConfigDict(env_prefix="NOTIFICATION_SMTP_", extra="ignore")

    host: str | None = None
    port: int = 587
    starttls: bool = True


async def examine(settings: Settings, shared: Shared) -> list[Finding]:
    """Every look, at the same time."""
    looks: list[Awaitable[list[Finding]]] = [
        *(_database(service, settings.database_url(service)) for service in SERVICES),
        _broker(settings, topology(shared.retry_delays_ms)),
        _provider(ProviderSettings(), settings.public_url),
        _mail_server(Smtp()),
        *(_readiness(service, settings.service_url(service)) for service in SERVICES),
    ]
    return [finding for findings in await asyncio.gather(*looks) for finding in findings]


async def _database(service: str, url: str) -> list[Finding]:
    name = f"{service} database"
    try:
        async with snapshot(service, url) as read:
            return [Finding(f"{name} answers"), *await _inside(name, read)]
    except DATABASE_ERRORS as error:
        return [
            Finding(
                f"{name} answers", reason(error), f"See OPS_{service.upper()}_DATABASE_URL, and run boxoffice migrate"
            )
        ]


async def _inside(name: str, read: Snapshot) -> list[Finding]:
    return [
        *[await _schema(name, package, read) for package in ("chassis", read.service)],
        _none_of(f"{name} is durable", trust.durability(read.service, await read_settings(read))),
        _none_of(f"{name} gives the declared rights", trust.privileges(await read_rights(read))),
        await _clock(name, read),
    ]


async def _schema(name: str, package: str, read: Snapshot) -> Finding:
    what = f"{name} has the schema of this {package}"
    versions = Path(str(files(package))) / "migrations" / "versions"
    wanted = ScriptDirectory(str(versions.parent), version_locations=[str(versions)]).get_current_head()
    found = [version for (version,) in await read.tuples(f"SELECT version_num FROM {package}_schema")]  # noqa: S608  # a name of ours
    is_current = found == [wanted]
    return Finding(what, None if is_current else f"{found} instead of {wanted}", "Run boxoffice migrate")


async def _clock(name: str, read: Snapshot) -> Finding:
    ((theirs,),) = await read.tuples("SELECT clock_timestamp()")
    return _skew(f"{name}'s clock agrees", theirs, SKEW_MAX)


def _skew(what: str, theirs: datetime, at_most: timedelta) -> Finding:
    skew = abs(theirs - SystemClock().now())
    wrong = f"it is {skew.total_seconds():.1f} s away from this machine's" if skew > at_most else None
    return Finding(what, wrong, "Keep all machines in time by NTP")


def _none_of(what: str, differences: Iterable[Difference]) -> Finding:
    """Wrong by the first of `differences`."""
    found = list(differences)
    if not found:
        return Finding(what)
    first = found[0]
    rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return Finding(what, f"{first.subject} is {first.found} instead of {first.expected}{rest}", first.repair)


async def _broker(settings: Settings, wanted: Topology) -> list[Finding]:
    management = Management(settings.broker_management_url.get_secret_value(), settings.broker_url.get_secret_value())
    try:
        queues = {queue["name"]: queue for queue in await management.of_vhost("queues")}
        exchanges = {exchange["name"]: exchange for exchange in await management.of_vhost("exchanges")}
        bindings = {
            (binding["source"], binding["routing_key"], binding["destination"])
            for binding in await management.of_vhost("bindings")
        }
        permissions = await management.get("permissions")
    except OUTSIDE_ERRORS as error:
        return [Finding("broker answers", reason(error), "See OPS_BROKER_MANAGEMENT_URL")]
    finally:
        await management.close()
    parked = sum(queue.get("messages", 0) for name, queue in queues.items() if name.endswith(".parked"))
    return [
        Finding("broker answers"),
        _topology(wanted, queues, exchanges, bindings),
        _none_of("broker gives the declared rights", trust.broker_rights(management.vhost, permissions, SERVICES)),
        Finding("nothing is parked", f"{parked} messages are" if parked else None, "See boxoffice parked list"),
    ]


def _topology(
    wanted: Topology, queues: dict[str, Any], exchanges: dict[str, Any], bindings: set[tuple[str, str, str]]
) -> Finding:
    missing = [exchange.name for exchange in wanted.exchanges if exchange.name not in exchanges]
    different: list[str] = []
    for queue in wanted.queues:
        if queue.name not in queues:
            missing.append(queue.name)
        elif queues[queue.name]["arguments"] != {"x-queue-type": "quorum", **queue.arguments}:
            different.append(queue.name)
        missing += [
            f"{exchange} to {queue.name}"
            for exchange, key in queue.bindings
            if (exchange, key, queue.name) not in bindings
        ]
    what = f"broker has all {len(wanted.exchanges)} exchanges and {len(wanted.queues)} queues"
    if missing:
        return Finding(what, f"{missing[0]} is missing (of {len(missing)})", "Run boxoffice migrate")
    if different:
        return Finding(
            what, f"{different[0]} has other arguments", "Delete it once it is empty, and run boxoffice migrate"
        )
    return Finding(what)


async def _provider(account: ProviderSettings, public_url: str | None) -> list[Finding]:
    what = "provider takes our key"
    if account.api_key is None:
        return [Finding(what, skipped="PAYMENT_STRIPE_API_KEY is not set")]
    try:
        async with stripe_client(account) as client:
            await client.v1.balance.retrieve_async()
            listed = await client.v1.webhook_endpoints.list_async({"limit": 100})
            endpoints = [endpoint.to_dict() for endpoint in listed.data]
        return [Finding(what), _webhooks(endpoints, public_url), await _provider_clock(account)]
    except OUTSIDE_ERRORS as error:
        return [Finding(what, reason(error), "See PAYMENT_STRIPE_API_KEY and PAYMENT_STRIPE_ACCOUNT")]


def _webhooks(endpoints: list[dict[str, Any]], public_url: str | None) -> Finding:
    """The address is compared only where it is known here."""
    what = "provider tells us by webhook"
    ours = [endpoint for endpoint in endpoints if endpoint["url"].endswith("/webhooks/stripe")]
    if public_url is not None:
        ours = [endpoint for endpoint in ours if endpoint["url"] == f"{public_url.rstrip('/')}/webhooks/stripe"]
    enabled = [endpoint for endpoint in ours if endpoint["status"] == "enabled"]
    if not enabled:
        return Finding(what, "no enabled endpoint ends with /webhooks/stripe", "Register one at the provider")
    heard = frozenset(event for endpoint in enabled for event in endpoint["enabled_events"])
    missing = frozenset() if "*" in heard else EVENTS - heard
    if missing:
        return Finding(what, f"it does not listen to {', '.join(sorted(missing))}", "Add them to the endpoint")
    versions = {endpoint["api_version"] for endpoint in enabled}
    if versions - {None, stripe.api_version}:
        found = ", ".join(sorted(str(version) for version in versions))
        return Finding(what, f"it sends API version {found}", f"Register an endpoint with {stripe.api_version}")
    return Finding(what)


async def _provider_clock(account: ProviderSettings) -> Finding:
    async with httpx2.AsyncClient(timeout=10) as client:
        answer = await client.get(account.api_base or stripe.DEFAULT_API_BASE)
    what = "provider's clock agrees"
    if "date" not in answer.headers:
        return Finding(what, skipped="it does not tell the time")
    # It tells whole seconds.
    return _skew(what, parsedate_to_datetime(answer.headers["date"]).astimezone(UTC), SKEW_MAX + timedelta(seconds=1))


async def _mail_server(server: Smtp) -> list[Finding]:
    what = "mail server answers"
    if server.host is None:
        return [Finding(what, skipped="NOTIFICATION_SMTP_HOST is not set")]
    client = aiosmtplib.SMTP(hostname=server.host, port=server.port, start_tls=server.starttls, timeout=5)
    try:
        async with client:
            await client.noop()
    except (aiosmtplib.SMTPException, OSError) as error:
        return [Finding(what, reason(error), "See NOTIFICATION_SMTP_HOST, _PORT and _STARTTLS")]
    return [Finding(what)]


async def _readiness(service: str, url: str | None) -> list[Finding]:
    what = f"{service} is ready"
    if url is None:
        return [Finding(what, skipped=f"OPS_{service.upper()}_URL is not set")]
    try:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            answer = await client.get(f"{url.rstrip('/')}/readyz")
        checks: dict[str, str] = answer.json()["checks"]
    except (httpx2.HTTPError, *ANSWERED_ODDLY) as error:
        return [Finding(what, reason(error), f"See whether it runs, and OPS_{service.upper()}_URL")]
    failed = ", ".join(f"{check} {outcome}" for check, outcome in checks.items() if outcome != "ok")
    return [Finding(what, failed or None, f"See the log of {service}")]


def run(settings: Settings, shared: Shared, say: Callable[[str], None]) -> int:
    """Prints each look; 1 where something is wrong."""
    findings = asyncio.run(examine(settings, shared))
    for finding in findings:
        say(finding.line)
    wrong = sum(finding.wrong is not None for finding in findings)
    say(f"{wrong} of {len(findings)} are wrong." if wrong else "Nothing is wrong.")
    return 1 if wrong else 0
