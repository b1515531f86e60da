"""The overview as titled groups of lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from ...config import Settings
from ...host.home import Home
from ...insight.findings import Finding
from ...insight.overview import DestinationOverview, Overview
from ...insight.remedies import remedy_for
from ...journal.metric_destinations import MetricDestination
from ...journal.notices import NoticeTargetStatus
from ...journal.outbox import DestinationStatus
from ...model import Source
from .. import formats
from ..sources import ABSENCE, no_destination
from .health import findings

_CONTENT = {
    "off": "off: of what was said in a run, error texts alone are sent, masked",
    "errors": "errors: what was said in failed runs is sent",
    "full": "full: what was said in all runs is sent",
}

_ICONS = {"good": "✓", "bad": "✗", "warning": "!", "muted": formats.UNKNOWN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All that `status` shows."""

    home: Home
    now_ns: int
    settings: Settings
    overview: Overview
    findings: Sequence[Finding]
    journal_size_bytes: int
    """With its write-ahead log."""


def lines(status: Status) -> Iterator[Text]:
    yield from _hermes(status)
    yield Text()
    yield _title("Health")
    yield from findings(
        [(status.home.profile, finding) for finding in status.findings], status.now_ns
    )
    if not status.findings:
        yield _line("good", "", "nothing is wrong")
    yield Text()
    yield _title("Sources")
    yield from _sources(status.overview)
    yield Text()
    yield _title("Journal")
    yield from _journal(status)
    yield Text()
    yield _title("Destinations")
    yield from _destinations(status)
    if status.overview.metrics:
        yield Text()
        yield _title("Metrics")
        for metrics in status.overview.metrics:
            yield from _metrics(metrics, status.now_ns)
    if status.settings.notify or status.overview.notices:
        yield Text()
        yield _title("Notices")
        yield from _notices(status)


def _title(text: str) -> Text:
    return Text(text, style="heading")


def _line(mark: str, label: str, value: str) -> Text:
    """Return a line of three columns.

    A mark without a label stands right before its text. A line without both continues the one above.
    """
    column = "" if mark and not label else f"{label:<10} "
    return Text.assemble((_ICONS.get(mark, " "), mark or "none"), " ", (column, "muted"), value)


def _hermes(status: Status) -> Iterator[Text]:
    yield _title("Hermes")
    yield _line("", "home", f"{status.home.path} (profile {status.home.profile})")
    yield _line("", "version", status.overview.hermes_version or formats.UNKNOWN)
    by_job = formats.content_by_job(status.settings.content_jobs)
    yield _line("", "content", f"{_CONTENT[status.settings.content]}{by_job}")


def _sources(overview: Overview) -> Iterator[Text]:
    if not overview.sources:
        yield _line("muted", "", "no sync has finished yet")
    for source in overview.sources:
        yield from _source(source, overview.last_sync_ns)


def _source(source: Source, last_sync_ns: int | None) -> Iterator[Text]:
    if source.fault is not None:
        yield _line("bad", source.name, source.fault)
    elif not source.exists:
        yield _line("muted", source.name, source.path)
        yield _line("", "", f"not there: {ABSENCE[source.name]}")
    else:
        read = (
            f"read {formats.moment(last_sync_ns)}" if last_sync_ns else "no sync has finished yet"
        )
        yield _line("good", source.name, source.path)
        yield _line("", "", f"changed {formats.moment(source.changed_ns)}, {read}")


def _journal(status: Status) -> Iterator[Text]:
    overview, now_ns = status.overview, status.now_ns
    size = formats.size(status.journal_size_bytes)
    yield _line("", "file", f"{status.home.journal}, {size}")
    yield _line("", "runs", _runs(overview))
    if overview.complete_since is not None:
        older = (
            f"; {formats.counted(overview.passed_over, 'run')} from before"
            f" {'was' if overview.passed_over == 1 else 'were'} not read again"
            if overview.passed_over
            else ""
        )
        yield _line("", "", f"complete since {overview.complete_since}{older}")
    yield _line("", "last sync", _when(overview.last_sync_ns, now_ns))


def _runs(overview: Overview) -> str:
    totals = overview.totals
    known = formats.counted(totals.runs, "run")
    if totals.oldest_ns is not None and totals.newest_ns is not None:
        first, last = formats.minute(totals.oldest_ns), formats.minute(totals.newest_ns)
        known += f", ended {first} to {last}"
    text = f"{known}; {overview.open_runs:,} open"
    if overview.lost_rows:
        text += f"; {overview.lost_rows:,} deleted by Hermes before they were read"
    if overview.lost_observations:
        text += f"; {formats.counted(overview.lost_observations, 'detail')} of calls not kept"
    return text


def _when(then_ns: int | None, now_ns: int) -> str:
    if then_ns is None:
        return "never"
    return f"{formats.moment(then_ns)} ({formats.ago(then_ns, now_ns)})"


def _next_try(at_ns: int, now_ns: int) -> str:
    return _when(at_ns, now_ns) if at_ns > now_ns else "at the next sync"


def _destinations(status: Status) -> Iterator[Text]:
    settings = status.settings
    if settings.disabled:
        yield _line("warning", "", "OTEL_SDK_DISABLED is true: nothing is sent")
    elif not settings.destinations:
        yield _line("warning", "", no_destination(settings))
    for destination in status.overview.destinations:
        yield from _destination(destination, settings, status.now_ns)
    known = {destination.status.name for destination in status.overview.destinations}
    for new in () if settings.disabled else settings.destinations:
        if new.name not in known:
            yield _line("muted", new.name, new.safe_endpoint)
            yield _line("", "", "new: gets the whole history at the next sync")


def _destination(
    destination: DestinationOverview, settings: Settings, now_ns: int
) -> Iterator[Text]:
    status = destination.status
    yield _line(_mark(destination), status.name, status.endpoint)
    if not status.active:
        why = _why_inactive(status, settings)
        yield _line("", "", f"{why}; it keeps what it lacked")
    receipt = _when(status.last_receipt_ns, now_ns)
    yield _line("", "delivered", f"{status.delivered:,}, last receipt {receipt}")
    oldest = (
        f", the oldest ended {formats.ago(status.oldest_pending_ns, now_ns)}"
        if status.oldest_pending_ns is not None
        else ""
    )
    yield _line("", "pending", f"{status.pending:,}{oldest}")
    yield from _failure(status, now_ns)
    if status.refused:
        yield _line("", "refused", f"{status.refused:,}; `sync --retry-refused` sends them again")
        for refusal in destination.refusals:
            yield _line("", "", f"{refusal.runs:,} x {refusal.reason}")
    if status.given_up:
        yield _line("", "given up", f"{status.given_up:,}, which had waited too long")


def _failure(status: DestinationStatus, now_ns: int) -> Iterator[Text]:
    if not status.failures or status.failing_since_ns is None:
        return
    yield _line("", "failing", f"since {_when(status.failing_since_ns, now_ns)}")
    yield _line("", "", f"{status.last_error}")
    yield _line("", "fix", remedy_for(status.fault))
    if status.next_try_ns is not None and status.active:
        asked = ", as the server asked" if status.asked_to_wait else ""
        yield _line("", "next try", f"{_next_try(status.next_try_ns, now_ns)}{asked}")


def _why_inactive(status: DestinationStatus, settings: Settings) -> str:
    """Return why it was not in use at the last sync. The settings may have changed since."""
    if all(destination.name != status.name for destination in settings.destinations):
        return "no longer in the settings"
    if settings.disabled:
        return "sending is switched off by OTEL_SDK_DISABLED"
    return "goes on at the next sync"


def _mark(destination: DestinationOverview) -> str:
    if destination.fails:
        return "bad"
    status = destination.status
    return "warning" if status.refused or not status.active else "good"


def _metrics(metrics: MetricDestination, now_ns: int) -> Iterator[Text]:
    mark = "bad" if metrics.fails else "muted" if metrics.not_served else "good"
    mark = "warning" if mark == "good" and metrics.refused_reason else mark
    yield _line(mark, metrics.name, metrics.endpoint)
    if metrics.not_served:
        yield _line("", "", f"takes no metrics ({metrics.last_error}): it is asked once a day")
        return
    receipt = _when(metrics.last_receipt_ns, now_ns)
    points = formats.counted(metrics.delivered_points, "point")
    yield _line("", "delivered", f"{points}, {metrics.temporality}, last receipt {receipt}")
    if metrics.request_waits:
        waiting = formats.counted(metrics.request_points, "point")
        yield _line("", "pending", f"{waiting}, sent again unchanged until there is a receipt")
    if metrics.failing_since_ns is not None:
        yield _line("", "failing", f"since {_when(metrics.failing_since_ns, now_ns)}")
        yield _line("", "", f"{metrics.last_error}")
        yield _line("", "fix", remedy_for(metrics.fault))
        if metrics.next_try_ns is not None:
            yield _line("", "next try", _next_try(metrics.next_try_ns, now_ns))
    if metrics.refused_points:
        refused = formats.counted(metrics.refused_points, "point")
        reason = metrics.refused_reason
        yield _line("", "refused", f"{refused}, now: {reason}" if reason else f"{refused} before")


def _notices(status: Status) -> Iterator[Text]:
    for target in status.overview.notices:
        yield from _target(target, status.now_ns)
    known = {target.name for target in status.overview.notices}
    for new in status.settings.notify:
        if new.name not in known:
            yield _line("muted", new.name, new.safe_address)
            yield _line("", "", "new: is told of what ends after the next sync")


def _target(target: NoticeTargetStatus, now_ns: int) -> Iterator[Text]:
    mark = "bad" if target.fails else "good" if target.active else "warning"
    yield _line(mark, target.name, target.address)
    if not target.active:
        yield _line("", "", "no longer in the settings; what is pending waits")
    receipt = _when(target.last_receipt_ns, now_ns)
    yield _line("", "delivered", f"{target.delivered:,}, last receipt {receipt}")
    oldest = (
        f", the oldest from {formats.ago(target.oldest_pending_ns, now_ns)}"
        if target.oldest_pending_ns is not None
        else ""
    )
    yield _line("", "pending", f"{target.pending:,}{oldest}")
    if target.failing_since_ns is not None:
        yield _line("", "failing", f"since {_when(target.failing_since_ns, now_ns)}")
    if target.last_error is not None:
        yield _line("", "", target.last_error)
    if target.next_try_ns is not None and target.active:
        yield _line("", "next try", _next_try(target.next_try_ns, now_ns))
    if target.refused:
        yield _line("", "refused", f"{target.refused:,}, for good")
    if target.given_up:
        yield _line("", "given up", f"{target.given_up:,}, which had waited too long")
    if target.found_late:
        yield _line(
            "", "not sent", f"{target.found_late:,}, found more than a day after they ended"
        )
