"""What the stand-in answers when it refuses, in Stripe's shape.

    StripeError
    ├── InvalidRequest           400  the endpoint ran and refuses; kept under the idempotency key
    │   ├── InvalidParameter     400  a parameter does not parse; nothing ran, nothing is kept
    │   ├── UnexpectedState      400  the object's status does not allow it
    │   └── ResourceMissing      404
    ├── CardError                402  a decline: the object it changed stays changed
    ├── Unauthenticated          401
    ├── Forbidden                403
    ├── UnknownRoute             404  Stripe has no such route
    ├── NotOffered               501  Stripe has it, the stand-in has not
    ├── KeyReused                400  same idempotency key, other request
    ├── KeyInUse                 409  same idempotency key, first request still running
    ├── RateLimited              429
    ├── LockTimeout              429
    └── ServerFault              500

Wire types and the omission of null attributes: docs.stripe.com/api/errors.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sandbox.stripe.values import Object, encoded, rendered

DOCS = "https://stripe.com/docs/error-codes"


class StripeError(Exception):
    """A refusal. `kept` says whether an idempotency key remembers it, `has_effects` whether what it wrote stays."""

    status: ClassVar[int]
    type: ClassVar[str] = "invalid_request_error"
    kept: ClassVar[bool] = False
    has_effects: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.param = param
        self.facts = facts
        self.headers: dict[str, str] = {}

    def body(self, request_id: str) -> str:
        """JSON of Stripe's error envelope; attributes without a value are left out."""
        error: Object = {
            "code": self.code,
            "doc_url": f"{DOCS}/{self.code.replace('_', '-')}"
            if self.code and self.status != NotOffered.status
            else None,
            "message": self.message,
            "param": self.param,
            "request_log_url": f"https://dashboard.stripe.com/test/logs/{request_id}",
            "type": self.type,
        } | {name: rendered(fact) if isinstance(fact, dict) else fact for name, fact in self.facts.items()}
        return encoded({"error": {name: value for name, value in error.items() if value is not None}})


class InvalidRequest(StripeError):
    status = 400
    kept = True


class InvalidParameter(InvalidRequest):
    """docs.stripe.com/api/idempotent_requests: no result is saved when incoming parameters fail validation."""

    kept = False


class UnexpectedState(InvalidRequest):
    def __init__(self, message: str, intent: Object) -> None:
        super().__init__(message, code="payment_intent_unexpected_state", payment_intent=intent)


class ResourceMissing(InvalidRequest):
    status = 404

    def __init__(self, kind: str, identifier: str, param: str) -> None:
        super().__init__(f"No such {kind}: '{identifier}'", code="resource_missing", param=param)


class CardError(StripeError):
    status = 402
    type = "card_error"
    kept = True
    has_effects = True


class Unauthenticated(StripeError):
    status = 401


class Forbidden(StripeError):
    """docs.stripe.com/connect/authentication: the key has no part in the account that `Stripe-Account` names."""

    status = 403

    def __init__(self, account: str) -> None:
        super().__init__(
            f"The provided key does not have access to account '{account}' (or that account does not exist). "
            "Application access may have been revoked.",
            code="account_invalid",
        )


class UnknownRoute(StripeError):
    status = 404

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Unrecognized request URL ({method}: {path}).")


class NotOffered(StripeError):
    """Final, whatever the number says, so the SDK is told not to try again."""

    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"Stripe offers {what}, its stand-in does not.", code="not_offered_by_stand_in")
        self.headers = {"Stripe-Should-Retry": "false"}


class KeyReused(StripeError):
    status = 400
    type = "idempotency_error"

    def __init__(self, key: str) -> None:
        super().__init__(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. "
            f"Try using a key other than '{key}' if you meant to execute a different request."
        )


class KeyInUse(StripeError):
    """The wire `type` of this answer is not documented; the SDK reads the status alone."""

    status = 409
    type = "idempotency_error"

    def __init__(self, key: str) -> None:
        super().__init__(
            "There is currently another in-progress request using this idempotency key (that probably means you "
            f"submitted twice, and the other request is still going through): {key}. Please try again later.",
            code="idempotency_key_in_use",
        )


class RateLimited(StripeError):
    """docs.stripe.com/rate-limits."""

    status = 429

    def __init__(self) -> None:
        super().__init__("Request rate limit exceeded.", code="rate_limit")
        self.headers = {"Stripe-Rate-Limited-Reason": "global-rate"}


class LockTimeout(StripeError):
    """docs.stripe.com/rate-limits#object-lock-timeouts: a 429 without the header that names a limit."""

    status = 429

    def __init__(self) -> None:
        super().__init__(
            "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.",
            code="lock_timeout",
        )


class ServerFault(StripeError):
    status = 500
    type = "api_error"
    kept = True
    has_effects = True

    def __init__(self) -> None:
        super().__init__("An unknown error occurred.")
