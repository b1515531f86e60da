"""One value of the configuration: where it was found, what it says, and what is wrong with it."""

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
"""No secret is this short."""
_SHOWN_BITS: Final = 32


class InvalidError(ValueError):
    """One value is wrong. The text goes to the user."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A value as it was found; `found` is None when it is not set.

    `env` holds what `${VAR}` in the value stands for. It is None where the value is taken as it is.
    """

    where: str
    found: object
    env: Mapping[str, str] | None = None

    def get(self) -> object:
        """Return the value with its variables filled in. Raises InvalidError for a variable that is not
        set."""
        return self.found if self.env is None else _expanded(self.found, self.env)


FieldReader: TypeAlias = Callable[[str], Raw]
"""Returns the value of a key, from config.yaml or from the environment."""


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
    """Return the variable in words. What does not look like a name is not shown: a user may have put a
    secret between the braces."""
    from ..redaction import mask

    if not _VARIABLE_NAME.fullmatch(name) or mask(name) != name:
        return "an environment variable"
    return f"the environment variable {name}"


def fields_of(section: Mapping[object, object], where: str, env: Mapping[str, str]) -> FieldReader:
    """Return a reader of the values of a mapping in config.yaml. An empty text counts as not set."""

    def get(key: str) -> Raw:
        found = section.get(key)
        blank = isinstance(found, str) and not found.strip()
        return Raw(f"{where}.{key}", None if blank else found, env)

    return get


def or_default(raw: Raw, parse: Callable[[object], T], default: T, problems: list[str]) -> T:
    """Return the parsed value, or the default when it is not set, or wrong (which is reported)."""
    if raw.found is None:
        return default
    try:
        return parse(raw.get())
    except InvalidError as error:
        problems.append(f"{raw.where}: {error}; {_shown_default(default)} is used")
        return default


def mapping(raw: Raw, problems: list[str]) -> Mapping[object, object]:
    """Return the mapping that was found. It is empty when there is none, or something else (which is
    reported)."""
    if raw.found is None:
        return {}
    if isinstance(raw.found, dict):
        return cast("Mapping[object, object]", raw.found)
    problems.append(f"{raw.where}: expected a mapping, not {kind(raw.found)}; it is not used")
    return {}


def report_unknown_keys(
    section: Mapping[object, object], known: tuple[str, ...], where: str, problems: list[str]
) -> None:
    for key in section:
        if key not in known:
            from ..redaction import mask

            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
            problems.append(f"{where}.{mask(str(key))}: unknown key, not used; {hint}")


def baggage(where: str, text: str, problems: list[str]) -> list[tuple[str, str]]:
    """Return the pairs of `a=1,b=2`, URL-decoded.

    An entry that is not `name=value` is skipped and reported by its place. It is never shown, because
    it may be a secret.
    """
    pairs = []
    for place, entry in enumerate(text.split(","), 1):
        name, sign, value = entry.partition("=")
        if sign and name.strip():
            pairs.append((unquote(name).strip(), unquote(value).strip()))
        elif entry.strip():
            problems.append(f"{where}: entry {place} is not name=value; it is not used")
    return pairs


def number(
    unit: str,
    *,
    maximum: float = math.inf,
    above: float | None = None,
    minimum: float | None = None,
) -> Callable[[object], float]:
    """Return a parser of finite numbers (also as text) that are greater than `above`, or at least
    `minimum`. A number beyond `maximum` becomes `maximum`: 1e9 means "as long as it takes"."""

    def parse(value: object) -> float:
        try:
            usable = isinstance(value, (int, float, str)) and not isinstance(value, bool)
            result = float(cast("float | str", value)) if usable else math.nan
        except (ValueError, OverflowError):  # the latter: a whole number beyond all floats
            result = math.nan
        if not math.isfinite(result):
            raise InvalidError(f"{shown(value)} is not a number of {unit}")
        if above is not None and result <= above:
            raise InvalidError(f"{result:g} {unit} must be more than {above:g}")
        if minimum is not None and result < minimum:
            raise InvalidError(f"{result:g} {unit} must be at least {minimum:g}")
        return min(result, maximum)

    return parse


def one_of(value: object, allowed: tuple[str, ...]) -> str:
    text = value.strip().lower() if isinstance(value, str) else value
    if text not in allowed:
        raise InvalidError(f"{shown(value)} is not one of {', '.join(allowed)}")
    return str(text)


def flag(value: object) -> bool:
    return value if isinstance(value, bool) else one_of(value, ("true", "false")) == "true"


def shown(value: object) -> str:
    """Return a wrong value in words. A longer text is not shown: a secret may be in the wrong line."""
    if isinstance(value, str) and len(value) > _HARMLESS_CHARS:
        return f"a text of {len(value)} characters"
    return repr(value) if isinstance(value, str) else kind(value)


def kind(value: object) -> str:
    if isinstance(value, (bool, float)):
        return str(value)
    if isinstance(value, int):  # Python refuses to write a number of thousands of digits
        return str(value) if value.bit_length() <= _SHOWN_BITS else "a number"
    names = {type(None): "nothing", dict: "a mapping", list: "a list", str: "text"}
    return names.get(type(value), f"a {type(value).__name__}")


def _shown_default(default: object) -> str:
    if default is None or isinstance(default, bool):
        return "the default" if default is None else str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)
