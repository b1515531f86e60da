"""The table of collector/README.md: what a backend answers, and what becomes of runs and metrics behind a Collector.

Each row is measured with a real Collector before a backend that answers so.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.config import load_settings
from cronalytics_otel.export.acknowledgement import MAX_BAD_REQUESTS
from cronalytics_otel.export.sync_options import SyncOptions
from cronalytics_otel.host.home import Home
from cronalytics_otel.sync import SyncReport, sync
from tests.support.collector import (
    Answer,
    FaultyCollector,
    ReceivedMetrics,
    drop,
    hang,
    html,
    ok,
    partial,
    redirect,
    status,
)
from tests.support.collector_configs import (
    AGENT,
    AGENT_QUEUE,
    ANY_BACKEND,
    FOLDER,
    GATEWAY,
    RETRIES_AT_ONCE,
    send_to,
    surroundings,
)
from tests.support.fault_checks import destinations_of, trace_id_of
from tests.support.homes import HomeBuilder
from tests.support.loopback import LoopbackHttpServer, QuietHandler, ThreadedHttpServer
from tests.support.otelcol import Otelcol, Tree, merged, otelcol
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("otelcol_programs")

RUNS = 3
SPANS = 4
"""Of each run: `cron`, `invoke_agent`, `chat` and `startup`."""
BACKEND_LIMIT = {
    "exporters": {f"otlp_http/{signal}": {"timeout": "1s"} for signal in ("traces", "metrics")}
}
"""How long the Collector waits for an answer; 30 s by default, and the plugin 10 s."""


REFUSED = "connection refused"


class LoginPage(LoopbackHttpServer):
    """A page that answers every GET."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/login"

    def _listen(self) -> ThreadedHttpServer:
        return ThreadedHttpServer(self.port, _Page)


class _Page(QuietHandler):
    def do_GET(self) -> None:  # noqa: N802 the base's name
        body = b"<html>Please log in</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table, for one answer."""

    answer: str
    seen: str
    runs: str
    metrics: str
    queued: str


def _rows() -> list[Row]:
    text = (FOLDER / "README.md").read_text()
    lines = text.partition("| the backend answers |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [
        Row(
            answer=answer.strip("`"),
            seen=answer.strip("`") if seen == "the same" else seen,
            runs=runs.strip("*"),
            metrics=metrics.strip("*"),
            queued=queued.strip("*"),
        )
        for answers, seen, runs, metrics, queued in cells
        for answer in answers.split("`, `")
    ]


ROWS = _rows()


@pytest.fixture(scope="module")
def page() -> Iterator[LoginPage]:
    with LoginPage() as page:
        yield page


@pytest.fixture(scope="module")
def backend() -> Iterator[FaultyCollector]:
    with FaultyCollector() as backend:
        yield backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A running Collector, and how a home reaches it."""

    collector: Otelcol
    destination: Mapping[str, Any]


@pytest.fixture(scope="module", params=[AGENT, GATEWAY], ids=lambda base: base.stem)
def unqueued(
    request: pytest.FixtureRequest,
    backend: FaultyCollector,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Behind]:
    with running(request.param, backend, tmp_path_factory, BACKEND_LIMIT) as behind:
        yield behind


@pytest.fixture(scope="module")
def queued(backend: FaultyCollector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    overrides = merged(BACKEND_LIMIT, RETRIES_AT_ONCE)
    with running(AGENT_QUEUE, backend, tmp_path_factory, overrides) as behind:
        yield behind


@contextmanager
def running(
    base: Path, backend: FaultyCollector, folders: pytest.TempPathFactory, overrides: Tree
) -> Iterator[Behind]:
    folder = folders.mktemp(base.stem)
    needs = surroundings(base, folder, backend=backend.endpoint)
    with otelcol(
        folder, base, ANY_BACKEND, environment=needs.environment, overrides=overrides
    ) as collector:
        yield Behind(collector=collector, destination=needs.destination)


@pytest.fixture
def answering(backend: FaultyCollector, page: LoginPage) -> Iterator[Callable[[str], None]]:
    """Lets the backend answer as a row says; at the end it takes everything again."""
    answers: dict[str, Answer] = {
        "200": ok(),
        "connection reset": drop(),
        "no answer": hang(),
        "200, with some rejected": partial(1, "one of them is bad"),
        "200, with an HTML page": html(),
        "302, to a login page": redirect(page.url),
    }

    def answer(name: str) -> None:
        if name == REFUSED:
            backend.stop()
            return
        chosen = answers.get(name) or status(int(name))
        backend.answer_with(chosen)
        # A request of metrics counts as lost when one of its points is.
        backend.answer_metrics_with(replace(chosen, rejected=None) if chosen.rejected else chosen)

    backend.clear()
    yield answer
    serve_well(backend)


def serve_well(backend: FaultyCollector) -> None:
    backend.stop()
    backend.start()
    backend.answer_with(ok())
    backend.answer_metrics_with(ok())


@pytest.fixture
def home(tmp_path: Path) -> HomeBuilder:
    return home_with(tmp_path / "home", RUNS)


def home_with(path: Path, runs: int, *, seed: int = 0) -> HomeBuilder:
    """A home whose jobs, and so its traces, have ids that follow from `seed`."""
    home = HomeBuilder(path, seed=seed)
    job = home.job("digest", every_minutes=5)
    for n in range(runs):
        home.agent_run(job, datetime.now(UTC) - timedelta(minutes=5 * (n + 2)), cost=0.25)
    home.write()
    return home


def send(home: HomeBuilder, behind: Behind) -> SyncReport:
    send_to(home.path, collector={"endpoint": behind.collector.http_endpoint, **behind.destination})
    return sync(Home(home.path), load_settings(home.path, {}), SyncOptions(eager=True))


def kept_runs(backend: FaultyCollector, home: HomeBuilder) -> int:
    """How many of its runs the backend has, each with all of its spans."""
    spans = Counter(span["trace_id"] for span in backend.spans)
    return sum(spans[trace_id_of(run)] >= SPANS for run in home.expected)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.answer)
def test_without_a_queue(
    row: Row,
    answering: Callable[[str], None],
    backend: FaultyCollector,
    unqueued: Behind,
    home: HomeBuilder,
) -> None:
    asked_before = len(backend.metric_requests)
    answering(row.answer)

    report = send(home, unqueued)

    (metrics,) = report.metrics
    errors = [report.destinations[0].error, metrics.error]
    seen = {
        found[1] if (found := re.match(r"HTTP (\d+)", error)) else error
        for error in errors
        if error
    }
    assert (seen or {"200"}) == {row.seen}
    state = destinations_of(home.path)["collector"]
    assert {
        "pending": state.pending,
        "refused": state.refused,
        "delivered": kept_runs(backend, home),
        "lost": state.delivered - kept_runs(backend, home),
    }[row.runs] > 0
    assert state.delivered + state.pending + state.refused == RUNS
    kept = any(request.kept for request in backend.metric_requests[asked_before:])
    assert row.metrics == ("sent again" if metrics.error else "delivered" if kept else "lost")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.answer)
def test_with_the_queue(
    row: Row,
    answering: Callable[[str], None],
    backend: FaultyCollector,
    queued: Behind,
    home: HomeBuilder,
) -> None:
    began_ns = time.time_ns()
    answering(row.answer)

    report = send(home, queued)

    assert report.healthy
    assert report.destinations[0].sent == RUNS
    if row.answer == REFUSED:
        wait_for(lambda: REFUSED in queued.collector.log, what="the Collector's first try")
    else:
        backend.wait_until(
            lambda seen: (
                bool(seen.received)
                and any(newest_ns(one) > began_ns for one in seen.metric_requests)
            )
        )
    serve_well(backend)
    # The queue is served in order: when the next run is there, the first ones were served before.
    later = home_with(home.path.with_name("later"), 1, seed=1)
    later_ns = time.time_ns()
    assert send(later, queued).healthy
    backend.wait_until(
        lambda seen: (
            kept_runs(seen, later) == 1
            and any(one.kept and newest_ns(one) > later_ns for one in seen.metric_requests)
        )
    )
    kept = any(
        one.kept and began_ns < newest_ns(one) <= later_ns for one in backend.metric_requests
    )
    assert row.queued == ("delivered" if kept_runs(backend, home) == RUNS else "lost")
    assert row.queued == ("delivered" if kept else "lost")
    if row.queued == "lost" and row.answer.isdigit():
        assert "Dropping data" in queued.collector.log


def newest_ns(request: ReceivedMetrics) -> int:
    return max(point.time_ns for point in request.points)


def test_a_backend_that_refuses_everything_is_blamed_itself(
    answering: Callable[[str], None], unqueued: Behind, tmp_path: Path
) -> None:
    home = home_with(tmp_path / "home", MAX_BAD_REQUESTS + 5)
    answering("500")

    send(home, unqueued)

    assert destinations_of(home.path)["collector"].pending > 0


def test_retry_after_does_not_come_through(
    backend: FaultyCollector, answering: Callable[[str], None], unqueued: Behind, home: HomeBuilder
) -> None:
    backend.answer_with(status(429, retry_after="900"))

    send(home, unqueued)

    assert not destinations_of(home.path)["collector"].asked_to_wait


def test_a_full_queue_leaves_runs_pending(
    backend: FaultyCollector,
    answering: Callable[[str], None],
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
) -> None:
    answering("503")
    small = {"sending_queue": {"queue_size": 2}}
    overrides = {"exporters": {f"otlp_http/{signal}": small for signal in ("traces", "metrics")}}
    with running(AGENT_QUEUE, backend, tmp_path_factory, overrides) as behind:
        errors = [
            send(home_with(tmp_path / f"home-{n}", 1, seed=n), behind).destinations[0].error
            for n in range(4)
        ]

    assert errors[0] is None
    assert str(errors[-1]).startswith("HTTP 503")


def test_a_collector_short_of_memory_leaves_runs_pending(
    backend: FaultyCollector, tmp_path_factory: pytest.TempPathFactory, home: HomeBuilder
) -> None:
    limits = {"check_interval": "10ms", "limit_mib": 2, "spike_limit_mib": 1}
    overrides = {"processors": {"memory_limiter": limits}}
    with running(AGENT, backend, tmp_path_factory, overrides) as behind:
        (destination,) = send(home, behind).destinations

    assert str(destination.error).startswith("HTTP 503")
    assert destination.pending == RUNS
