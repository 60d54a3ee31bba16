"""What payment does when it falls due."""

from __future__ import annotations

from functools import partial

from chassis.crypto import Sealer
from chassis.db import Database
from chassis.due import Sweep

from payment.advance import advance_payment
from payment.advance_refund import advance_refund
from payment.gateways import Gateway
from payment.models import CHECKS, RECEIPTS, REFUND_CHECKS
from payment.receipts import process_receipt


def sweeps(database: Database, gateway: Gateway, sealer: Sealer) -> tuple[Sweep, ...]:
    """Payments, refunds and webhooks that are to be looked at."""
    return (
        Sweep(CHECKS, database, partial(advance_payment, database, gateway)),
        Sweep(REFUND_CHECKS, database, partial(advance_refund, database, gateway)),
        Sweep(RECEIPTS, database, partial(process_receipt, database, gateway, sealer)),
    )
