"""What payment does when it falls due."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from chassis.crypto import Sealer
from chassis.db import Database
from chassis.due import Sweep

from payment.account import list_account, read_balance
from payment.advance import advance_payment
from payment.advance_refund import advance_refund
from payment.disputes import advance_dispute
from payment.gateways import Gateway
from payment.models import BALANCE_READS, CHECKS, DISPUTE_CHECKS, LISTINGS, RECEIPTS, REFUND_CHECKS
from payment.pace import Pace
from payment.receipts import process_receipt
from payment.settings import Settings

REFUNDS_AT_ONCE_MAX = 16


def sweeps(database: Database, gateway: Gateway, sealer: Sealer, settings: Settings) -> tuple[Sweep, ...]:
    """Payments, refunds, disputes and webhooks that are to be looked at, and the account at the provider."""
    rules = settings.review_rules
    per_s = settings.provider_refunds_per_s
    pace = Pace(database, per_s)

    balance = partial(read_balance, database, gateway, timedelta(seconds=settings.balance_every_s))
    listing = partial(list_account, database, gateway, timedelta(seconds=settings.provider_listing_every_s))
    refund = partial(advance_refund, database, gateway, pace=pace)
    return (
        Sweep(CHECKS, database, partial(advance_payment, database, gateway, rules=rules)),
        # As many as have their turn within a second: none waits longer than its claim lasts.
        Sweep(REFUND_CHECKS, database, refund, concurrency=min(REFUNDS_AT_ONCE_MAX, per_s)),
        Sweep(DISPUTE_CHECKS, database, partial(advance_dispute, database, gateway)),
        Sweep(RECEIPTS, database, partial(process_receipt, database, gateway, sealer, rules=rules)),
        Sweep(BALANCE_READS, database, balance),
        Sweep(LISTINGS, database, listing),
    )
