"""One sync of a home, from end to end: harvest, journal, export, in that order."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from .about import __version__
from .config import Destination, Settings
from .export.delivery import DestinationsExport, Senders
from .export.metrics.delivery import MetricsExport
from .export.metrics.exporter import MetricsSource
from .export.metrics.report import MetricsReport
from .export.metrics.schedule import next_due_ns
from .export.notices.delivery import NoticesExport, reports_of
from .export.notices.rules import use_targets, write_exceeded_budgets, write_lasting
from .export.report import DestinationReport
from .export.resource import current_resource, metrics_resource
from .export.sync_options import SyncOptions
from .harvest import HarvestReport, harvest
from .harvest.job_history import JobsSnapshot
from .host.home import Home
from .host.version import installed_hermes
from .host.zone import home_zone
from .insight.budgets import exceeded_budgets
from .insight.gauges import HomeState, read_gauges, read_slow_gauges
from .insight.profiles import Profile
from .journal import Journal, JournalError, Repair, move_aside
from .journal.facts import HERMES_VERSION, LAST_SYNC_NS, PROBLEMS, Facts, FactValues
from .journal.folder_lock import folder_lock
from .journal.instance import instance_of
from .lock import SyncBusyError
from .model import Resource
from .model.times import NS

__all__ = [
    "DestinationReport",
    "MetricsReport",
    "ProgressDisplay",
    "Senders",
    "SyncBusyError",
    "SyncOptions",
    "SyncReport",
    "sync",
]


class ProgressDisplay(Protocol):
    """Shows how far a sync has come."""

    def harvested(self, runs: int) -> None: ...
    def sent(self, destination: str, runs: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """What one sync found and did."""

    new_runs: int
    open_runs: int
    problems: tuple[str, ...]
    destinations: tuple[DestinationReport, ...]
    metrics: tuple[MetricsReport, ...] = ()
    """Of the destinations of metrics for which something was done."""
    next_metrics_ns: int | None = None
    """When the next request of metrics is due; None when no destination gets any."""
    notices: tuple[DestinationReport, ...] = ()
    """What was done for each target of `notify`; counts are notices."""
    repair: Repair | None

    @property
    def healthy(self) -> bool:
        places = (*self.destinations, *self.notices)
        return (
            not self.problems
            and all(place.error is None for place in places)
            and not any(metrics.fails for metrics in self.metrics)
        )


def sync(
    home: Home,
    settings: Settings,
    options: SyncOptions | None = None,
    *,
    senders: Senders | None = None,
    snapshots: Sequence[JobsSnapshot] = (),
    progress: ProgressDisplay | None = None,
) -> SyncReport:
    """Bring the journal up to date, and send what is pending.

    Raises `SyncBusyError` when another process syncs this home, `JournalError` when our own file
    cannot be written. Faults of the host's files and of destinations are in the report.
    """
    options = options or SyncOptions()
    with contextlib.ExitStack() as stack:
        if options.dry_run and not home.journal.exists():
            # A dry run makes nothing in the home, not even our folder.
            path = _temporary_journal(stack)
        else:
            path = home.journal
            stack.enter_context(folder_lock(home.lock))
        work = _Sync(
            home=home,
            settings=settings,
            options=options,
            senders=senders or stack.enter_context(Senders()),
            snapshots=snapshots,
            progress=progress,
        )
        try:
            return work.run(path)
        except JournalError as error:
            if not error.damaged:
                raise
            if options.dry_run:  # do as the sync itself would, but move nothing aside
                report = work.run(_temporary_journal(stack))
                return replace(report, problems=(*report.problems, f"{path}: {error}"))
            # The damage was met halfway. What is lost is read from the host again.
            repair = move_aside(path, str(error))
            return replace(work.run(path), repair=repair)


def _temporary_journal(stack: contextlib.ExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory())) / "journal.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sync:
    """One sync with all that it needs."""

    home: Home
    settings: Settings
    options: SyncOptions
    senders: Senders
    snapshots: Sequence[JobsSnapshot]
    progress: ProgressDisplay | None

    def run(self, path: Path) -> SyncReport:
        dry_run = self.options.dry_run
        with contextlib.ExitStack() as stack:
            journal = stack.enter_context(Journal.open(path, replace_damaged=not dry_run))
            if dry_run:
                stack.enter_context(journal.rolled_back())
            self._set_up(journal)
            harvested = self._harvest(journal)
            self._write_notices(journal, harvested)
            _remember(journal, harvested, self.options.clock.now_ns())
            self.options.before_export()
            reports, notices = ({}, ()) if dry_run else self._export(journal)
            metrics = {} if dry_run else self._export_metrics(journal, harvested)
            if self.settings.journal_days is not None and not dry_run:
                journal.retention.delete_old(
                    self.settings.journal_days, self.options.clock.now_ns()
                )
            return replace(self._report(journal, harvested, reports, metrics), notices=notices)

    def _set_up(self, journal: Journal) -> None:
        """Give the journal the settings' destinations, and the resource of this process."""
        now_ns = self.options.clock.now_ns()
        if not self.options.dry_run:  # it may make the file of the instance
            journal.runs.resource_factory = partial(_resource, self.home, journal, now_ns)
        destinations = () if self.settings.disabled else self.settings.destinations
        journal.figures.use_zone(home_zone(self.settings.timezone, now_ns), now_ns)
        with journal.atomic():
            journal.outbox.set_destinations({d.name: d.safe_endpoint for d in destinations}, now_ns)
            journal.metric_destinations.set(
                {d.name: (d.safe_endpoint, d.temporality) for d in self._metric_destinations}
            )
            use_targets(journal, self.settings.notify, now_ns)
            if self.options.retry_refused:
                journal.outbox.retry_refused(now_ns)
                journal.metric_destinations.ask_again()

    @property
    def _metric_destinations(self) -> tuple[Destination, ...]:
        return () if self.settings.disabled else self.settings.metric_destinations

    def _harvest(self, journal: Journal) -> HarvestReport:
        return harvest(
            self.home,
            journal,
            home_zone(self.settings.timezone, self.options.clock.now_ns()),
            now_ns=self.options.clock.now_ns(),
            clock=self.options.clock,
            full=self.options.full,
            snapshots=self.snapshots,
            budgets=self.settings.budgets,
            genai_metrics=self.settings.genai_metrics,
            between_chunks=self.options.between_chunks,
            progress=self.progress.harvested if self.progress else lambda _: None,
        )

    def _write_notices(self, journal: Journal, harvested: HarvestReport) -> None:
        """Write the notices of what holds now. A budget is exceeded by a run that has ended."""
        now_ns, targets = self.options.clock.now_ns(), self.settings.notify
        write_lasting(journal, targets, harvested.running, now_ns)
        if targets and harvested.new_runs:
            exceeded = exceeded_budgets(
                Profile(self.home.profile, journal), self.settings.budgets, now_ns
            )
            write_exceeded_budgets(journal, targets, exceeded, now_ns)

    def _export(
        self, journal: Journal
    ) -> tuple[dict[str, DestinationReport], tuple[DestinationReport, ...]]:
        """Send what is pending; return the reports of the destinations, and those of the notices, which go
        out meanwhile."""
        notices = NoticesExport(
            home=self.home,
            settings=self.settings,
            options=self.options,
            threads=self.senders.notice_threads,
        )
        waiting = notices.start(journal)
        reports = DestinationsExport(
            home=self.home,
            settings=self.settings,
            options=self.options,
            senders=self.senders,
            on_sent=self.progress.sent if self.progress else lambda _name, _runs: None,
        ).run(journal)
        return reports, reports_of(self.settings, waiting, notices.finish())

    def _export_metrics(
        self, journal: Journal, harvested: HarvestReport
    ) -> dict[str, MetricsReport]:
        return MetricsExport(
            home=self.home,
            settings=replace(self.settings, metric_destinations=self._metric_destinations),
            options=self.options,
            senders=self.senders.metrics,
            make_source=partial(self._metrics_source, journal, harvested),
        ).run(journal)

    def _metrics_source(self, journal: Journal, harvested: HarvestReport) -> MetricsSource:
        now_ns = self.options.clock.now_ns()
        resource = _resource(self.home, journal, now_ns)
        return MetricsSource(
            profile=self.home.profile,
            resource=metrics_resource(resource, self.settings),
            read_gauges=partial(
                read_gauges,
                home=HomeState(
                    profile=self.home.profile,
                    version=__version__,
                    budgets=self.settings.budgets,
                    running={run.job_id: run.began_ns for run in harvested.running},
                ),
            ),
            read_slow_gauges=partial(read_slow_gauges, profile=self.home.profile),
        )

    def _report(
        self,
        journal: Journal,
        harvested: HarvestReport,
        reports: Mapping[str, DestinationReport],
        metrics: Mapping[str, MetricsReport],
    ) -> SyncReport:
        destinations = () if self.settings.disabled else self.settings.destinations
        ids = {p.name: p.id for p in journal.outbox.pending_destinations()}
        completed = []
        for destination in destinations:
            name, endpoint = destination.name, destination.safe_endpoint
            report = reports.get(name) or DestinationReport(name=name, endpoint=endpoint)
            pending = None
            if self.options.eager or self.options.dry_run or report.tried:
                pending = journal.outbox.pending(ids[name]) if name in ids else 0
            completed.append(replace(report, endpoint=endpoint, pending=pending))
        return SyncReport(
            new_runs=harvested.new_runs,
            open_runs=harvested.open_runs,
            problems=(*self.settings.problems, *harvested.problems),
            destinations=tuple(completed),
            metrics=tuple(metrics.values()),
            next_metrics_ns=self._next_metrics_ns(journal),
            repair=journal.repair,
        )

    def _next_metrics_ns(self, journal: Journal) -> int | None:
        if not self._metric_destinations:
            return None
        interval_ns = round(self.settings.metric_interval_s * NS)
        return next_due_ns(journal.metric_destinations.active(), interval_ns)


def _resource(home: Home, journal: Journal, now_ns: int) -> Resource:
    """Return the resource that runs become final with in this process."""
    return current_resource(
        home,
        hermes_version=_hermes_version(journal.facts),
        instance=instance_of(home.plugin_folder, now_ns=now_ns),
    )


def _hermes_version(facts: Facts | FactValues) -> str | None:
    """Return the version of the Hermes in this environment, else the one in which the plugin last ran."""
    return installed_hermes() or facts.get(HERMES_VERSION)


def _remember(journal: Journal, harvested: HarvestReport, now_ns: int) -> None:
    """Write down what is known of the last reading of the host's files: `status` and the metrics show it.

    Only what has changed is written, because a sync with nothing new must cost next to nothing.
    """
    known = journal.facts.read()
    journal.facts.update(known, PROBLEMS, tuple(harvested.problems))
    journal.facts.update(known, HERMES_VERSION, _hermes_version(known))
    last_ns = known.get(LAST_SYNC_NS)
    if harvested.new_runs or last_ns is None or not 0 <= now_ns - last_ns <= 60 * NS:
        journal.facts.set(LAST_SYNC_NS, now_ns)
