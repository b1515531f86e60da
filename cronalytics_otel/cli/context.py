"""The context of a command: the home, its journal and settings, the terminal, and the time."""

from __future__ import annotations

import os
import shlex
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
    from ..insight.findings import Finding
    from ..insight.health import HealthInput
    from ..model import RunningRun


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
        """Raise `CommandError` if Hermes was never here: we must not make anything then.

        Raises `OSError` if the folder cannot be read.
        """
        if not self.home.looks_like_hermes:
            raise CommandError(
                f"{self.home.path} is no Hermes home: there is no config.yaml, state.db or cron/",
                "Name it with --home or HERMES_HOME.",
            )

    def running(self) -> tuple[RunningRun, ...]:
        """Return the open rows of the ledger; none, with a warning, if this user cannot read it now.

        Raises `HostCorruptError` for a damaged ledger.
        """
        from ..host.running import read_running
        from ..host.sqlite import HostCorruptError, HostDataError

        try:
            return read_running(self.home)
        except HostCorruptError:
            raise
        except HostDataError as error:
            fault = str(error)
        except OSError as error:
            fault = str(file_fault(error))
        self.terminal.warn(f"runs that are going on are not known: {fault}")
        return ()

    def findings(self, journal: Journal) -> tuple[Finding, ...]:
        """Return everything that is wrong in this home, the worst first."""
        from ..insight.health import read_health

        return read_health(journal, self._health_input(self.settings()))

    def _health_input(self, settings: Settings) -> HealthInput:
        from ..host.sqlite import HostCorruptError
        from ..insight.health import HealthInput

        running: tuple[RunningRun, ...] = ()
        fault = None
        try:
            running = self.running()
        except HostCorruptError as error:
            fault = str(error)
        return HealthInput(
            now_ns=self.now_ns,
            running=running,
            ledger_fault=fault,
            config_problems=settings.problems,
            budgets=settings.budgets,
        )

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Open the home's journal for reading. Raises `CommandError` if there is none, or it is faulty."""
        if not self.home.journal.exists():
            self.require_home()
            raise CommandError(
                f"There is no journal yet: {self.home.journal} does not exist.",
                f"Run `{_sync_of(self.home)}`: it reads the history that Hermes still has.",
            )
        try:
            with Journal.open_for_reading(self.home.journal) as journal:
                yield journal
        except JournalError as error:
            raise journal_fault(self.home, error) from error


def journal_fault(home: Home, error: JournalError) -> CommandError:
    """Return the error for a fault of our own file, with its path and a remedy."""
    # The message of a fault of our folder, or of the lock in it, names the path already.
    place = "" if str(home.plugin_folder) in str(error) else f"{home.journal}: "
    remedy = f"Run `{_sync_of(home)}`: it fills a new one." if error.damaged else ""
    return CommandError(f"{place}{error}", remedy)


def _sync_of(home: Home) -> str:
    """Return the `sync` of this home; without `--home` where it is the one that is meant then."""
    from ..host.home import find_home

    is_usual = home.path == find_home(None, os.environ).path
    return command("sync" if is_usual else f"sync --home {shlex.quote(str(home.path))}")


def file_fault(error: OSError) -> CommandError:
    """Return the error for a file or folder that this user cannot read or write."""
    if error.filename is None:
        return CommandError(str(error))
    access = "This user must be able to read it. " if isinstance(error, PermissionError) else ""
    return CommandError(
        f"{os.fsdecode(error.filename)}: {error.strerror}",
        f"{access}Another home is named with --home or HERMES_HOME.",
    )
