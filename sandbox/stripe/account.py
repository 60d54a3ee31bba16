"""The one account of the stand-in (docs.stripe.com/api/accounts/retrieve)."""

from __future__ import annotations

from sandbox.stripe.values import Object
from sandbox.stripe.work import Params, Work

ACCOUNT_ID = "acct_sandboxBoxoffice"


def retrieve(_work: Work, _params: Params) -> Object:
    return {
        "id": ACCOUNT_ID,
        "object": "account",
        "business_profile": {
            "mcc": "7922",
            "name": "Boxoffice sandbox",
            "product_description": None,
            "support_address": None,
            "support_email": None,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": "DE",
        "default_currency": "eur",
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "type": "standard",
    }
