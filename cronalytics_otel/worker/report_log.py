"""What a sync in the background writes into the host's log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..faults import OncePerKind

if TYPE_CHECKING:
    from ..sync import DestinationReport, MetricsReport, SyncReport


def log_report(report: SyncReport, log: logging.Logger, once: OncePerKind) -> None:
    """Log what began, what ended, and what needs somebody; problems that last are logged once."""
    for destination in report.destinations:
        _log_destination(destination, log, once)
    failing = {d.name for d in report.destinations if d.error or d.next_try_ns is not None}
    for metrics in report.metrics:
        if metrics.name not in failing:  # one line for one cause
            _log_metrics(metrics, log)
    for target in report.notices:
        _log_target(target, log, once)
    for problem in report.problems:
        once.warning(problem)
    if report.repair is not None:
        log.warning(
            "cronalytics-otel: the journal was damaged (%s); it was kept as %s and rebuilt",
            report.repair.fault, report.repair.moved_to,
        )  # fmt: skip


def _log_destination(
    destination: DestinationReport, log: logging.Logger, once: OncePerKind
) -> None:
    if destination.began_failing:
        log.warning(
            "cronalytics-otel: %s (%s) does not take traces: %s; %d runs wait in the journal",
            destination.name, destination.endpoint, destination.error, destination.pending,
        )  # fmt: skip
    elif destination.recovered:
        log.info(
            "cronalytics-otel: %s (%s) takes traces again; sent %d runs, %d still wait",
            destination.name, destination.endpoint, destination.sent, destination.pending,
        )  # fmt: skip
    if destination.refused:
        once.warning(
            f"{destination.name} ({destination.endpoint}) refused runs: {destination.error};"
            " `sync --retry-refused` sends them again",
            kind=f"refused by {destination.name}",  # the server's words may differ each time
        )


def _log_metrics(metrics: MetricsReport, log: logging.Logger) -> None:
    if metrics.not_served:
        return  # `status` names it: it has never been said that this destination takes metrics
    if metrics.began_failing:
        log.warning(
            "cronalytics-otel: %s (%s) does not take metrics: %s",
            metrics.name, metrics.endpoint, metrics.error,
        )  # fmt: skip
    elif metrics.recovered:
        log.info("cronalytics-otel: %s (%s) takes metrics again", metrics.name, metrics.endpoint)


def _log_target(target: DestinationReport, log: logging.Logger, once: OncePerKind) -> None:
    if target.recovered:
        log.info("cronalytics-otel: %s (%s) takes notices again", target.name, target.endpoint)
    if target.error is not None and (target.began_failing or target.next_try_ns is None):
        once.warning(
            f"{target.name} ({target.endpoint}) does not take notices: {target.error}",
            kind=f"notices for {target.name}",  # the server's words may differ each time
        )
