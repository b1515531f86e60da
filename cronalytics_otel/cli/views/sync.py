"""The summary of a sync."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from ...sync import DestinationReport, MetricsReport, SyncReport
from .. import formats


def lines(report: SyncReport, now_ns: int, *, dry_run: bool) -> Iterator[Text]:
    if report.repair is not None:
        yield Text(
            f"The journal was damaged ({report.repair.fault}) and is now {report.repair.moved_to};"
            " a new one was filled from the host.",
            style="warning",
        )
    new = formats.counted(report.new_runs, "new run")
    found = f"{new} found" if dry_run else new
    yield Text(f"{found}, {report.open_runs:,} still open")
    for destination in report.destinations:
        yield from _destination_lines(destination, now_ns, dry_run=dry_run)
    for metrics in report.metrics:
        yield from _metrics_lines(metrics, now_ns)
    for target in report.notices:
        yield from _destination_lines(target, now_ns, dry_run=dry_run, noun="notice")
    if dry_run:
        yield Text("Dry run: nothing was written, nothing was sent.")


def _metrics_lines(metrics: MetricsReport, now_ns: int) -> Iterator[Text]:
    """Yield what went wrong with the metrics of a destination; nothing if all is well."""
    error = formats.one_line(metrics.error or "")
    if metrics.not_served:
        line = f"\N{EN DASH} {metrics.name}: takes no metrics ({error}); it is asked once a day"
        yield Text(line, style="muted")
    elif metrics.fails:
        yield Text.assemble(("✗", "bad"), f" {metrics.name}: the metrics were not taken")
        yield Text(f"  {error} ({metrics.endpoint})", style="bad")
        if metrics.next_try_ns is not None:
            yield Text(f"  next try {formats.ago(metrics.next_try_ns, now_ns)}")


def _destination_lines(
    destination: DestinationReport, now_ns: int, *, dry_run: bool, noun: str | None = None
) -> Iterator[Text]:
    def counted(count: int) -> str:
        return f"{count:,}" if noun is None else formats.counted(count, noun)

    pending = destination.pending or 0
    counts = [f"{counted(pending)} {'to send' if dry_run else 'pending'}"]
    if not dry_run:
        counts.insert(0, f"{counted(destination.sent)} sent")
    if destination.refused:
        counts.append(f"{destination.refused:,} refused")
    if destination.given_up:
        counts.append(f"{destination.given_up:,} given up")
    well = destination.error is None and destination.next_try_ns is None
    mark = ("✓", "good") if well else ("✗", "bad")
    yield Text.assemble(mark, f" {destination.name}: {', '.join(counts)}")
    if destination.error is not None:
        yield Text(f"  {formats.one_line(destination.error)} ({destination.endpoint})", style="bad")
    if destination.next_try_ns is not None:
        yield Text(f"  next try {formats.ago(destination.next_try_ns, now_ns)}")
