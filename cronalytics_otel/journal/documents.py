"""Records as JSON, by the fields of their dataclasses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

Decode = Callable[[Any], Any]


def to_json(record: Any, *, omit: frozenset[str] = frozenset()) -> str:
    """Return the JSON of a record. Equal records give equal texts, and what is unknown is left out.

    `omit` names fields of the record itself that are left out.
    """
    return json.dumps(to_values(record, omit=omit), sort_keys=True)


def to_values(record: Any, *, omit: frozenset[str] = frozenset()) -> dict[str, object]:
    """Return a record as a dictionary of what JSON can hold, without what is unknown."""
    return {
        name: plain(value)
        for name in _names(type(record))
        if name not in omit and (value := getattr(record, name)) is not None
    }


def plain(value: Any) -> object:
    """Return a value as JSON can hold it."""
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return to_values(value) if is_dataclass(value) else value


def from_json(cls: type[T], text: str) -> T:
    """Return the record of a JSON object; keys that are not its fields were written by another
    version and are passed over.

    Raises ValueError, TypeError or KeyError for JSON that is not such a record.
    """
    return from_values(cls, json.loads(text))


def from_values(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return the record of a dictionary; see `from_json`."""
    found: dict[str, Any] = {}
    for name, decode, required in _fields(cls):
        value = values.get(name)
        if value is not None:
            found[name] = value if decode is None else decode(value)
        elif required:
            found[name] = None
    return cls(**found)


def decoder_of(hint: Any) -> Decode | None:
    """Return how a value of this type is read from JSON; None when JSON has the type itself."""
    if isinstance(hint, UnionType):
        (inner,) = (option for option in get_args(hint) if option is not NoneType)
        return decoder_of(inner)
    if get_origin(hint) is tuple:
        return _tuple_decoder(decoder_of(get_args(hint)[0]))
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda values: from_values(hint, values)
    return hint if isinstance(hint, type) and issubclass(hint, Enum) else None


def _tuple_decoder(decode: Decode | None) -> Decode:
    return tuple if decode is None else lambda values: tuple(map(decode, values))


_NAMES: dict[type, tuple[str, ...]] = {}
_FIELDS: dict[type, tuple[tuple[str, Decode | None, bool], ...]] = {}


def _names(cls: Any) -> tuple[str, ...]:
    """Return the names of a dataclass's fields. They are computed once."""
    known = _NAMES.get(cls)
    if known is None:
        known = _NAMES[cls] = tuple(field.name for field in fields(cls))
    return known


def _fields(cls: Any) -> tuple[tuple[str, Decode | None, bool], ...]:
    """Return name and decoder of each field, and whether it has to be given even if it is unknown.
    The answer is computed once."""
    known = _FIELDS.get(cls)
    if known is None:
        hints = get_type_hints(cls)
        known = _FIELDS[cls] = tuple(
            (field.name, decoder_of(hints[field.name]), _must_be_given(field, hints[field.name]))
            for field in fields(cls)
        )
    return known


def _must_be_given(field: Any, hint: Any) -> bool:
    has_default = field.default is not MISSING or field.default_factory is not MISSING
    return not has_default and isinstance(hint, UnionType)
