"""Records with one text in every field that can hold a text, whatever fields they have."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from tests.strategies import BEGAN_NS

_T = TypeVar("_T")


def filled(type_: type[_T], text: str, **facts: object) -> _T:
    """A `type_` (a dataclass or a NamedTuple) with `text` in each text of it and of what it holds, but for `facts`.

    Raises TypeError for a field that it does not know how to fill: then teach it.
    """
    return cast("_T", _record(type_, text, (), facts))


def filled_arguments(function: object, text: str) -> dict[str, Any]:
    """The arguments of a function, by name, each filled."""
    hints = get_type_hints(function)
    hints.pop("return")
    return {name: _value(hint, name, text, ()) for name, hint in hints.items()}


def _record(type_: type, text: str, above: tuple[type, ...], facts: Mapping[str, object]) -> object:
    hints = get_type_hints(type_)
    values = {
        name: facts[name] if name in facts else _value(hints[name], name, text, (*above, type_))
        for name in _names(type_)
    }
    return type_(**values)


def _names(type_: type) -> list[str]:
    """The fields of a dataclass or of a NamedTuple."""
    if is_dataclass(type_):
        return [field.name for field in fields(type_)]
    return list(cast("Any", type_)._fields)


def _value(hint: Any, name: str, text: str, above: tuple[type, ...]) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(next(h for h in inner if h is not type(None)), name, text, above)
    if origin is Literal:
        return inner[0]
    if origin is not None and issubclass(origin, Mapping):
        return {_value(inner[0], name, text, above): _value(inner[1], name, text, above)}
    if origin is not None and issubclass(origin, (Sequence, frozenset, set)):
        make = tuple if issubclass(origin, Sequence) else frozenset
        return make(() if inner[0] in above else (_value(inner[0], name, text, above),))
    if hint in (str, object):
        return text
    if hint is bool:
        return True
    if hint is int:
        return BEGAN_NS + 3_000_000_000 if name.endswith("_ns") else 3
    if hint is float:
        return 1.5
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields")):
        return _record(hint, text, above, {})
    raise TypeError(f"{name}: how is a {hint} filled?")
