"""What a service refuses, and why. Every refusal is a class that writes its sentence and knows its status.

Problem
├── Malformed         400  the request cannot be read: a header is missing or wrong
├── Unauthorized      401  no valid token
├── Forbidden         403  a valid token without the role
├── NotFound          404  absent, or not yours: never said which
├── Conflict          409  the state does not allow it; carries the current state
├── Invalid           422  a field's value is wrong; carries the field
├── TooManyRequests   429  carries the seconds to wait
└── Unavailable       503  something that it needs does not answer; carries the seconds to wait

TooEarly               a message arrived before what it builds on; it is retried
"""

from __future__ import annotations

from collections.abc import Mapping


class Problem(Exception):
    """A refusal that a client sees as application/problem+json (RFC 9457). `detail` is shown to it: no personal data, no secrets."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **extra: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra


class Malformed(Problem):
    """The request cannot be read."""

    status = 400
    title = "Malformed request"


class Unauthorized(Problem):
    """There is no valid token. The answer never says what was wrong with it."""

    status = 401
    title = "Sign-in needed"

    def __init__(self) -> None:
        super().__init__("A valid bearer token is needed.", headers={"WWW-Authenticate": "Bearer"})


class Forbidden(Problem):
    """The token is valid, its role is not enough."""

    status = 403
    title = "Not allowed"

    def __init__(self) -> None:
        super().__init__("Your role does not allow this.")


class NotFound(Problem):
    """It does not exist, or it is somebody else's: the answer is the same."""

    status = 404
    title = "Not found"

    def __init__(self, what: str) -> None:
        super().__init__(f"There is no such {what}.")


class Conflict(Problem):
    """The current state does not allow it. `state` tells the client what it is now."""

    status = 409
    title = "Conflict"


class Invalid(Problem):
    """A field's value is wrong."""

    status = 422
    title = "Invalid value"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}", errors=[{"field": field, "message": message}])


class TooManyRequests(Problem):
    """Asked too often."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class Unavailable(Problem):
    """Something that the request needs does not answer now."""

    status = 503
    title = "Temporarily unavailable"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class TooEarly(Exception):
    """A message arrived before the one that it builds on. It is put back and tried again later."""
