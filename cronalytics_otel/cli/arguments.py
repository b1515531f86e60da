"""The options that commands share, and the types of their values."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import NoReturn

from ..clock import SYSTEM_CLOCK
from ..model.times import ns_of

_MAX_RUNS = 10**12
"""No journal holds more runs, and SQLite can count to it."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that may come before or after the command."""
    _add_common(parser, home=None, as_json=False)


def add_common_to_command(parser: argparse.ArgumentParser) -> None:
    """Add the shared options to a command. They overwrite only what is given after the command."""
    _add_common(parser, home=argparse.SUPPRESS, as_json=argparse.SUPPRESS)


def _add_common(parser: argparse.ArgumentParser, *, home: str | None, as_json: str | bool) -> None:
    parser.add_argument(
        "--home",
        metavar="DIR",
        default=home,
        help="the Hermes home (default: HERMES_HOME, else ~/.hermes)",
    )
    parser.add_argument(
        "--json", action="store_true", default=as_json, help="print JSON; see docs/cli.md"
    )


# --- values -------------------------------------------------------------------------------------

_AGE = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[mhdw])")
_UNIT_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def parse_since(text: str, now_ns: int) -> int:
    """Return a point in time as epoch ns, not before 1970.

    `90m`, `24h`, `7d` and `2w` count back from now. A date means its local midnight, and a time of
    ISO 8601 without an offset is local. Raises ValueError with what is wrong.
    """
    age = _AGE.fullmatch(text.strip())
    try:
        if age is not None:
            ago = timedelta(seconds=float(age["number"]) * _UNIT_S[age["unit"]])
            since_ns = now_ns - round(ago / timedelta(microseconds=1)) * 1000
        else:
            since_ns = ns_of(_moment(text.strip()))
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: try 7d, 24h, 2026-01-31, 2026-01-31T09:00"
        ) from None
    if since_ns > now_ns:
        raise ValueError(f"{text!r} lies in the future")
    return max(0, since_ns)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.astimezone()


def since(text: str) -> int:
    """The type of a point in time; see `parse_since`."""
    try:
        return parse_since(text, SYSTEM_CLOCK.now_ns())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def days(text: str) -> float:
    """The type of a number of days, which may have a fraction."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days")
    return number


def whole_number(text: str) -> int:
    """The type of a whole number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return min(int(text), _MAX_RUNS)


def whole_days(text: str) -> int:
    """The type of a number of whole days, from 1 on."""
    if not text.isdecimal() or not 1 <= int(text) < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of days from 1 on")
    return int(text)


def interval(text: str) -> float:
    """The type of the seconds between two looks: from a tenth to a day."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400")
    return seconds


def usd(text: str) -> float:
    """The type of an amount of US dollars, from 0 on; a dollar sign may stand before it."""
    try:
        amount = float(text.strip().removeprefix("$"))
    except ValueError:
        amount = math.nan
    if not 0 <= amount < 1e12:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of US dollars")
    return amount


def name(text: str) -> str:
    """The type of a name or id, which must be text that SQLite can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no text in UTF-8") from None
    return text


def some_text(text: str) -> str:
    """As `name`, but not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return name(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """Return the type of one of several words. The message for another one names the nearest."""

    def word(text: str) -> str:
        if text in choices:
            return text
        nearest = get_close_matches(text, choices, 1)
        advice = f"did you mean {nearest[0]}?" if nearest else f"choose from {', '.join(choices)}"
        raise argparse.ArgumentTypeError(f"{text!r} is unknown: {advice}")

    return word


def one_or_more(*choices: str) -> Callable[[str], list[str]]:
    """Return the type of one of several words, or of more with commas between them."""
    word = one_of(*map(str, choices))
    return lambda text: [word(part.strip()) for part in text.split(",")]


_UNKNOWN_OPTION = re.compile(r"unrecognized arguments:.*?(?<!\S)(--?[a-z][\w-]*)")
_UNKNOWN_CHOICE = re.compile(r"argument (?P<name>[^:]+): invalid choice: '(?P<word>[^']*)'")


class Parser(argparse.ArgumentParser):
    """A parser whose messages for an unknown command, option or choice name the nearest one."""

    def error(self, message: str) -> NoReturn:
        word, possible = self._unknown_word(message)
        nearest = get_close_matches(word, possible, 1)
        if nearest == [word]:  # an option of other commands
            message += f"; this command has no {word}"
        elif nearest:
            message += f"; did you mean {nearest[0]}?"
        super().error(message)

    def all_options(self) -> Iterator[str]:
        """Give its options and those of its commands."""
        yield from self._option_string_actions
        for action in self._actions:
            if isinstance(action.choices, dict):
                for command in action.choices.values():
                    yield from command.all_options()

    def _unknown_word(self, message: str) -> tuple[str, list[str]]:
        """Return the unknown word in a message of argparse, and the words that were possible."""
        option, choice = _UNKNOWN_OPTION.search(message), _UNKNOWN_CHOICE.search(message)
        if option is not None:
            return option[1], [*self.all_options()]
        if choice is not None:
            for action in self._actions:
                names = (action.metavar, action.dest, "/".join(action.option_strings))
                if choice["name"] in names and action.choices is not None:
                    return choice["word"], [*map(str, action.choices)]
        return "", []
