"""The terminal, through which all output goes: data to stdout, messages to stderr.

Markup, emoji codes and numbers in the text are printed as they are, because a job may have any name.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
"""Styles by their meaning. A text without a style keeps the terminal's own look."""

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
        "→": ">",
        "÷": "/",
        "└": "`",
        "○": "o",
        "±": "~",
        "▁": "_",
        "▂": "_",
        "▃": "-",
        "▄": "-",
        "▅": "=",
        "▆": "=",
        "▇": "#",
    }
)
"""What replaces our own characters if the stream's encoding lacks them. One replaces one, so that
columns stay aligned."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let `main` end quietly when the reader has left. Rich itself would exit with 1 here."""
        raise BrokenPipeError


class Terminal:
    """Both streams: how wide they are, and which colours and characters they take."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._unicode = all(map(_takes_unicode, (sys.stdout, sys.stderr)))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name may hold characters that the stream's encoding lacks: they become `?`.
                stream.reconfigure(errors="replace")
        self._out = self._console(stderr=False)
        self._err = self._console(stderr=True)
        self.width = _width(sys.stdout, environ)
        """The columns of stdout; None if it is not a terminal and COLUMNS is not set."""
        self.left_out: dict[str, object] = {}
        """What the answer lacks, by profile: every object of JSON has it too."""

    @property
    def messages(self) -> Console:
        """The console on stderr, on which rich draws progress."""
        return self._err

    @property
    def interactive(self) -> bool:
        """Whether messages go to a terminal on which lines can be drawn over."""
        return self._err.is_terminal and not self._err.is_dumb_terminal

    def data(self, *lines: str | Text) -> None:
        """Print lines of the answer, unbuffered, so that they stay in order with messages.

        Raises `CommandError` if they cannot be written.
        """
        self.stream(lines)

    def stream(self, lines: Iterable[str | Text]) -> None:
        """As `data`, for more lines than fit into memory."""
        styled = self.styled
        with _answer_errors():
            for line in lines:
                self._print(self._out, line, styled=styled)
            self._out.file.flush()

    @property
    def styled(self) -> bool:
        """Whether the answer has colours."""
        return self._out.is_terminal

    @property
    def draws(self) -> bool:
        """Whether stdout is a terminal on which lines can be drawn over."""
        return self._out.is_terminal and not self._out.is_dumb_terminal

    @property
    def clickable(self) -> bool:
        """Whether stdout is a real terminal, on which a text can be a link."""
        return self.draws and sys.stdout is not None and sys.stdout.isatty()

    @contextmanager
    def drawing(self) -> Iterator[Callable[[Sequence[Text]], None]]:
        """Give a function that draws lines in place of those before. The last ones stay in the end."""
        from rich.live import Live

        with Live(console=self._out, auto_refresh=False, vertical_overflow="crop") as live:
            yield lambda lines: live.update(self._drawn(lines), refresh=True)

    def _drawn(self, lines: Sequence[Text]) -> Text:
        plain = [line.copy() for line in lines]
        for line in plain:
            if not self._unicode:
                line.plain = line.plain.translate(_ASCII)
        return Text("\n", no_wrap=True, overflow="ellipsis").join(plain)

    def json(self, value: Mapping[str, object]) -> None:
        """Print the answer as JSON in ASCII, which every encoding has.

        Raises `CommandError` if it cannot be written.
        """
        with _answer_errors():
            print(json.dumps(self._whole(value), indent=2), flush=True)

    def _whole(self, answer: Mapping[str, object]) -> Mapping[str, object]:
        return {**answer, "left_out": [*self.left_out.values()]} if self.left_out else answer

    def json_with_list(
        self, head: Mapping[str, object], name: str, items: Iterable[object]
    ) -> None:
        """Print an object whose last value is a list, an item on each line, as the items come.

        Raises `CommandError` if it cannot be written.
        """
        with _answer_errors():
            write = sys.stdout.write
            write(f"{json.dumps(self._whole(head), indent=2)[:-2]},\n  {json.dumps(name)}: [")
            separator = "\n    "
            for item in items:
                write(f"{separator}{json.dumps(item)}")
                separator = ",\n    "
            write("\n  ]\n}\n")
            sys.stdout.flush()

    def json_lines(self, values: Iterable[object]) -> None:
        """Print each value as JSON on a line of its own, as they come.

        Raises `CommandError` if they cannot be written.
        """
        with _answer_errors():
            for value in values:
                sys.stdout.write(f"{json.dumps(value)}\n")
            sys.stdout.flush()

    def csv(self, rows: Iterable[Sequence[object]]) -> None:
        """Print rows as CSV, the head first, as they come. Unknown is empty, and yes and no are true and false.

        Raises `CommandError` if they cannot be written.
        """
        with _answer_errors():
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerows(map(_csv_cells, rows))
            sys.stdout.flush()

    def note(self, message: str = "") -> None:
        self._message(message)

    def warn(self, message: str) -> None:
        self._message(Text.assemble(("warning: ", "warning"), message))

    def error(self, message: str, remedy: str = "") -> None:
        self._message(Text.assemble(("error: ", "bad"), message))
        for line in remedy.splitlines():
            self._message(f"  {line}")

    def _message(self, line: str | Text) -> None:
        """Print a message. If stderr cannot be written to, the message is lost: nobody could read about that."""
        try:
            self._print(self._err, line, styled=self._err.is_terminal)
        except BrokenPipeError:
            raise
        except OSError:
            discard(sys.stderr)

    def _print(self, console: Console, line: str | Text, *, styled: bool) -> None:
        plain = (line.plain if isinstance(line, Text) else line).rstrip()
        # A job's name or an error may hold escape sequences, which must not reach the terminal.
        if not plain.isprintable():
            plain = "".join(char if char.isprintable() else " " for char in plain)
        if not self._unicode:
            plain = plain.translate(_ASCII)
        if not styled:  # the same result, and much faster for a long table
            console.file.write(f"{plain}\n")
            return
        text = line.copy() if isinstance(line, Text) else Text()
        text.plain = plain
        console.print(text, soft_wrap=True)

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
                # rich would accept any digits of Unicode here
                if name not in ("COLUMNS", "LINES") or _WIDTH.fullmatch(value)
            },
        )


def _csv_cells(row: Sequence[object]) -> list[object]:
    return [str(cell).lower() if isinstance(cell, bool) else cell for cell in row]


@contextmanager
def _answer_errors() -> Iterator[None]:
    """Turn errors of writing to stdout into `CommandError`."""
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
    """Drop what is still buffered, so that Python does not complain at exit.

    This follows a broken pipe or a full disk.
    """
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
