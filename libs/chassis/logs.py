"""Logs: one JSON object a line on standard output, joined by request, trace and event ids, without personal data.

What must never be read in a log is masked at the last moment before a line is written, wherever it came from: our own
calls, a library's logger, an exception's text. Masking by pattern is the second fence; the first is not to log it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chassis.tracing import current_trace_id

MASK = "[masked]"
_DEPTH_MAX = 8
_TEXT_MAX = 20_000

_SECRET_KEY = re.compile(
    r"authorization|cookie|token|secret|passw|credential|api[-_]?key|signing[-_]?key|keyset|e[-_]?mail|phone|cvc"
    r"|^(name|card|number|iban)$|^(first|last|full|customer|holder|card|attendee)[-_]?(name|number)$",
    re.IGNORECASE,
)
"""Keys whose values are masked whatever they are. `event_name` and `attempt_number` are not among them."""

_PATTERNS = (
    # User and password in an address, as drivers like to quote them.
    (re.compile(r"(://)[^\s/@:]*:[^\s/@]+@"), rf"\1{MASK}@"),
    # E-mail addresses, also with the @ written as %40 in a query.
    (re.compile(r"\w[\w.+'%-]{0,63}(?:@|%40)[\w-]+(?:\.[\w-]+)+"), MASK),
    # JSON Web Tokens: a header in base64url always begins with {" and so with eyJ.
    (re.compile(r"(?<![A-Za-z0-9])eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"), MASK),
    (re.compile(r"(?i)\b(bearer|authorization\W+basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    # Stripe: API keys, webhook secrets, client secrets (pi_…_secret_…).
    (re.compile(r"\b(?:sk|rk|pk)_(?:test|live)_\w+|\bwhsec_[\w+/=-]+|\b\w+_secret_\w+"), MASK),
    # name=value, "name": "value" and 'name': 'value' with a telling name, as in a repr or a form.
    (
        re.compile(r"""(?i)((?:password|passwd|secret|api_key|token)["']?\s*[=:]\s*["']?)[^\s"'&,;)}\]]+"""),
        rf"\1{MASK}",
    ),
    # What pydantic and SQLAlchemy quote of the values that they refused.
    (re.compile(r"(?s)(input_value=).{0,2000}?(, input_type=)"), rf"\1{MASK}\2"),
    (re.compile(r"(?m)(\[parameters: ).*\]$"), rf"\1{MASK}]"),
)

_SUSPICIOUS = re.compile(
    r"@|%40|eyJ|bearer|authorization|_test_|_live_|whsec_|secret|passw|token|api_key|input_value=|\[parameters: "
    r"|\d(?:[ -]?\d){12}",
    re.IGNORECASE,
)
"""Without one of these pieces neither `_PATTERNS` nor `_DIGITS` can match; one look for them is ten times as fast."""

_DIGITS = re.compile(r"\d(?:[ -]?\d){12}")
_DIGITS = re.compile(
    # Ids and hashes are passed over first: their digits may look like a card number.
    r"(?P<opaque>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<![0-9a-f])[0-9a-f]{32,64}(?![0-9a-f]))"
    r"|(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)",
    re.IGNORECASE,
)


def configure(service: str, level: str) -> None:
    """Sends every log line of the process, also those of libraries, through one handler as JSON; once at start.

    Args:
        service: goes into each line.
        level: debug, info, warning or error.

    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _add_trace,
        _ServiceName(service),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _StandardOutput()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _add_exception,
                redact,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    for name in list(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        # A library's own handler (uvicorn brings some) would write past the redaction.
        if library.handlers:
            library.handlers.clear()
            library.propagate = True
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    # At info it writes the address of every call, query included.
    logging.getLogger("httpx2").setLevel(logging.WARNING)


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Asks for standard output at each line: who captures it may have replaced, and closed, the one from the start."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # an attribute there; the standard library's last resort does so too
        return sys.stdout


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last processor before the line is written: nothing in `event` shows a secret or a person."""
    return {_redacted_key(key)[0]: _redacted(key, value, 0) for key, value in event.items()}


def redacted_text(text: str) -> str:
    """`text` with e-mail addresses, tokens, keys, passwords in addresses and card numbers masked."""
    if not _SUSPICIOUS.search(text):
        return text
    for pattern, mask in _PATTERNS:
        text = pattern.sub(mask, text)
    return _DIGITS.sub(_card_masked, text)


@lru_cache(maxsize=2048)
def _redacted_key(key: str) -> tuple[str, bool]:
    """How a key is shown, and whether its value is masked whatever it is."""
    return redacted_text(key), _SECRET_KEY.search(key) is not None


def _redacted(key: str, value: Any, depth: int) -> Any:
    match value:
        case None | bool() | float():
            return value
        case _ if _redacted_key(key)[1] or depth > _DEPTH_MAX:
            return MASK
        case int():
            return value if redacted_text(str(value)) == str(value) else MASK
        case Mapping():
            return {_redacted_key(str(k))[0]: _redacted(str(k), v, depth + 1) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted("", item, depth + 1) for item in value]
        case _:
            # Anything else becomes text here and not in the renderer, where it would be too late.
            text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            return redacted_text(text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]} [cut]")


def _card_masked(found: re.Match[str]) -> str:
    if found["opaque"]:
        return found[0]
    digits = [int(character) for character in reversed(found[0]) if character.isdigit()]
    # ISO/IEC 7812-1, annex B: every second digit from the right is doubled, its digits added.
    total = sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return MASK if total % 10 == 0 else found[0]


def _add_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The exception's type and its stack as text; the standard library's form shows no local variables."""
    error = event.get("exc_info")
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error_type"] = type(error).__qualname__
    return structlog.processors.format_exc_info(logger, method, event)


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    trace_id = current_trace_id()
    if trace_id is not None:
        event["trace_id"] = trace_id
    return event


class _ServiceName:
    def __init__(self, service: str) -> None:
        self.service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = self.service
        return event
