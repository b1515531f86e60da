"""Runs as rows of the journal. The columns follow from the fields of `Run`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from enum import Enum
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from ..model import Run, Usage
from . import documents
from .database import unreadable


def _known_type(hint: Any) -> Any:
    """Return the type of a field whose value may be unknown, without the None."""
    if not isinstance(hint, UnionType):
        return hint
    (inner,) = (option for option in get_args(hint) if option is not NoneType)
    return inner


_HINTS: Final = get_type_hints(Run)
_USAGE: Final = "usage"
"""The field that is stored as several columns."""

_FIELDS: Final = tuple(field.name for field in fields(Run) if field.name != _USAGE)
_TUPLES: Final = tuple(name for name in _FIELDS if get_origin(_HINTS[name]) is tuple)
_SCALARS: Final = tuple(name for name in _FIELDS if name not in _TUPLES)
_USAGE_FIELDS: Final = tuple(field.name for field in fields(Usage))

COLUMN_NAMES: Final = (*_SCALARS, *_USAGE_FIELDS, *_TUPLES)
"""The columns of the table of runs, in the order of the values of a row."""


def _scalar_decoder(known: Any) -> Callable[[Any], Any] | None:
    """Return how a value of this type is read from SQLite; None when SQLite has the type itself."""
    if known is bool:
        return bool
    if issubclass(known, Enum):
        return {member.value: member for member in known}.__getitem__
    return None


def _tuple_decoder(hint: Any) -> Callable[[str], Any]:
    decode = documents.decoder_of(hint) or tuple
    return lambda text: decode(json.loads(text))


_DECODERS: Final = (
    *(
        (name, decode)
        for name in _SCALARS
        if (decode := _scalar_decoder(_known_type(_HINTS[name]))) is not None
    ),
    *((name, _tuple_decoder(_HINTS[name])) for name in _TUPLES),
)
_STORED: Final = (*_SCALARS, *_TUPLES)
_DECODERS_AT: Final = tuple((_STORED.index(name), decode) for name, decode in _DECODERS)
_TUPLES_OF_STORED: Final = range(len(_SCALARS), len(_STORED))
_USAGE_AT: Final = slice(len(_SCALARS), len(_SCALARS) + len(_USAGE_FIELDS))
_TUPLES_AT: Final = slice(_USAGE_AT.stop, len(COLUMN_NAMES))
_ENUMS_AT: Final = tuple(
    at for at, name in enumerate(_SCALARS) if issubclass(_known_type(_HINTS[name]), Enum)
)

_scalars_of: Final = attrgetter(*_SCALARS)
_usage_of: Final = attrgetter(*_USAGE_FIELDS)
_tuples_of: Final = attrgetter(*_TUPLES)
_UNKNOWN_USAGE: Final = (None,) * len(_USAGE_FIELDS)
_NO_TUPLES: Final = (None,) * len(_TUPLES)


def run_to_row(run: Run) -> list[object]:
    """Return the values of a run's row, in the order of `COLUMN_NAMES`."""
    values = [*_scalars_of(run)]
    # sqlite3 takes a third of a microsecond longer for each enum than for text.
    for at in _ENUMS_AT:
        if (member := values[at]) is not None:
            values[at] = member._value_
    values += _UNKNOWN_USAGE if run.usage is None else _usage_of(run.usage)
    tuples = _tuples_of(run)
    values += map(_tuple_text, tuples) if any(tuples) else _NO_TUPLES
    return values


def _tuple_text(values: tuple[object, ...]) -> str | None:
    if not values:
        return None
    return json.dumps(values if isinstance(values[0], str) else documents.plain(values))


def run_from_row(row: Sequence[Any]) -> Run:
    """Return the run of a row. Raises `JournalError` for a value that no enum has."""
    found = [*row[: _USAGE_AT.start], *row[_TUPLES_AT]]
    try:
        for at, decode_value in _DECODERS_AT:
            if (value := found[at]) is not None:
                found[at] = decode_value(value)
    except (KeyError, ValueError, TypeError) as error:
        raise unreadable("a run", error) from error
    for at in _TUPLES_OF_STORED:
        if found[at] is None:
            found[at] = ()
    values = dict(zip(_STORED, found, strict=True))
    usage = row[_USAGE_AT]
    if usage[0] is not None:
        values[_USAGE] = Usage(**dict(zip(_USAGE_FIELDS, usage, strict=True)))
    return Run(**values)
