"""The account at the provider: what it has available, and what was done there of which nobody told us."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import structlog
from chassis import outbox
from chassis.db import Database, table
from contracts.payment import BalanceRead
from sqlalchemy import select, update

from payment import metrics, schedule
from payment.disputes import look_at_dispute, shows_nothing_new
from payment.gateways import DisputeView, Gateway, GatewayError, RefundView
from payment.models import Dispute, Payment, ProviderAccount, Refund
from payment.receipts import apply_found_refund
from payment.refund_states import RefundTrigger

log = structlog.get_logger(__name__)


async def read_balance(database: Database, gateway: Gateway, every: timedelta, account_id: UUID) -> None:
    """Publishes what is available when it has changed since it was last read. It is read again after `every`."""
    try:
        available = await gateway.balance()
    except GatewayError as error:
        log.warning("provider did not show its balance", error=str(error))
        return  # again when the lease ends
    accounts = table(ProviderAccount)
    shown = {amount.currency: amount.amount_minor for amount in available}
    async with database.transaction() as tx:
        held = await tx.execute(
            select(accounts.c.available, accounts.c.version).where(accounts.c.id == account_id).with_for_update()
        )
        account = held.one()
        values = {"read_at": tx.now, "next_balance_at": tx.now + every, "available": shown}
        if account.version and account.available == shown:
            await tx.execute(update(accounts).where(accounts.c.id == account_id).values(values))
            return
        version = account.version + 1
        event = BalanceRead(
            version=version, occurred_at=tx.now, account_id=account_id, provider=gateway.name, available=available
        )
        changed = update(accounts).where(accounts.c.id == account_id).values({**values, "version": version})
        await tx.execute(changed, alongside=[outbox.rows(tx, event)])
    for amount in available:
        metrics.BALANCE.labels(amount.currency).set(amount.amount_minor)


async def list_account(database: Database, gateway: Gateway, every: timedelta, account_id: UUID) -> None:
    """Takes over refunds that were made by hand and disputes, so that neither needs a webhook. It is looked for again after `every`."""
    async with database.transaction() as tx:
        account = await tx.get(ProviderAccount, account_id)
        assert account is not None, "accounts are never removed"
        since, began = account.listed_until, tx.now
    until = began - schedule.LISTING_OVERLAP
    try:
        for dispute in await _new_disputes(database, gateway, await gateway.list_disputes(since)):
            await look_at_dispute(database, gateway, dispute.ref)
        for refund in await _new_refunds(database, gateway, await gateway.list_refunds(since)):
            async with database.transaction() as tx:
                outcome = await apply_found_refund(tx, gateway, refund)
            if outcome == "ignored" and refund.created_at > began - schedule.LISTING_HELD_BACK_MAX:
                until = min(until, refund.created_at)
    except GatewayError as error:
        log.warning("provider did not list its account", error=str(error))
        until = since
    accounts = table(ProviderAccount)
    async with database.transaction() as tx:
        values = {"next_listing_at": tx.now + every, "listed_until": max(since, until)}
        await tx.execute(update(accounts).where(accounts.c.id == account_id).values(values))


async def _new_disputes(database: Database, gateway: Gateway, listed: list[DisputeView]) -> list[DisputeView]:
    """Those of our payments that show something new, oldest first."""
    ours, refs = await _our_intents(database, gateway, listed), [view.ref for view in listed]
    async with database.transaction() as tx:
        rows = await tx.scalars(select(Dispute).where(table(Dispute).c.provider_ref.in_(refs)))
        known = {dispute.provider_ref: dispute for dispute in rows}
    new = [view for view in listed if view.ref not in known or not shows_nothing_new(known[view.ref], view)]
    return [view for view in reversed(new) if view.intent_ref in ours]


async def _new_refunds(database: Database, gateway: Gateway, listed: list[RefundView]) -> list[RefundView]:
    """Those of our payments that no refund of ours is, oldest first. What we asked for ourselves is found by its attempt."""
    failed = RefundTrigger.FAILED
    by_hand = [view for view in listed if "attempt_id" not in view.metadata and view.fact is not failed]
    ours, refs = await _our_intents(database, gateway, by_hand), [view.ref for view in by_hand]
    refunds = table(Refund)
    async with database.transaction() as tx:
        found = await tx.execute(select(refunds.c.provider_ref).where(refunds.c.provider_ref.in_(refs)))
        known = set(found.scalars())
    return [view for view in reversed(by_hand) if view.ref not in known and view.intent_ref in ours]


async def _our_intents(
    database: Database, gateway: Gateway, listed: list[DisputeView] | list[RefundView]
) -> set[str | None]:
    payments, refs = table(Payment), [view.intent_ref for view in listed if view.intent_ref is not None]
    async with database.transaction() as tx:
        found = await tx.execute(
            select(payments.c.provider_ref).where(
                payments.c.provider == gateway.name, payments.c.provider_ref.in_(refs)
            )
        )
        return set(found.scalars())
