"""Currencies and the amounts that a charge in them may have (docs.stripe.com/currencies)."""

from __future__ import annotations

from typing import Any

from sandbox.stripe.errors import InvalidParameter, InvalidRequest


def _codes(words: str) -> frozenset[str]:
    return frozenset(words.split())


TWO_DECIMALS = _codes(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc cve "
    "czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr isk jmd kes kgs khr kyd kzt lak "
    "lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron "
    "rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah ugx uyu uzs wst xcd yer zar zmw"
)
ZERO_DECIMALS = _codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf")
THREE_DECIMALS = _codes("bhd jod kwd omr tnd")
SUPPORTED = TWO_DECIMALS | ZERO_DECIMALS | THREE_DECIMALS

MULTIPLES_MINOR = {"isk": 100, "ugx": 100} | dict.fromkeys(THREE_DECIMALS, 10)

MINIMUM_MINOR = {
    "usd": 50, "eur": 50, "gbp": 30, "chf": 50, "aed": 200, "aud": 50, "brl": 50, "cad": 50, "czk": 1500, "dkk": 250,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200,
    "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip
"""Of an account that settles in the charge's currency; copies of the page from different years disagree on some of them."""


def currency(value: Any, name: str) -> str:
    """A three-letter code in lower case; capitals are accepted."""
    code = str(value).lower()
    if code not in SUPPORTED:
        raise InvalidParameter(
            f"Invalid currency: {code}. Stripe currently supports these currencies: {', '.join(sorted(SUPPORTED))}",
            param=name,
        )
    return code


def check_amount(amount_minor: int, code: str) -> None:
    """Raise InvalidRequest for an amount that cannot be charged in this currency."""
    multiple = MULTIPLES_MINOR.get(code, 1)
    if amount_minor % multiple:
        raise InvalidRequest(f"Invalid amount: an amount in {code} must be a multiple of {multiple}.", param="amount")
    if amount_minor < MINIMUM_MINOR.get(code, 1):
        raise InvalidRequest(
            f"Amount must be at least {shown(MINIMUM_MINOR[code], code)} {code}",
            code="amount_too_small",
            param="amount",
        )


def shown(amount_minor: int, code: str) -> str:
    """The amount as people write it, `12.50`, by the currency's decimals."""
    decimals = 0 if code in ZERO_DECIMALS else 3 if code in THREE_DECIMALS else 2
    if decimals == 0:
        return str(amount_minor)
    whole, rest = divmod(amount_minor, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"
