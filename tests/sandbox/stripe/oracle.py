"""What the SDK's generated types say about a request and about an answer, independent of the stand-in's own code.

Answers are walked along the annotations of the SDK's classes, requests along the TypedDicts of its services. Shapes are Stripe's; the
walking is ours, so `test_oracle.py` plants faults that must be found. The types cannot tell a nullable attribute from an absent one.
"""

from __future__ import annotations

import ast
import re
import types
import typing
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

import stripe
from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES, get_object_class
from stripe._request_options import RequestOptions
from stripe._search_result_object import SearchResultObject
from stripe._stripe_object import StripeObject, UntypedStripeObject
from typing_extensions import is_typeddict

LISTS = {"list": ListObject, "search_result": SearchResultObject}
LIST_ATTRIBUTES = {"object": str, "data": list, "has_more": bool, "url": str}
OPTIONS = frozenset(RequestOptions.__annotations__)


@cache
def _class_named(name: str) -> Any:
    """A class that the SDK's annotations mention; they call some by an alias, `CardResource`, `DisputeResource`.

    A class that no answer can be of (some are never an answer's `object`) is one that nothing fits.
    """
    name = name.removesuffix("Resource")
    module = next((module for module, known in OBJECT_CLASSES.values() if known == name), None)
    return type(name, (StripeObject,), {}) if module is None else getattr(import_module(module), name)


def answer_violations(value: Any) -> list[str]:
    """What in a decoded answer contradicts the SDK's class of its `object`."""
    kind = value.get("object")
    if kind in LISTS:
        return [
            *(f"{kind}.{name}: missing" for name in LIST_ATTRIBUTES if name not in value),
            *(
                f"{kind}.{name}: {inner!r} is no {LIST_ATTRIBUTES[name].__name__}"
                for name, inner in value.items()
                if name in LIST_ATTRIBUTES and not isinstance(inner, LIST_ATTRIBUTES[name])
            ),
            *(problem for item in value.get("data", []) for problem in answer_violations(item)),
        ]
    cls = get_object_class("V1", str(kind))
    if cls is StripeObject:
        return [f"the SDK knows no object {kind!r}"]
    if value.get("deleted"):
        return (
            [] if value == {"id": value.get("id"), "object": kind, "deleted": True} else [f"{kind}: more than its end"]
        )
    problems = _object_violations(value, cls, str(kind))
    if kind == "event" and not problems:
        problems += answer_violations(value["data"]["object"])
    return problems


def error_violations(body: Any) -> list[str]:
    """What in a decoded refusal contradicts the SDK's ErrorObject, or Stripe's habit of leaving out what is null."""
    error = body.get("error")
    if not isinstance(error, dict) or set(body) != {"error"}:
        return ["a refusal has the one attribute `error`"]
    problems = _object_violations(error, stripe.ErrorObject, "error")
    problems += [f"error.{name}: null attributes are left out" for name, inner in error.items() if inner is None]
    kinds = {"api_error", "card_error", "idempotency_error", "invalid_request_error"}
    return problems + ([] if error.get("type") in kinds else [f"error.type: {error.get('type')!r}"])


def _object_violations(value: Any, cls: type, where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    hints = {
        name: hint
        for base in reversed(cls.__mro__)
        for name, hint in vars(base).get("__annotations__", {}).items()
        if typing.get_origin(hint) is not typing.ClassVar and base.__module__ != "stripe._stripe_object"
    }
    problems = [f"{where}.{name}: not in the SDK's {cls.__name__}" for name in value if name not in hints]
    for name, hint in hints.items():
        if name in value:
            problems += _violations(value[name], hint, f"{where}.{name}")
        elif type(None) not in typing.get_args(hint):
            problems.append(f"{where}.{name}: missing")
    return problems


def _violations(value: Any, hint: Any, where: str) -> list[str]:  # noqa: C901, PLR0911  # one line per form of annotation
    if isinstance(hint, typing.ForwardRef):
        hint = _class_named(hint.__forward_arg__)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return []
    if origin is Literal:
        return [] if value in arguments else [f"{where}: {value!r} is none of {arguments}"]
    if origin in {typing.Union, types.UnionType}:
        return _union_violations(value, arguments, where)
    if origin is list:
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [
            each for place, item in enumerate(value) for each in _violations(item, arguments[0], f"{where}[{place}]")
        ]
    if origin is UntypedStripeObject:
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no object"]
        return [each for name, item in value.items() for each in _violations(item, arguments[0], f"{where}.{name}")]
    if origin is ListObject:
        return answer_violations(value) if isinstance(value, dict) else [f"{where}: {value!r} is no list object"]
    if isinstance(hint, type) and issubclass(hint, StripeObject):
        return _object_violations(value, hint, where)
    fits = isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)
    return [] if fits or (hint is float and isinstance(value, int)) else [f"{where}: {value!r} is no {hint.__name__}"]


def _union_violations(value: Any, arguments: tuple[Any, ...], where: str) -> list[str]:
    """One of the alternatives must fit; a plain `str` beside a Literal only says that Stripe may add words, so it is not one."""
    if any(typing.get_origin(each) is Literal for each in arguments):
        arguments = tuple(each for each in arguments if each is not str)
    if value is None:
        return [] if type(None) in arguments else [f"{where}: null"]
    found = [_violations(value, each, where) for each in arguments if each is not type(None)]
    return min(found, key=len)


@cache
def operations() -> list[tuple[str, re.Pattern[str], Any]]:
    """Method, path pattern and parameter type of each call in the SDK's services, read from their syntax trees."""
    found = []
    for file in Path(stripe.__file__).parent.rglob("_*_service.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and (call := _request_of(node)):
                method, path, params = call
                pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
                found.append((method, pattern, params))
    return sorted(found, key=lambda each: each[1].pattern.count("[^/]+"))


def _request_of(function: ast.FunctionDef) -> tuple[str, str, str | None] | None:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_request":
            method, path = node.args[0], node.args[1]
            if isinstance(path, ast.Call) and isinstance(path.func, ast.Attribute):
                path = path.func.value
            if not (isinstance(method, ast.Constant) and isinstance(path, ast.Constant)):
                return None
            notes = [each.annotation for each in function.args.args if each.arg == "params" and each.annotation]
            named = re.search(r"(\w+Params)\b", ast.unparse(notes[0])) if notes else None
            return str(method.value).upper(), str(path.value), named[1] if named else None
    return None


def _params_type(name: str) -> Any:
    module = "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return getattr(import_module(f"stripe.params.{module}"), name)


def request_violations(method: str, url: str, body: str | None) -> list[str]:
    """What in a request the SDK's type of that operation's parameters does not allow."""
    parts = urlsplit(url)
    for known_method, pattern, params in operations():
        if known_method == method.upper() and pattern.fullmatch(parts.path):
            given = _tree(parse_qsl("&".join(part for part in (parts.query, body) if part), keep_blank_values=True))
            return _mapping_violations(given, _params_type(params), parts.path) if params else []
    return [f"the SDK has no {method.upper()} {parts.path}"]


def _tree(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in pairs:
        segments = re.findall(r"[^\[\]]+", name)
        inner = tree
        for segment in segments[:-1]:
            inner = inner.setdefault(segment, {})
        inner[segments[-1]] = value
    return tree


def _mapping_violations(given: Any, params: Any, where: str) -> list[str]:
    if not isinstance(given, dict):
        return [f"{where}: {given!r} is no mapping"]
    hints = _hints(params)
    problems = [f"{where}[{name}]: unknown parameter" for name in given if name not in hints]
    problems += [f"{where}[{name}]: missing" for name in params.__required_keys__ - OPTIONS if name not in given]
    return problems + [
        problem
        for name in given
        if name in hints
        for problem in _given_violations(given[name], hints[name], f"{where}[{name}]")
    ]


@cache
def _hints(params: Any) -> dict[str, Any]:
    notes = {name: note for name, note in params.__annotations__.items() if name not in OPTIONS}
    holder = type("Holder", (), {"__annotations__": notes})
    return typing.get_type_hints(holder, vars(import_module(params.__module__)))


def _given_violations(given: Any, hint: Any, where: str) -> list[str]:  # noqa: PLR0911  # one line per form of annotation
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        if any(typing.get_origin(each) is Literal and each != Literal[""] for each in arguments):
            arguments = tuple(each for each in arguments if each is not str)
        return min((_given_violations(given, each, where) for each in arguments if each is not type(None)), key=len)
    if origin is Literal:
        return [] if given in arguments else [f"{where}: {given!r} is none of {arguments}"]
    if origin is list:
        if not isinstance(given, dict):
            return [f"{where}: {given!r} is no list"]
        return [
            each for place, item in given.items() for each in _given_violations(item, arguments[0], f"{where}[{place}]")
        ]
    if origin in {dict, UntypedStripeObject}:
        strings = isinstance(given, dict) and all(isinstance(inner, str) for inner in given.values())
        return [] if strings else [f"{where}: {given!r} is no mapping of strings"]
    if is_typeddict(hint):
        return _mapping_violations(given, hint, where)
    fits = {int: r"-?\d+", bool: "true|false", float: r"-?[\d.]+", str: r"(?s).*"}.get(hint)
    if fits is None:
        return [f"{where}: the oracle does not know {hint!r}"]
    return [] if isinstance(given, str) and re.fullmatch(fits, given) else [f"{where}: {given!r} is no {hint.__name__}"]
