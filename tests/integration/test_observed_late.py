"""What hooks observe while a sync reads the host's files is in the traces that the sync sends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cronalytics_otel.config import load_settings
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.model import ApiError
from cronalytics_otel.sync import SyncOptions, sync
from tests.support.collector import FaultyCollector
from tests.support.homes import HomeBuilder, epoch_ns

NINE = datetime(2026, 5, 4, 9, tzinfo=UTC)
ATTEMPT = ApiError(
    started_ns=epoch_ns(NINE + timedelta(seconds=10)),
    ended_ns=epoch_ns(NINE + timedelta(seconds=11)),
    status_code=500,
    attempt=0,
)


def test_an_attempt_that_failed_meanwhile_is_an_event(
    home: HomeBuilder, collector: FaultyCollector, environ: dict[str, str]
) -> None:
    job = home.job("digest", every_minutes=30)
    built = home.agent_run(job, NINE, outcome="failure", tokens=None)
    home.write()
    session = built.expected.session_id or ""

    def hook_fires() -> None:
        with Journal.open(Home(home.path).journal) as journal:
            journal.observations.add([(session, session, ATTEMPT)], 0)

    options = SyncOptions(before_export=hook_fires)
    assert sync(Home(home.path), load_settings(home.path, environ), options).healthy

    events = [event for span in collector.spans for event in span["events"]]
    assert [event["name"] for event in events] == ["exception"]
