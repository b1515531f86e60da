"""What agents' runs of hosts before 0.18 leave: an agent's messages are written when it is done, a
conversation that was compressed goes on under another id, which is never ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cronalytics_otel.harvest import Harvest, harvest
from cronalytics_otel.host.home import Home
from cronalytics_otel.host.times import Zone
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.views import RunFilter
from cronalytics_otel.model import Outcome, OutcomeSource, Run
from cronalytics_otel.outcome import ANSWER_FOR_ERROR
from tests.support.homes import HomeBuilder, epoch_ns
from tests.support.host_schema import SHAPE_0_17

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)


class Place:
    """A home of Hermes 0.17 or older, our journal beside it, and a clock."""

    def __init__(self, path: Path) -> None:
        self.host = HomeBuilder(path, with_ledger=False, shape=SHAPE_0_17)
        self.home = Home(path)
        self.now = NINE + timedelta(days=1)

    def harvest(self) -> Harvest:
        self.host.write()
        with Journal.open(self.home.journal) as journal:
            return harvest(
                self.home, journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(self.now)
            )

    def run(self) -> Run:
        """The only one."""
        with Journal.open(self.home.journal) as journal:
            (run,) = journal.views.runs(RunFilter())
        return run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


# The turn limit: the host raises what the agent answered.


@pytest.mark.parametrize(
    "reply",
    [
        "All good.",
        "Summary: two of five hosts timed out, the rest is fine",
        "Summary: March spending exceeded the budget of marketing",
        "The login page answers 401 unauthorized, as it should.\n\n" + "Details. " * 2_000,
        "It says:\n\n## Error\n\n```\nHTTP 500\n```",
    ],
)
def test_the_summary_at_the_turn_limit_is_content_and_no_error_text(
    place: Place, reply: str
) -> None:
    job = place.host.job("digest", every_minutes=30)
    place.host.agent_run(
        job, NINE, outcome="turn_limit", reply=reply, error=f"RuntimeError: {reply}"
    )
    place.harvest()

    run = place.run()
    assert (run.outcome, run.outcome_source) == (Outcome.FAILURE, OutcomeSource.JOB)
    assert (run.error_type, run.error_message) == ("incomplete_response", ANSWER_FOR_ERROR)


def test_an_error_in_an_output_that_a_run_was_given_is_not_the_run_s_own(place: Place) -> None:
    fed = "## Error\n\n```\nRuntimeError: HTTP 401: no\n```"
    job = place.host.job("digest", every_minutes=30, prompt=fed)
    place.host.agent_run(job, NINE, outcome="failure", error="RuntimeError: HTTP 500: oops")
    place.harvest()

    assert place.run().error_message == "RuntimeError: HTTP 500: oops"
