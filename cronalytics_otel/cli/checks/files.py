"""Checks of files: the host's own, and the journal with its folder and its lock."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...host.home import Home
from ...host.inspection import inspect_sources
from ...insight.overview import Overview
from ...journal import JournalError
from ...journal.instance import FILE_NAME, is_elsewhere, machine_hash, read_instance
from ...lock import SyncBusyError, sync_lock
from ...model import Source
from ...model.times import NS
from .. import formats
from ..errors import command
from ..sources import ABSENCE
from .check import Check, failed, ok, warning

_AHEAD_NS = 60 * NS
"""If a run ended later than this in the future, the clock was set back since."""


def check_sources(home: Home, known: Sequence[Source] = ()) -> Iterator[Check]:
    """Open each of the host's files and read a little of it. `known` are the files as the last sync found
    them: one that was there then is not absent because nothing has run yet."""
    had_rows = {
        source.name
        for source in known
        if source.fault is not None or (source.exists and not Path(source.path).exists())
    }
    for source in inspect_sources(home, had_rows=had_rows):
        if source.fault is not None:
            yield failed(source.name, source.fault, "see the message; the next sync reads it again")
        elif not source.exists:
            absence = ABSENCE[source.name]
            yield warning(source.name, f"{source.path} is not there", f"none: {absence}")
        else:
            yield ok(source.name, f"{source.path} can be read")


def check_no_journal(home: Home) -> Check:
    return warning("journal", f"{home.journal} is not there yet", command("sync"))


def check_journal(home: Home, overview: Overview) -> Check:
    return ok("journal", f"{home.journal}, {formats.counted(overview.totals.runs, 'run')}")


def check_clock(overview: Overview, now_ns: int) -> Check:
    newest_ns = overview.totals.newest_ns
    if newest_ns is not None and newest_ns > now_ns + _AHEAD_NS:
        return failed(
            "clock",
            f"the newest run ended {formats.moment(newest_ns)}, which is still to come",
            "set the machine's clock, by NTP best: backends place runs by time",
        )
    return ok("clock", f"{formats.moment(now_ns)}, after the newest run")


def check_instance(home: Home) -> Iterator[Check]:
    """Check whether the home was moved or cloned from another machine: then it gets another id."""
    try:
        instance = read_instance(home.plugin_folder)
    except JournalError as error:
        yield failed("instance", str(error), "see the message")
        return
    if instance is not None and is_elsewhere(instance, machine_hash()):
        yield warning(
            "instance",
            "this home was moved or cloned from another machine",
            "none: its next run gives it a new service.instance.id",
        )
    elif instance is not None and instance.moved_ns is not None:
        when = formats.moment(instance.moved_ns)
        yield ok("instance", f"moved or cloned from another machine; a new id since {when}")


def check_permissions(home: Home) -> Check:
    """Check that nobody else can read our files, which hold error texts and job names."""
    open_to_others = [
        file
        for file in (
            home.plugin_folder,
            *home.plugin_folder.glob("journal.db*"),
            home.plugin_folder / FILE_NAME,
            home.lock,
        )
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if open_to_others:
        names = " ".join(str(file) for file in open_to_others)
        return failed("permissions", f"others may read {names}", f"chmod go= {names}")
    return ok("permissions", "only you can read the journal")


def check_lock(home: Home) -> Check:
    try:
        with sync_lock(home.lock):
            return ok("lock", "no other process is syncing")
    except SyncBusyError as error:
        return warning("lock", str(error), "none, unless it stays so: then look for that process")
    except OSError as error:
        return failed("lock", f"{home.lock}: {error.strerror}", "make the folder writable for you")
