"""Stripe's published test cards and what each of them does (docs.stripe.com/testing).

A card number is looked up here and forgotten: payment methods keep the card's name, its last four digits and a fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandbox.stripe.errors import CardError


class Authentication(StrEnum):
    """When the card's issuer asks for 3-D Secure."""

    NONE = "none"
    OPTIONAL = "optional"
    UNLESS_SET_UP = "unless_set_up"
    REQUIRED = "required"


class RefundCourse(StrEnum):
    """What becomes of a refund to the card."""

    SUCCEEDS = "succeeds"
    SUCCEEDS_LATER = "succeeds_later"
    FAILS_LATER = "fails_later"
    FAILS_AT_ONCE = "fails_at_once"
    REQUIRES_ACTION = "requires_action"


@dataclass(frozen=True)
class Decline:
    """Codes: docs.stripe.com/declines/codes and docs.stripe.com/error-codes."""

    code: str
    decline_code: str | None
    message: str
    type: str = "card_error"


DECLINED = "Your card was declined."
GENERIC = Decline("card_declined", "generic_decline", DECLINED)
INSUFFICIENT_FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")


@dataclass(frozen=True)
class Card:
    """A test card. `name` is what follows `pm_card_` in its token; `dispute` is the reason of the dispute that its charges meet."""

    name: str
    number: str
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    authentication: Authentication = Authentication.NONE
    refund: RefundCourse = RefundCourse.SUCCEEDS
    available_at_once: bool = False
    dispute: str | None = None

    @property
    def last4(self) -> str:
        return self.number[-4:]


CARDS = (
    Card("visa", "4242424242424242"),
    Card("visa_debit", "4000056655665556", funding="debit"),
    Card("mastercard", "5555555555554444", brand="mastercard"),
    Card("mastercard_debit", "5200828282828210", brand="mastercard", funding="debit"),
    Card("mastercard_prepaid", "5105105105105100", brand="mastercard", funding="prepaid"),
    Card("amex", "378282246310005", brand="amex"),
    Card("discover", "6011111111111117", brand="discover"),
    Card("de", "4000002760000016", country="DE"),
    Card("gb", "4000008260000000", country="GB"),
    Card("fr", "4000002500000003", country="FR"),
    Card("bypassPending", "4000000000000077", available_at_once=True),
    Card("visa_chargeDeclined", "4000000000000002", decline=GENERIC),
    Card("visa_chargeDeclinedInsufficientFunds", "4000000000009995", decline=INSUFFICIENT_FUNDS),
    Card("visa_chargeDeclinedLostCard", "4000000000009987", decline=Decline("card_declined", "lost_card", DECLINED)),
    Card(
        "visa_chargeDeclinedStolenCard", "4000000000009979", decline=Decline("card_declined", "stolen_card", DECLINED)
    ),
    Card(
        "chargeDeclinedExpiredCard", "4000000000000069", decline=Decline("expired_card", None, "Your card has expired.")
    ),
    Card(
        "chargeDeclinedIncorrectCvc",
        "4000000000000127",
        decline=Decline("incorrect_cvc", None, "Your card's security code is incorrect."),
    ),
    Card(
        "chargeDeclinedProcessingError",
        "4000000000000119",
        decline=Decline(
            "processing_error", None, "An error occurred while processing your card. Try again in a little bit."
        ),
    ),
    Card(
        "visa_chargeDeclinedVelocityLimitExceeded",
        "4000000000006975",
        decline=Decline("card_declined", "card_velocity_exceeded", DECLINED),
    ),
    Card("chargeCustomerFail", "4000000000000341", decline=GENERIC),
    Card("authenticationRequiredOnSetup", "4000002500003155", authentication=Authentication.UNLESS_SET_UP),
    Card("authenticationRequired", "4000002760003184", authentication=Authentication.REQUIRED),
    Card("threeDSecure2Required", "4000000000003220", authentication=Authentication.REQUIRED),
    Card(
        "threeDSecureRequiredChargeDeclined",
        "4000008400001629",
        authentication=Authentication.REQUIRED,
        decline=GENERIC,
    ),
    Card(
        "authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        authentication=Authentication.REQUIRED,
        decline=INSUFFICIENT_FUNDS,
    ),
    Card("threeDSecureOptional", "4000000000003055", authentication=Authentication.OPTIONAL),
    Card("pendingRefund", "4000000000007726", refund=RefundCourse.SUCCEEDS_LATER),
    Card("refundFail", "4000000000005126", refund=RefundCourse.FAILS_LATER),
    Card("createDispute", "4000000000000259", dispute="fraudulent"),
    Card("createDisputeProductNotReceived", "4000000000002685", dispute="product_not_received"),
    Card("createDisputeInquiry", "4000000000001976", dispute="fraudulent:inquiry"),
)

BY_NUMBER = {card.number: card for card in CARDS}
BY_NAME = {card.name: card for card in CARDS} | {
    short: card for card in CARDS if card.decline and (short := card.name.removeprefix("visa_")) != card.name
}
"""By the tail of the token; Stripe spells the plain declines both with and without the brand."""

WARNING_NUMBER = "4000000000005423"
WARNING_NAME = "createIssuerFraudRecord"
"""Causes an early fraud warning, which the stand-in does not offer."""

NUMBER_DIGITS_MIN = 12
NUMBER_DIGITS_MAX = 19


def checksum_holds(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: every second digit from the right doubled, the sum divisible by ten."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def card_of_number(number: str) -> Card | None:
    """The published test card of this number; None for the card of an early fraud warning.

    Raises CardError as Stripe does in test mode for a number that is wrong or is not a test card's. The error never repeats it.
    """
    digits = number.replace(" ", "").replace("-", "")
    if digits == WARNING_NUMBER:
        return None
    if card := BY_NUMBER.get(digits):
        return card
    if not digits.isdigit() or not NUMBER_DIGITS_MIN <= len(digits) <= NUMBER_DIGITS_MAX or not checksum_holds(digits):
        raise CardError("Your card number is incorrect.", code="incorrect_number", param="number")
    raise CardError(
        "Your card was declined. Your request was in test mode, but used a non test card. For a list of valid test cards, "
        "visit: https://stripe.com/docs/testing.",
        code="card_declined",
        decline_code="test_mode_live_card",
    )
