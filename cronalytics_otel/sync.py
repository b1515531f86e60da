"""One sync of a home: harvest, journal, export, in that order."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .config import Destination, Settings
from .export.exporter import Delivery, Terms, deliver, waits_until_ns
from .export.otlp.sender import MissingExporterError, Sender, open_sender
from .export.threads import DestinationThreads
from .export.traces import trace_builder
from .harvest import Harvest, harvest
from .harvest.job_history import JobsSnapshot
from .host.home import Home
from .journal import Journal, JournalError, Repair, move_aside
from .journal.facts import HERMES_VERSION, LAST_SYNC_NS, PROBLEMS
from .journal.outbox import DestinationProgress
from .lock import SyncBusyError, sync_lock
from .model import AttributeValue
from .model.times import NS, Zone

__all__ = [
    "DestinationReport",
    "Progress",
    "Senders",
    "SyncBusyError",
    "SyncReport",
    "SyncRequest",
    "sync",
]


class Progress(Protocol):
    """Told as a sync goes on."""

    def harvested(self, runs: int) -> None: ...
    def sent(self, destination: str, runs: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    full: bool = False
    """Read everything of the host again and add what is missing."""
    retry_refused: bool = False
    """Send again what was set aside."""
    dry_run: bool = False
    """Tell what would be done, and leave no trace of it."""
    since_ns: int | None = None
    """Send only runs that ended since then; the others stay in the outbox."""
    eager: bool = False
    """Try destinations at once that our own back-off would leave alone: a person asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationReport:
    name: str
    endpoint: str
    sent: int = 0
    refused: int = 0
    given_up: int = 0
    pending: int | None = 0
    """Counted only where something was tried, or a person asks: a sync with nothing new is flat."""
    error: str | None = None
    next_attempt_ns: int | None = None
    began_failing: bool = False
    recovered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    new_runs: int
    open_runs: int
    problems: tuple[str, ...]
    destinations: tuple[DestinationReport, ...]
    repair: Repair | None

    @property
    def healthy(self) -> bool:
        return not self.problems and all(d.error is None for d in self.destinations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a sync treats the process that it runs in; the defaults suit a command of its own."""

    clock_ns: Callable[[], int] = time.time_ns
    sleep: Callable[[float], None] = time.sleep
    between_chunks: Callable[[], None] = lambda: None
    """Called between pieces of work of some 50 ms: it may sleep, or raise to stop."""
    remaining_s: Callable[[], float | None] = lambda: None
    hurried: bool = False
    interrupted: Callable[[], bool] = lambda: False
    """Asked between requests, and while destinations are waited for: whether there are newer runs
    to read."""
    request_limit_s: float | None = None
    """The longest that the host would wait for a request that is under way when it leaves."""


@dataclass(slots=True)
class Senders:
    """The open connections to the destinations, and who is sending by them just now; kept between the
    syncs of one process."""

    couriers: DestinationThreads = field(default_factory=DestinationThreads)
    _senders: dict[str, tuple[Destination, Mapping[str, AttributeValue], Sender]] = field(
        default_factory=dict
    )

    def get(self, destination: Destination, resource: Mapping[str, AttributeValue]) -> Sender:
        """A new one when its settings have changed.

        Raises `MissingExporterError` when the gRPC extra is not installed.
        """
        from .about import __version__

        known = self._senders.pop(destination.name, None)
        if known is not None and known[:2] != (destination, resource):
            known[2].close()
            known = None
        if known is None:
            sender = open_sender(destination, resource, scope_version=__version__)
            known = (destination, resource, sender)
        self._senders[destination.name] = known
        return known[2]

    def close(self) -> None:
        """But for those that are in use: they end with the process."""
        for name, (_, _, sender) in list(self._senders.items()):
            if not self.couriers.is_under_way(name):
                sender.close()
                del self._senders[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sync(
    home: Home,
    settings: Settings,
    request: SyncRequest | None = None,
    *,
    manner: Manner | None = None,
    senders: Senders | None = None,
    snapshots: Sequence[JobsSnapshot] = (),
    progress: Progress | None = None,
) -> SyncReport:
    """Brings the journal up to date and sends what is pending.

    Raises `SyncBusyError` when another process syncs this home, `JournalError` when our own file
    cannot be written. Faults of the host's files and of destinations are in the report.
    """
    request = request or SyncRequest()
    manner = manner or Manner()
    with contextlib.ExitStack() as stack:
        if request.dry_run and not home.journal.exists():
            # Nothing is to be made in the home, not even our folder.
            path = _elsewhere(stack)
        else:
            path = home.journal
            _lock(stack, home.lock)
        work = _Sync(
            home=home,
            settings=settings,
            request=request,
            manner=manner,
            senders=senders or stack.enter_context(Senders()),
            snapshots=snapshots,
            progress=progress,
        )
        try:
            return work.run(path)
        except JournalError as error:
            if not error.damaged:
                raise
            if request.dry_run:  # as the sync itself would go on, with nothing moved aside
                report = work.run(_elsewhere(stack))
                return replace(report, problems=(*report.problems, f"{path}: {error}"))
            # Damage met in the middle: what is lost is read from the host again.
            repair = move_aside(path, str(error))
            return replace(work.run(path), repair=repair)


def _elsewhere(stack: contextlib.ExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory())) / "journal.db"


def _lock(stack: contextlib.ExitStack, path: Path) -> None:
    try:
        stack.enter_context(sync_lock(path))
    except OSError as error:
        raise JournalError(
            f"{path} cannot be locked: {error}; its folder must be writable by this user, and on "
            "a file system with locks"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sync:
    """One sync with all that it needs."""

    home: Home
    settings: Settings
    request: SyncRequest
    manner: Manner
    senders: Senders
    snapshots: Sequence[JobsSnapshot]
    progress: Progress | None

    def run(self, path: Path) -> SyncReport:
        with Journal.open(path, mend=not self.request.dry_run) as journal:
            dry = journal.atomic(keep=False) if self.request.dry_run else contextlib.nullcontext()
            with dry:
                self._set_up(journal)
                harvested = harvest(
                    self.home,
                    journal,
                    home_zone(self.settings),
                    now_ns=self.manner.clock_ns(),
                    full=self.request.full,
                    snapshots=self.snapshots,
                    between_chunks=self.manner.between_chunks,
                    progress=self.progress.harvested if self.progress else lambda _: None,
                )
                deliveries = {} if self.request.dry_run else self._export(journal, path)
                _remember(journal, harvested, self.manner.clock_ns())
                return self._report(journal, harvested, deliveries)

    def _set_up(self, journal: Journal) -> None:
        now_ns = self.manner.clock_ns()
        destinations = () if self.settings.disabled else self.settings.destinations
        with journal.atomic():
            journal.outbox.set_destinations({d.name: d.safe_endpoint for d in destinations}, now_ns)
            if self.request.retry_refused:
                journal.outbox.retry_refused(now_ns)

    def _export(self, journal: Journal, path: Path) -> dict[str, Delivery]:
        couriers = self.senders.couriers
        by_name = {d.name: d for d in self.settings.destinations}
        couriers.dismiss_all_but(by_name)
        deliveries = couriers.collect()
        # Who is known to fail goes last, for where there are no threads.
        progress = sorted(journal.outbox.progress(), key=lambda s: s.failures > 0)
        if len(by_name) == 1 and not any(couriers.is_under_way(name) for name in by_name):
            for standing in progress:
                done = self._deliver(
                    journal, standing, by_name[standing.name], self.manner.interrupted
                )
                deliveries[standing.name] = deliveries.get(standing.name, Delivery()).then(done)
            return deliveries
        awaited = []
        for standing in progress:
            name = standing.name
            wait_ns = waits_until_ns(standing, self._terms(lambda: False))
            if wait_ns is not None and not couriers.is_under_way(name):
                waits = Delivery(waits_until_ns=wait_ns)
                deliveries[name] = deliveries.get(name, Delivery()).then(waits)
                continue
            # A request that was begun before the host was to leave may take its whole time-out.
            hangs = self.manner.hurried and standing.failures and couriers.is_under_way(name)
            couriers.send(name, partial(self._errand, path, by_name[name]))
            if not hangs:
                awaited.append(name)
        couriers.wait(awaited, self._has_better_to_do)
        for name, done in couriers.collect().items():
            deliveries[name] = deliveries.get(name, Delivery()).then(done)
        return deliveries

    def _has_better_to_do(self) -> bool:
        remaining_s = self.manner.remaining_s()
        return self.manner.interrupted() or (remaining_s is not None and remaining_s <= 0)

    def _errand(
        self, path: Path, destination: Destination, interrupted: Callable[[], bool]
    ) -> Delivery:
        """In a courier's thread: with a connection of its own to the journal."""
        with Journal.open(path, mend=False) as journal:
            for standing in journal.outbox.progress():
                if standing.name == destination.name:
                    return self._deliver(journal, standing, destination, interrupted)
        return Delivery()

    def _deliver(
        self,
        journal: Journal,
        standing: DestinationProgress,
        destination: Destination,
        interrupted: Callable[[], bool],
    ) -> Delivery:
        build = trace_builder(self.home, self.settings, journal)
        slim = trace_builder(
            self.home, replace(self.settings, content="off", content_jobs={}), journal
        )
        resource = _resource(self.home, self.settings, journal)
        try:
            with contextlib.ExitStack() as stack:
                # Its own lock: it may be held for longer than that of the home.
                _lock(stack, self.home.lock.with_name(f"destination-{standing.id}.lock"))
                return deliver(
                    journal,
                    standing,
                    lambda: self.senders.get(destination, resource),
                    build,
                    self._terms(interrupted),
                    build_slim=slim,
                )
        except SyncBusyError:
            return Delivery(error="another sync is sending to it just now")
        except MissingExporterError as error:
            return Delivery(error=str(error))

    def _report(
        self, journal: Journal, harvested: Harvest, deliveries: Mapping[str, Delivery]
    ) -> SyncReport:
        asked = self.request.eager or self.request.dry_run
        ids = {s.name: s.id for s in journal.outbox.progress()}
        reports = []
        for destination in () if self.settings.disabled else self.settings.destinations:
            done = deliveries.get(destination.name, Delivery())
            reports.append(
                DestinationReport(
                    name=destination.name,
                    endpoint=destination.safe_endpoint,
                    sent=done.sent,
                    refused=done.refused,
                    given_up=done.given_up,
                    pending=(
                        journal.outbox.pending(ids[destination.name])
                        if destination.name in ids
                        else 0
                    )
                    if asked or done.tried
                    else None,
                    error=done.error,
                    next_attempt_ns=done.waits_until_ns,
                    began_failing=done.began_failing,
                    recovered=done.recovered,
                )
            )
        return SyncReport(
            new_runs=harvested.new_runs,
            open_runs=harvested.open_runs,
            problems=(*self.settings.problems, *harvested.problems),
            destinations=tuple(reports),
            repair=journal.repair,
        )

    def _terms(self, interrupted: Callable[[], bool]) -> Terms:
        return Terms(
            clock_ns=self.manner.clock_ns,
            sleep=self.manner.sleep,
            max_age_ns=round(self.settings.max_age_days * 86_400 * NS),
            since_ns=self.request.since_ns or 0,
            eager=self.request.eager,
            hurried=self.manner.hurried,
            interrupted=interrupted,
            request_limit_s=self.manner.request_limit_s,
            remaining_s=self.manner.remaining_s,
            between_requests=self.manner.between_chunks,
            progress=self.progress.sent if self.progress else lambda _name, _sent: None,
        )


def _resource(home: Home, settings: Settings, journal: Journal) -> dict[str, AttributeValue]:
    import socket

    from .telemetry.resource import resource_attributes

    return resource_attributes(
        settings,
        home_path=home.path,
        profile=home.profile,
        hermes_version=installed_hermes() or journal.facts.get(HERMES_VERSION),
        hostname=socket.gethostname(),
    )


@lru_cache(maxsize=1)
def installed_hermes() -> str | None:
    """The version of the Hermes that this interpreter would import; None when there is none."""
    from importlib import metadata

    try:
        return metadata.version("hermes-agent")
    except metadata.PackageNotFoundError:
        return None


def _remember(journal: Journal, harvested: Harvest, now_ns: int) -> None:
    """What `status` shows of the last sync. Written only when it changes: a sync with nothing
    new must cost next to nothing."""
    known = journal.facts.read()
    journal.facts.update(known, PROBLEMS, tuple(harvested.problems))
    journal.facts.update(known, HERMES_VERSION, installed_hermes() or known.get(HERMES_VERSION))
    last_ns = known.get(LAST_SYNC_NS)
    if harvested.new_runs or last_ns is None or not 0 <= now_ns - last_ns <= 60 * NS:
        journal.facts.set(LAST_SYNC_NS, now_ns)


def home_zone(settings: Settings) -> Zone:
    """The home's zone by its settings, else the server's own, as the host does."""
    for name in (settings.timezone, _server_zone()):
        if name:
            with contextlib.suppress(ZoneInfoNotFoundError, ValueError):
                return Zone(info=ZoneInfo(name), name=name)
    local = datetime.now().astimezone().tzinfo
    if local is None:  # pragma: no cover - astimezone always gives one
        raise ValueError("the server has no local time zone")
    return Zone(info=local, name=None)


def _server_zone() -> str | None:
    """The IANA name behind the server's local time: `TZ`, else where /etc/localtime points."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named:
        return named
    target = os.path.realpath(Path("/etc/localtime"))
    _, found, name = target.partition("zoneinfo/")
    return name if found else None
