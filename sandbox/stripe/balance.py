"""The account's money: balance transactions with fees, and what is available of them.

docs.stripe.com/api/balance_transactions/object and docs.stripe.com/api/balance. The tariff is one for all cards, 2.9 % and 30 minor units.
A charge becomes available two days later (docs.stripe.com/payouts). A refund draws on the available balance and waits when it does not
suffice (docs.stripe.com/refunds); here the account has credit until the control API sets a balance.
"""

from __future__ import annotations

from sandbox.stripe.ids import new_id
from sandbox.stripe.params import PAGE, Schema, text
from sandbox.stripe.values import Object
from sandbox.stripe.work import Params, Work

LIST: Schema = {**PAGE, "currency": text(3), "source": text(), "type": text()}

FEE_PER_MILLE = 29
FEE_FIXED_MINOR = 30
AVAILABLE_AFTER_SECONDS = 2 * 24 * 3600

FEE_NAMES = {"adjustment": "Dispute fee"}


def fee_of(amount_minor: int) -> int:
    """Half up, in minor units."""
    return (amount_minor * FEE_PER_MILLE + 500) // 1000 + FEE_FIXED_MINOR


def record(
    work: Work,
    kind: str,
    source: Object,
    amount_minor: int,
    *,
    fee_minor: int = 0,
    at_once: bool = False,
    category: str | None = None,
) -> Object:
    """A movement of the balance because of `source`, a charge, a refund or a dispute; `amount_minor` is signed.

    `category`, where it is not called like the type: docs.stripe.com/reports/reporting-categories.
    """
    wait = AVAILABLE_AFTER_SECONDS if kind == "charge" and not at_once else 0
    transaction: Object = {
        "id": new_id("txn"),
        "object": "balance_transaction",
        "amount": amount_minor,
        "available_on": work.now + wait,
        "balance_type": "payments",
        "created": work.now,
        "currency": source["currency"],
        "description": source.get("description"),
        "exchange_rate": None,
        "fee": fee_minor,
        "fee_details": [
            {
                "amount": fee_minor,
                "application": None,
                "currency": source["currency"],
                "description": FEE_NAMES.get(kind, "Stripe processing fees"),
                "type": "stripe_fee",
            }
        ]
        if fee_minor
        else [],
        "net": amount_minor - fee_minor,
        "reporting_category": category or kind,
        "source": source["id"],
        "status": "pending" if wait else "available",
        "type": kind,
    }
    work.store.put(transaction)
    _move(work, transaction["id"], source["currency"], transaction["net"], transaction["available_on"])
    return transaction


def retrieve_transaction(work: Work, _params: Params, identifier: str) -> Object:
    return as_of(work.load("balance_transaction", identifier), work.now)


def list_transactions(work: Work, params: Params) -> Object:
    page = work.listed("balance_transaction", params, "currency", "source", "type")
    return page | {"data": [as_of(transaction, work.now) for transaction in page["data"]]}


def as_of(transaction: Object, now: int) -> Object:
    """Funds turn available by the passing of time alone."""
    return transaction | {"status": "available" if transaction["available_on"] <= now else "pending"}


def retrieve(work: Work, _params: Params) -> Object:
    rows = work.store.connection.execute(
        "SELECT currency, SUM(net * (available_on <= :now)), SUM(net * (available_on > :now)) FROM funds "
        "GROUP BY currency ORDER BY currency",
        {"now": work.now},
    ).fetchall() or [("usd", 0, 0)]
    return {
        "object": "balance",
        "available": [_amount(currency, available) for currency, available, _ in rows],
        "livemode": False,
        "pending": [_amount(currency, pending) for currency, _, pending in rows],
        "refund_and_dispute_prefunding": {
            "available": [_amount(currency, 0) for currency, _, _ in rows],
            "pending": [_amount(currency, 0) for currency, _, _ in rows],
        },
    }


def covers(work: Work, currency: str, amount_minor: int) -> bool:
    """Whether a refund of this amount can be paid out now."""
    if currency not in work.store.setting("limited_currencies", {}):
        return True
    return available(work, currency) >= amount_minor


def available(work: Work, currency: str) -> int:
    row = work.store.connection.execute(
        "SELECT COALESCE(SUM(net), 0) FROM funds WHERE currency = ? AND available_on <= ?", (currency, work.now)
    ).fetchone()
    return int(row[0])


def set_available(work: Work, currency: str, amount_minor: int | None) -> None:
    """Limit the account to this available amount from now on; None gives it credit again."""
    limited = work.store.setting("limited_currencies", {})
    if amount_minor is None:
        limited.pop(currency, None)
    else:
        limited[currency] = True
        _move(work, new_id("set"), currency, amount_minor - available(work, currency), work.now)
    work.store.set_setting("limited_currencies", limited)


def _move(work: Work, identifier: str, currency: str, net_minor: int, available_on: int) -> None:
    work.store.connection.execute(
        "INSERT INTO funds (id, currency, net, available_on) VALUES (?, ?, ?, ?)",
        (identifier, currency, net_minor, available_on),
    )


def _amount(currency: str, amount_minor: int) -> Object:
    return {"amount": amount_minor, "currency": currency, "source_types": {"card": amount_minor}}
