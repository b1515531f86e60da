"""One value of the configuration: where it stood, what it says, and what is wrong with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeAlias, TypeVar, cast
from urllib.parse import unquote

T = TypeVar("T")

VARIABLE: Final = re.compile(r"\$\{([^}]+)\}")
_VARIABLE_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_HARMLESS_CHARS: Final = 4
"""No secret is as short as that."""
_SHOWN_BITS: Final = 32


class InvalidError(ValueError):
    """What is wrong with one value; the text goes to the user."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it was found; `found` is None when it is not set.

    `env` is what `${VAR}` in it stands for, None where it is taken as it is.
    """

    where: str
    found: object
    env: Mapping[str, str] | None = None

    def get(self) -> object:
        """The value with its variables filled in; raises InvalidError for one that is not set."""
        return self.found if self.env is None else _expanded(self.found, self.env)


Fields: TypeAlias = Callable[[str], Raw]
"""Gives the value of a key, out of config.yaml or out of the environment."""


def _expanded(value: object, env: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _expanded(item, env) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    for name in VARIABLE.findall(value):
        if name not in env:
            raise InvalidError(f"{_variable_shown(name)} is not set")
    return VARIABLE.sub(lambda match: env[match[1]], value)


def _variable_shown(name: str) -> str:
    """A key may stand between the braces, in place of the name of its variable."""
    from ..redaction import mask

    if not _VARIABLE_NAME.fullmatch(name) or mask(name) != name:
        return "an environment variable"
    return f"the environment variable {name}"


def fields_of(section: Mapping[object, object], where: str, env: Mapping[str, str]) -> Fields:
    """The values of a mapping of config.yaml; an empty text counts as not set."""

    def get(key: str) -> Raw:
        found = section.get(key)
        blank = isinstance(found, str) and not found.strip()
        return Raw(f"{where}.{key}", None if blank else found, env)

    return get


def or_default(raw: Raw, parse: Callable[[object], T], default: T, problems: list[str]) -> T:
    """The parsed value; the default when it is not set, or wrong (which is told)."""
    if raw.found is None:
        return default
    try:
        return parse(raw.get())
    except InvalidError as error:
        problems.append(f"{raw.where}: {error}; {_shown_default(default)} is used")
        return default


def mapping(raw: Raw, problems: list[str]) -> Mapping[object, object]:
    """The mapping that was found; empty when there is none, or (which is told) something else."""
    if raw.found is None:
        return {}
    if isinstance(raw.found, dict):
        return cast("Mapping[object, object]", raw.found)
    problems.append(f"{raw.where}: expected a mapping, not {kind(raw.found)}; it is not used")
    return {}


def tell_unknown(
    section: Mapping[object, object], known: tuple[str, ...], where: str, problems: list[str]
) -> None:
    for key in section:
        if key not in known:
            from ..redaction import mask

            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            problems.append(f"{where}.{mask(str(key))}: unknown key, not used; {hint}")


def baggage(where: str, text: str, problems: list[str]) -> list[tuple[str, str]]:
    """`a=1,b=2`, URL-decoded. What is no `name=value` is told by its place, never shown (it may
    be a secret), and skipped."""
    pairs = []
    for place, entry in enumerate(text.split(","), 1):
        name, sign, value = entry.partition("=")
        if sign and name.strip():
            pairs.append((unquote(name).strip(), unquote(value).strip()))
        elif entry.strip():
            problems.append(f"{where}: entry {place} is not name=value; it is not used")
    return pairs


def number(
    unit: str, *, most: float = math.inf, above: float | None = None, least: float | None = None
) -> Callable[[object], float]:
    """A parser of finite numbers (also as text) greater than `above`, or from `least` on; beyond
    `most` it is `most`: whoever writes 1e9 means "as long as it takes"."""

    def parse(value: object) -> float:
        try:
            usable = isinstance(value, (int, float, str)) and not isinstance(value, bool)
            result = float(cast("float | str", value)) if usable else math.nan
        except (ValueError, OverflowError):  # the latter for a whole number beyond all floats
            result = math.nan
        if not math.isfinite(result):
            raise InvalidError(f"{shown(value)} is not a number of {unit}")
        if above is not None and result <= above:
            raise InvalidError(f"{result:g} {unit} must be more than {above:g}")
        if least is not None and result < least:
            raise InvalidError(f"{result:g} {unit} must be at least {least:g}")
        return min(result, most)

    return parse


def one_of(value: object, allowed: tuple[str, ...]) -> str:
    text = value.strip().lower() if isinstance(value, str) else value
    if text not in allowed:
        raise InvalidError(f"{shown(value)} is not one of {', '.join(allowed)}")
    return str(text)


def flag(value: object) -> bool:
    return value if isinstance(value, bool) else one_of(value, ("true", "false")) == "true"


def shown(value: object) -> str:
    """A wrong value, if it cannot be a secret: a key may have been put into the wrong line."""
    if isinstance(value, str) and len(value) > _HARMLESS_CHARS:
        return f"a text of {len(value)} characters"
    return repr(value) if isinstance(value, str) else kind(value)


def kind(value: object) -> str:
    if isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):  # Python writes no number of thousands of digits
        return str(value) if value.bit_length() <= _SHOWN_BITS else "a number"
    names = {type(None): "nothing", dict: "a mapping", list: "a list", str: "text"}
    return names.get(type(value), f"a {type(value).__name__}")


def _shown_default(default: object) -> str:
    if default is None or isinstance(default, bool):
        return "the default" if default is None else str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)
