"""Which routes and parameters Stripe has, by the installed SDK's own source: what tells 501 from 404."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path

import stripe

REQUEST = re.compile(r'self\._request\(\s*"(get|post|delete)",\s*"(/v[12]/[^"]+)"')


@cache
def _known() -> frozenset[tuple[str, str]]:
    known = set()
    for service in Path(stripe.__file__).parent.rglob("_*_service.py"):
        for method, path in REQUEST.findall(service.read_text()):
            known.add((method.upper(), re.sub(r"\{\w+\}", "{}", path)))
    return frozenset(known)


def known(method: str, path: str) -> bool:
    """Whether the SDK calls this route; any path segment may stand for an id."""
    segments = path.split("/")
    return any(
        method == known_method
        and len(parts := template.split("/")) == len(segments)
        and all(part in {"{}", segment} for part, segment in zip(parts, segments, strict=True))
        for known_method, template in _known()
    )


def parameter_known(operation: str, name: str) -> bool:
    """Whether the SDK's type of this operation's parameters, `payment_intents.create`, has this name, `card[number]`.

    A nested mapping's type is called like its parent's with the parameter's name behind it.
    """
    noun, verb = operation.rsplit(".", 1)
    singular = noun.removesuffix("s")
    *parents, last = name.replace("]", "").split("[")
    cls = "".join([_camel(singular), _camel(verb), "Params", *map(_camel, parents)])
    try:
        params = getattr(import_module(f"stripe.params._{singular}_{verb}_params"), cls)
    except (ModuleNotFoundError, AttributeError):
        return False
    return last in params.__annotations__


def _camel(name: str) -> str:
    return "".join(part.title() for part in name.split("_"))
