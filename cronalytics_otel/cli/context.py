"""What every command works with: the home, its journal and settings, and the terminal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..host.home import Home
from ..journal import Journal, JournalError
from .errors import CommandError, command
from .terminal import Terminal

if TYPE_CHECKING:
    from ..config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    home: Home
    environ: Mapping[str, str]
    terminal: Terminal
    as_json: bool
    now_ns: int

    def settings(self) -> Settings:
        from ..config import load_settings

        return load_settings(self.home.path, self.environ)

    def require_home(self) -> None:
        """Raises `CommandError` where Hermes never was: nothing must be made there."""
        if not self.home.looks_like_hermes:
            raise CommandError(
                f"{self.home.path} is no Hermes home: there is no config.yaml, state.db or cron/",
                "Name it with --home or HERMES_HOME.",
            )

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """The home's journal. Raises `CommandError` when there is none, or it cannot be read."""
        if not self.home.journal.exists():
            self.require_home()
            raise CommandError(
                f"There is no journal yet: {self.home.journal} does not exist.",
                f"Run `{command('sync')}`: it reads the history that Hermes still has.",
            )
        try:
            with Journal.open(self.home.journal, mend=False) as journal:
                yield journal
        except (JournalError, sqlite3.Error) as error:
            raise CommandError(
                f"{self.home.journal}: {error}",
                f"Run `{command('sync')}`: it moves a damaged journal aside and fills a new one.",
            ) from error
