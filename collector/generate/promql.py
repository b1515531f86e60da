"""The expressions that dashboards, rules and alerts share.

Samples can be rare: a home that is served by single ticks sends only when a run became final. So the present
value of a series is its last one of four days, never an instant lookup alone, which sees five minutes.

Four things make a plain `sum` wrong, and the functions here take care of them:

- A job that was renamed or deleted, and a home that was moved, leave their last values behind.
  `present` drops what a home that is alive sends no more.
- A home that was moved or copied sends the same job under two values of `service.instance.id`. `by_job`
  makes one value of them.
- Two homes may have the same profile name. Their jobs have ids of their own, but both have the collective jobs
  `once` and `other`, so `by_job` keeps those apart by instance.
- The first values of counters hold all history. `added` takes no history for a burst.
"""

from __future__ import annotations

from typing import Final

from cronalytics_otel.domain.schedule import MAX_LATE_WHEN_UP_NS
from cronalytics_otel.insight.usual import HUNG_FACTOR, HUNG_LEAST_S, HUNG_UNKNOWN_S
from cronalytics_otel.model import FAILED_RUNS
from cronalytics_otel.model.series import ONCE, OTHER
from cronalytics_otel.model.times import NS
from cronalytics_otel.telemetry.semconv import (
    HERMES_CRON_JOB_ID,
    HERMES_CRON_JOB_NAME,
    HERMES_CRON_JOB_STATE,
    HERMES_CRON_RUN_OUTCOME,
    HERMES_PROFILE_NAME,
    HOST_NAME,
)

from .names import FORMS, label, metric

NOW: Final = "4d"
"""How far back the present value of a series may lie. From Friday to Monday a home whose jobs run on weekdays, and that
is served by single ticks, sends nothing."""

PROFILE: Final = label(HERMES_PROFILE_NAME)
JOB_ID: Final = label(HERMES_CRON_JOB_ID)
JOB_NAME: Final = label(HERMES_CRON_JOB_NAME)
OUTCOME: Final = label(HERMES_CRON_RUN_OUTCOME)
HOST: Final = label(HOST_NAME)

FAILED: Final = f'{OUTCOME}=~"{"|".join(sorted(FAILED_RUNS))}"'
"""Selects the runs that took place and failed."""

LATE_S: Final = MAX_LATE_WHEN_UP_NS // NS

SILENT_S: Final = 86_400
SILENT_WITHIN: Final = "7d"
"""A home of so many days is silent when it has not been read for so long."""

_HOME: Final = "job, instance"
"""The labels that a home has in Prometheus: `service.name` and `service.instance.id`."""
_JOB: Final = f"{PROFILE}, {JOB_ID}"


def last(short_name: str, selector: str = "", within: str = NOW, offset: str = "") -> str:
    """Return the last value of each series of `hermes.cron.SHORT_NAME`; `selector` is without its braces."""
    return f"last_over_time({metric(short_name)}{_braces(selector)}[{within}]{_offset(offset)})"


def instant(short_name: str, selector: str = "", offset: str = "") -> str:
    """Return the value of five minutes: for a gauge that is absent where it does not apply."""
    return f"{metric(short_name)}{_braces(selector)}{_offset(offset)}"


def present(short_name: str, selector: str = "", offset: str = "") -> str:
    """Return the gauges that hold at a time: those of the newest request of a home that has sent something in the
    last five minutes, else its last ones of four days.

    Every request has all gauges and `build.info`, so what a home that is alive does not send is over.
    """
    alive = instant("build.info", offset=offset)
    return (
        f"({instant(short_name, selector, offset)} or "
        f"({last(short_name, selector, offset=offset)} unless on ({_HOME}) {alive}))"
    )


def by_job(vector: str, *labels: str) -> str:
    """Return one value for each job and the values of `labels`, however many instances of its home have sent it.

    The label `home` is there for what belongs to no single job: it keeps the homes apart.
    """
    marked = (
        f'label_replace(label_join({vector}, "owner", "/", "{JOB_ID}", "instance"), '
        f'"home", "$1", "owner", "(?:|{ONCE}|{OTHER})/(.+)")'
    )
    return f"max by ({', '.join((PROFILE, JOB_ID, 'home', *labels))}) ({marked})"


def gauges(short_name: str, *labels: str, selector: str = "", offset: str = "") -> str:
    """Return the present values of a gauge, one for each job and the values of its own attributes and of `labels`."""
    return by_job(present(short_name, selector, offset), *attributes(short_name), *labels)


def counters(short_name: str, selector: str = "", suffix: str = "") -> str:
    """Return the present totals of a counter, one for each job, name of a job and the values of its attributes.

    `suffix` is that of a histogram's series: `_count`, `_sum` or `_bucket`.
    """
    return _by_series(short_name, suffix, _last_of(metric(short_name) + suffix, selector))


def added(short_name: str, window: str, selector: str = "", suffix: str = "") -> str:
    """Return what was added to a counter in the window that ends now, of homes whose totals were known when it
    began.

    A series that such a home did not have then began with 0. The history of a home that was not yet known
    is not an addition.
    """
    name = metric(short_name) + suffix
    known = f"last_over_time({metric('build.info')}[{NOW}] offset {window})"
    now, then = _last_of(name, selector), _last_of(name, selector, window)
    return _by_series(short_name, suffix, f"(({now} - {then}) or ({now} and on ({_HOME}) {known}))")


def added_or_all(short_name: str, window: str, selector: str = "", suffix: str = "") -> str:
    """Return what was added to a counter in the window that ends now; all of it, where its total at the beginning of
    the window is not there.
    """
    name = metric(short_name) + suffix
    now, then = _last_of(name, selector), _last_of(name, selector, window)
    return _by_series(short_name, suffix, f"(({now} - {then}) or {now})")


def mean(short_name: str, window: str, selector: str, *labels: str) -> str:
    """Return the mean of what a histogram counted in the window that ends now, of each combination of `labels`.

    The count is that of the highest bucket: so the exemplars, which are on buckets, belong to the query.
    """
    sums = total(added_or_all(short_name, window, selector, "_sum"), *labels)
    buckets = total(added_or_all(short_name, window, selector, "_bucket"), "le", *labels)
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"{sums} / (max{by} ({buckets}) > 0)"


def attributes(short_name: str) -> tuple[str, ...]:
    """Return the labels that a metric has beside those of the home and the job."""
    return tuple(label(name) for name in FORMS[short_name].attributes)


def _by_series(short_name: str, suffix: str, vector: str) -> str:
    bucket = ("le",) if suffix == "_bucket" else ()
    return by_job(vector, JOB_NAME, *attributes(short_name), *bucket)


def total(vector: str, *labels: str) -> str:
    """Return the sum over jobs, for each combination of `labels`."""
    return f"sum by ({', '.join(labels)}) ({vector})" if labels else f"sum({vector})"


def known(vector: str, name: str) -> str:
    """Return the vector with `not known` for a label that is not there: a legend cannot be empty."""
    return f'label_replace({vector}, "{name}", "not known", "{name}", "")'


def comparable(vector: str, offset: str) -> str:
    """Return the series of homes that have sent something both lately and just before `offset` ago."""
    lately, before = last("build.info"), last("build.info", offset=offset)
    return f"({vector} and on ({_HOME}) {lately} and on ({_HOME}) {before})"


def with_host(vector: str) -> str:
    """Return the vector with the name of the host in the label `host_name`; its series have `job` and `instance`.

    A home has one host, whatever else about its resource has changed.
    """
    names = f"max by ({_HOME}, {HOST}) (last_over_time(target_info[{NOW}]))"
    return f"{vector} * on ({_HOME}) group_left ({HOST}) topk by ({_HOME}) (1, {names})"


def scheduled(selector: str = "") -> str:
    """Return 1 for each job that is scheduled: not paused, switched off, completed or deleted."""
    wanted = _and(selector, f'{label(HERMES_CRON_JOB_STATE)}="scheduled"')
    return f"{gauges('job.state', selector=wanted)} == 1"


def overdue_s(selector: str = "") -> str:
    """Return for how long each overdue job has been past its time, in seconds.

    It was due some minutes before its home was last read, and has not been started: a home that is silent has no
    overdue jobs that anybody knows of.
    """
    read = f"max by ({_HOME}) ({last('sync.last_success_timestamp', selector)}) - {LATE_S}"
    due = f"({present('job.next_run_timestamp', selector)} < on ({_HOME}) group_left () ({read}))"
    running = instant("job.running_since_timestamp", selector)
    return (
        f"((time() - {by_job(due, JOB_NAME)}) and on ({_JOB}) ({scheduled(selector)})"
        f" unless on ({_JOB}) {running})"
    )


def running_s(selector: str = "") -> str:
    """Return for how long each job that runs now has been running, in seconds."""
    since = by_job(instant("job.running_since_timestamp", selector), JOB_NAME)
    return f"(time() - {since})"


def running_long_s(selector: str = "") -> str:
    """Return for how long each run has been going on that hangs, by the rule of `cronalytics-otel health`."""
    usual = gauges("job.expected_duration", selector=selector)
    limit = f"clamp_min({HUNG_FACTOR} * {usual}, {HUNG_LEAST_S:g})"
    running = running_s(selector)
    return (
        f"(({running} > on ({_JOB}) group_left () {limit}) or "
        f"(({running} unless on ({_JOB}) {usual}) > {HUNG_UNKNOWN_S:g}))"
    )


def silent_s(selector: str = "") -> str:
    """Return for how long each home of the last week has not been read without a fault, where that is a day or more.

    A home that was moved is left out: another instance sends its jobs now.
    """
    read = last("sync.last_success_timestamp", selector, within=SILENT_WITHIN)
    since = f"time() - max by ({_HOME}, {PROFILE}) ({read})"
    moved = f"{last('job.state', within=SILENT_WITHIN)} and on ({_JOB}) {instant('job.state')}"
    alive = instant("build.info")
    return f"((({since}) > {SILENT_S}) unless on ({_HOME}) ({moved} unless on ({_HOME}) {alive}))"


def _last_of(name: str, selector: str, offset: str = "") -> str:
    return f"last_over_time({name}{_braces(selector)}[{NOW}]{_offset(offset)})"


def _and(*selectors: str) -> str:
    return ", ".join(one for one in selectors if one)


def _braces(selector: str) -> str:
    return f"{{{selector}}}" if selector else ""


def _offset(offset: str) -> str:
    return f" offset {offset}" if offset else ""
