"""All output of the command line goes through one object: data to stdout, messages to stderr.

Nothing here reads markup, emoji codes or numbers in what it prints: a job's name is no markup.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from .errors import CommandError

STYLES: Final = {
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "muted": "dim",
    "heading": "bold",
    "bar": "cyan",
    "bar.model": "blue",
    "bar.tool": "magenta",
}
"""Named by meaning; an unstyled text is the terminal's own."""

_WIDTH: Final = re.compile(r"[0-9]{1,9}")

_ASCII: Final = str.maketrans(
    {
        "\N{EN DASH}": "-",
        "…": "~",
        "≥": ">",
        "✓": "+",
        "✗": "x",
        "█": "#",
        "▌": "#",
        "▐": "#",
        "│": "|",
        "├": "|",
        "└": "`",
    }
)
"""What we draw with, where the stream's encoding has it not; one for one, so columns stay."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader has left: `main` ends quietly (rich itself would exit with 1 from here)."""
        raise BrokenPipeError


class Terminal:
    """Knows the streams, their width, whether they take colours and which characters."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._unicode = all(map(_takes_unicode, (sys.stdout, sys.stderr)))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name may hold what the stream's encoding cannot say: better `?` than a crash.
                stream.reconfigure(errors="replace")
        self._out = self._console(stderr=False)
        self._err = self._console(stderr=True)
        self.width = _width(sys.stdout, environ)
        """Columns of stdout; None when it is no terminal and nothing says how wide it is."""

    @property
    def messages(self) -> Console:
        """The console on stderr, for what rich draws by itself (progress)."""
        return self._err

    @property
    def interactive(self) -> bool:
        """Whether messages go to a terminal: what is drawn may be drawn over."""
        return self._err.is_terminal and not self._err.is_dumb_terminal

    def data(self, *lines: str | Text) -> None:
        """Lines of the answer; written at once, so that messages stand in their place.

        Raises `CommandError` when they cannot be.
        """
        with _answering():
            for line in lines:
                self._print(self._out, line)
            self._out.file.flush()

    def json(self, value: object) -> None:
        """The answer as JSON; ASCII, so that any encoding carries it.

        Raises `CommandError` when it cannot be written.
        """
        with _answering():
            print(json.dumps(value, indent=2), flush=True)

    def note(self, message: str = "") -> None:
        self._tell(message)

    def warn(self, message: str) -> None:
        self._tell(Text.assemble(("warning: ", "warning"), message))

    def error(self, message: str, remedy: str = "") -> None:
        self._tell(Text.assemble(("error: ", "bad"), message))
        for line in remedy.splitlines():
            self._tell(f"  {line}")

    def _tell(self, line: str | Text) -> None:
        """A message. Where stderr cannot take it, there is nobody left to be told of that."""
        try:
            self._print(self._err, line)
        except BrokenPipeError:
            raise
        except OSError:
            discard(sys.stderr)

    def _print(self, console: Console, line: str | Text) -> None:
        text = line.copy() if isinstance(line, Text) else Text(line)
        text.rstrip()
        # Whatever a job's name or an error holds, it cannot drive the terminal.
        plain = "".join(char if char.isprintable() else " " for char in text.plain)
        text.plain = plain if self._unicode else plain.translate(_ASCII)
        if console.is_terminal:
            console.print(text, soft_wrap=True)
        else:  # the same, and much faster for a long table
            console.file.write(f"{text.plain}\n")

    def _console(self, *, stderr: bool) -> Console:
        return _Console(
            stderr=stderr,
            theme=Theme(STYLES),
            markup=False,
            emoji=False,
            highlight=False,
            no_color=bool(self._environ.get("NO_COLOR")) or None,
            _environ={
                name: value
                for name, value in self._environ.items()
                # rich takes any digits for a number
                if name not in ("COLUMNS", "LINES") or _WIDTH.fullmatch(value)
            },
        )


@contextmanager
def _answering() -> Iterator[None]:
    """Around what writes to stdout."""
    if sys.stdout is None:
        raise CommandError("The answer cannot be written: standard output is closed.")
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise CommandError(f"The answer cannot be written: {error.strerror}.") from error


def discard(stream: TextIO) -> None:
    """After a broken pipe, or on a full disk: what is still buffered goes nowhere, without a word
    at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _takes_unicode(stream: TextIO | None) -> bool:
    return stream is None or codecs.lookup(stream.encoding or "ascii").name.startswith("utf")


def _width(stream: TextIO | None, environ: Mapping[str, str]) -> int | None:
    columns = environ.get("COLUMNS", "")
    if _WIDTH.fullmatch(columns) and int(columns) > 0:
        return int(columns)
    if stream is None or not stream.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns or 80
