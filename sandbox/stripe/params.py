"""What a route accepts, and the sentences with which Stripe refuses the rest (docs.stripe.com/error-codes)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.stripe.errors import InvalidParameter

Parser = Callable[[Any, str], Any]

WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")
METADATA_KEYS_MAX = 50
METADATA_KEY_CHARACTERS_MAX = 40
METADATA_VALUE_CHARACTERS_MAX = 500


@dataclass(frozen=True)
class Required:
    """A parameter that may not be left out."""

    parser: Parser


Schema = Mapping[str, Parser | Required]


class UnknownParameter(InvalidParameter):
    """A name that the route does not take; the caller finds out whether Stripe itself knows it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def text(maximum: int = 5000) -> Parser:
    """A string of at most `maximum` characters; the empty string, which unsets, is given on as None."""

    def parser(value: Any, name: str) -> str | None:
        if not isinstance(value, str):
            raise InvalidParameter("Invalid string", param=name)
        if len(value) > maximum:
            raise InvalidParameter(
                f"Invalid string: must be at most {maximum} characters", code="parameter_invalid_string", param=name
            )
        return value or None

    return parser


def integer(minimum: int | None = None, maximum: int = 99_999_999) -> Parser:
    """A whole number; docs.stripe.com/currencies: amounts have at most eight digits."""

    def parser(value: Any, name: str) -> int:
        if value == "":
            raise InvalidParameter(
                f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
                f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a "
                "non-empty value.",
                code="parameter_invalid_empty",
                param=name,
            )
        if not isinstance(value, str) or not WHOLE_NUMBER.fullmatch(value):
            raise InvalidParameter(f"Invalid integer: {value}", code="parameter_invalid_integer", param=name)
        number = int(value)
        if minimum is not None and number < minimum:
            raise InvalidParameter(
                f"This value must be greater than or equal to {minimum}.", code="parameter_invalid_integer", param=name
            )
        if number > maximum:
            raise InvalidParameter(
                f"This value must be less than or equal to {maximum}.", code="parameter_invalid_integer", param=name
            )
        return number

    return parser


def boolean(value: Any, name: str) -> bool:
    if value in {"true", "false"}:
        return bool(value == "true")
    raise InvalidParameter(f"Invalid boolean: {value}", param=name)


def choice(*allowed: str) -> Parser:
    """One of the listed words."""

    def parser(value: Any, name: str) -> str:
        if value not in allowed:
            raise InvalidParameter(f"Invalid {name}: must be one of {', '.join(allowed)}", param=name)
        return str(value)

    return parser


def metadata(value: Any, name: str) -> dict[str, str] | str:
    """docs.stripe.com/api/metadata: up to 50 keys of 40 characters with values of 500; the empty string unsets all."""
    if value == "":
        return ""
    if not isinstance(value, dict) or any(not isinstance(inner, str) for inner in value.values()):
        raise InvalidParameter("Invalid hash", param=name)
    if len(value) > METADATA_KEYS_MAX:
        raise InvalidParameter(f"You can only set up to {METADATA_KEYS_MAX} metadata keys", param=name)
    for key, inner in value.items():
        if len(key) > METADATA_KEY_CHARACTERS_MAX or len(inner) > METADATA_VALUE_CHARACTERS_MAX:
            raise InvalidParameter(
                f"Metadata keys have at most {METADATA_KEY_CHARACTERS_MAX} characters and values at most "
                f"{METADATA_VALUE_CHARACTERS_MAX}",
                param=f"{name}[{key}]",
            )
    return value


def array(of: Parser) -> Parser:
    """A list of values of one kind."""

    def parser(value: Any, name: str) -> list[Any]:
        if value == "":
            return []
        if not isinstance(value, list):
            raise InvalidParameter("Invalid array", param=name)
        return [of(inner, f"{name}[{place}]") for place, inner in enumerate(value)]

    return parser


def group(schema: Schema) -> Parser:
    """A mapping with its own parameters."""

    def parser(value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidParameter("Invalid object", param=name)
        return parsed(schema, value, name)

    return parser


def either(plain: Parser, structured: Parser) -> Parser:
    """A single value, or a mapping in its place: `created=7` and `created[gte]=7`."""

    def parser(value: Any, name: str) -> Any:
        return structured(value, name) if isinstance(value, dict) else plain(value, name)

    return parser


def parsed(schema: Schema, given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`given`, checked and converted. Raises InvalidParameter with the name as Stripe writes it, `card[exp_month]`."""
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = f"{prefix}[{key}]" if prefix else key
        field = schema.get(key)
        if field is None:
            raise UnknownParameter(name)
        values[key] = (field.parser if isinstance(field, Required) else field)(value, name)
    for key, field in schema.items():
        if isinstance(field, Required) and key not in values:
            name = f"{prefix}[{key}]" if prefix else key
            raise InvalidParameter(f"Missing required param: {name}.", code="parameter_missing", param=name)
    return values


MOMENT = integer(minimum=0, maximum=2**40)
CREATED = either(MOMENT, group({"gt": MOMENT, "gte": MOMENT, "lt": MOMENT, "lte": MOMENT}))
EXPAND: Schema = {"expand": array(text())}
PAGE: Schema = {
    **EXPAND,
    "created": CREATED,
    "ending_before": text(),
    "limit": integer(minimum=1, maximum=100),
    "starting_after": text(),
}
ADDRESS = group({name: text() for name in ("city", "country", "line1", "line2", "postal_code", "state")})
SHIPPING = group(
    {
        "address": Required(ADDRESS),
        "name": Required(text()),
        "carrier": text(),
        "phone": text(),
        "tracking_number": text(),
    }
)
