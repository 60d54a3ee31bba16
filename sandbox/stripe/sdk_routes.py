"""Which routes and parameters Stripe has, by the installed SDK's own source: what tells 501 from 404."""

from __future__ import annotations

import re
import typing
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
    """Whether the SDK's type of this operation's parameters, `payment_intents.create`, has this top-level name."""
    noun, verb = operation.rsplit(".", 1)
    singular = noun.removesuffix("s")
    module = f"stripe.params._{singular}_{verb}_params"
    try:
        params = getattr(
            import_module(module), f"{''.join(part.title() for part in singular.split('_'))}{verb.title()}Params"
        )
    except (ModuleNotFoundError, AttributeError):
        return False
    return name.split("[", 1)[0] in typing.cast("type", params).__annotations__
