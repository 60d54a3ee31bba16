"""From a PaymentIntent and a card to a charge, a decline or a 3-D Secure challenge.

docs.stripe.com/payments/paymentintents/lifecycle, docs.stripe.com/payments/3d-secure/authentication-flow, docs.stripe.com/testing.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from sandbox.stripe import charges, payment_methods
from sandbox.stripe.cards import Authentication, Card, Decline
from sandbox.stripe.errors import CardError, InvalidParameter, InvalidRequest, UnexpectedState
from sandbox.stripe.ids import new_id
from sandbox.stripe.params import EXPAND, Schema, array, boolean, choice, group, text
from sandbox.stripe.values import Object
from sandbox.stripe.work import Params, Work

CONFIRM: Schema = {
    "error_on_requires_action": boolean,
    "off_session": boolean,
    "payment_method": text(),
    "payment_method_data": group(payment_methods.DATA),
    "payment_method_options": group(
        {
            "card": group(
                {"capture_method": choice("manual"), "request_three_d_secure": choice("any", "automatic", "challenge")}
            )
        }
    ),
    "payment_method_types": array(choice("card")),
    "receipt_email": text(800),
    "return_url": text(),
    "setup_future_usage": choice("off_session", "on_session"),
    "use_stripe_sdk": boolean,
}
CONFIRM_ROUTE: Schema = {
    **EXPAND,
    **CONFIRM,
    "capture_method": choice("automatic", "automatic_async", "manual"),
    "client_secret": text(),
}

CONFIRMABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
SETTLED_AFTER_SECONDS = 1
"""docs.stripe.com/payments/payment-intents/asynchronous-capture gives an hour at most and no usual time."""

AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure",
    None,
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to "
    "attempt to fulfill this PaymentIntent again.",
    "invalid_request_error",
)


def confirm(work: Work, params: Params, identifier: str) -> Object:
    intent = work.load("payment_intent", identifier)
    check_client_secret(work, intent, params)
    if intent["status"] not in CONFIRMABLE:
        already = (
            "it has already succeeded after being previously confirmed"
            if intent["status"] in {"succeeded", "requires_capture"}
            else f"it has a status of {intent['status']}"
        )
        raise UnexpectedState(f"You cannot confirm this PaymentIntent because {already}.", intent)
    if work.publishable and intent["confirmation_method"] == "manual":
        raise InvalidRequest(
            "This PaymentIntent cannot be confirmed using your publishable key because its `confirmation_method` is set to "
            "`manual`. Please use your secret key instead, or create a PaymentIntent with `confirmation_method` set to "
            "`automatic`.",
            code="payment_intent_invalid_parameter",
        )
    return confirm_created(work, intent, params)


def confirm_created(work: Work, intent: Object, params: Params) -> Object:
    """Try to pay the intent with the given method, or with the one that it has. Raises CardError for a decline."""
    method = given_method(work, params)
    if method is None and intent["payment_method"]:
        method = work.load("payment_method", intent["payment_method"])
    if method is None:
        raise UnexpectedState(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method.",
            intent,
        )
    _check_return_url(work, intent, params)
    intent |= {
        name: params[name] for name in ("capture_method", "receipt_email", "setup_future_usage") if name in params
    }
    intent |= {"last_payment_error": None, "next_action": None, "payment_method": method["id"]}
    options = params.get("payment_method_options", {}).get("card", {})
    intent["payment_method_options"] = {"card": intent["payment_method_options"]["card"] | options}
    card = payment_methods.card_of(method)
    if not _must_authenticate(intent, card, off_session=params.get("off_session", False)):
        return _charge(work, intent, method, card, authenticated=False)
    if params.get("off_session") or params.get("error_on_requires_action"):
        return decline(work, intent, method, card, AUTHENTICATION_REQUIRED)
    intent["status"] = "requires_action"
    intent["_challenge"] = secrets.token_urlsafe(16)
    intent["_return_url"] = params.get("return_url")
    intent["next_action"] = _next_action(work, intent, use_stripe_sdk=params.get("use_stripe_sdk", False))
    work.store.put(intent)
    work.emit("payment_intent.requires_action", intent)
    return intent


def authenticated(work: Work, intent: Object, *, passed: bool) -> Object:
    """The customer answered the challenge. Raises CardError when that did not lead to a charge."""
    method = work.load("payment_method", intent["payment_method"])
    card = payment_methods.card_of(method)
    intent |= {"next_action": None, "_challenge": None}
    if passed:
        return _charge(work, intent, method, card, authenticated=True)
    return _fail(work, intent, method, AUTHENTICATION_FAILED, None)


def given_method(work: Work, params: Params) -> Object | None:
    """The payment method that a request brings, by id, by test token or as a card's number."""
    if params.get("payment_method"):
        return payment_methods.load(work, params["payment_method"], "payment_method")
    if "payment_method_data" in params:
        return payment_methods.from_data(work, params["payment_method_data"], "payment_method_data")
    return None


def check_client_secret(work: Work, intent: Object, params: Params) -> None:
    """docs.stripe.com/api/payment_intents/retrieve: with a publishable key the client secret is needed."""
    given = params.get("client_secret")
    if given is None and not work.publishable:
        return
    if given is None:
        raise InvalidParameter(
            "Missing required param: client_secret.", code="parameter_missing", param="client_secret"
        )
    if not secrets.compare_digest(given.encode(), intent["client_secret"].encode()):
        raise InvalidRequest(
            "The client_secret provided does not match the client_secret associated with the PaymentIntent.",
            code="payment_intent_invalid_parameter",
            param="client_secret",
        )


def _check_return_url(work: Work, intent: Object, params: Params) -> None:
    url = params.get("return_url")
    if url is not None and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc):
        raise InvalidRequest("Not a valid URL", code="url_invalid", param="return_url")
    automatic = intent["automatic_payment_methods"]
    if (
        url
        or not automatic
        or automatic.get("allow_redirects") == "never"
        or params.get("use_stripe_sdk")
        or work.publishable
    ):
        return
    raise InvalidRequest(
        "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment "
        "methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept "
        "redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and "
        "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
        param="return_url",
    )


def _must_authenticate(intent: Object, card: Card, *, off_session: bool) -> bool:
    if card.authentication is Authentication.REQUIRED:
        return True
    if card.authentication is Authentication.UNLESS_SET_UP:
        return not off_session
    requested = intent["payment_method_options"]["card"]["request_three_d_secure"] in {"any", "challenge"}
    return card.authentication is Authentication.OPTIONAL and requested


def _next_action(work: Work, intent: Object, *, use_stripe_sdk: bool) -> Object:
    """docs.stripe.com/api/payment_intents/object#payment_intent_object-next_action; `challenge_flow` may force the redirect."""
    redirect = not use_stripe_sdk or work.store.setting("challenge_flow", {}).get("flow") == "redirect"
    page = f"{work.public_url}/3ds/{intent['id']}/{intent['_challenge']}"
    if intent["_return_url"] and redirect:
        return {"redirect_to_url": {"return_url": intent["_return_url"], "url": page}, "type": "redirect_to_url"}
    return {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"source": new_id("src"), "stripe_js": page, "type": "three_d_secure_redirect"},
    }


def _charge(work: Work, intent: Object, method: Object, card: Card, *, authenticated: bool) -> Object:
    if card.decline is not None:
        return decline(work, intent, method, card, card.decline)
    manual = "manual" in {intent["capture_method"], intent["payment_method_options"]["card"].get("capture_method")}
    charge = charges.made(work, intent, method, card, authenticated=authenticated, captured=not manual)
    if not manual and intent["capture_method"] == "automatic":
        charges.settle(work, charge)
    elif not manual:
        work.later(SETTLED_AFTER_SECONDS, "charge.settle", charge["id"])
    intent["latest_charge"] = charge["id"]
    if manual:
        intent |= {"amount_capturable": intent["amount"], "status": "requires_capture"}
        work.later(charges.AUTHORISED_SECONDS, "payment_intent.expire", intent["id"])
    else:
        intent |= {"amount_received": intent["amount"], "status": "succeeded"}
    work.store.put(charge)
    work.store.put(intent)
    work.emit("charge.succeeded", charge)
    work.emit("payment_intent.amount_capturable_updated" if manual else "payment_intent.succeeded", intent)
    return intent


def decline(work: Work, intent: Object, method: Object, card: Card, why: Decline) -> Object:
    """docs.stripe.com/declines: a failed charge, the intent payable again, and the error that carries both."""
    charge = charges.declined(work, intent, method, card, why)
    intent["latest_charge"] = charge["id"]
    return _fail(work, intent, method, why, charge["id"])


def _fail(work: Work, intent: Object, method: Object, why: Decline, charge: str | None) -> Object:
    facts: Object = {
        "charge": charge,
        "decline_code": why.decline_code,
        "payment_method": {name: value for name, value in method.items() if name[0] != "_"},
    }
    error = CardError(why.message, code=why.code, **facts)
    intent |= {
        "last_payment_error": {
            "code": why.code,
            "doc_url": f"https://stripe.com/docs/error-codes/{why.code.replace('_', '-')}",
            "message": why.message,
            "type": why.type,
        }
        | {name: value for name, value in facts.items() if value is not None},
        "payment_method": None,
        "status": "requires_payment_method",
    }
    work.store.put(intent)
    work.emit("payment_intent.payment_failed", intent)
    error.facts["payment_intent"] = dict(intent)
    raise error
