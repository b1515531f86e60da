"""Old runs are deleted in small steps; what they came to stays, and none comes back."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.drift import Measure
from cronalytics_otel.insight.drifts import JobDrift, job_drifts
from cronalytics_otel.insight.jobs import JobFigures, job_figures
from cronalytics_otel.insight.known_jobs import known_jobs
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.insight.summary import summarize
from cronalytics_otel.insight.windows import Window, in_whole_days
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.calendar import local_day_in
from cronalytics_otel.journal.facts import CURRENT_JOBS, FIRST_DAY_WITH_RUNS
from cronalytics_otel.journal.figures import Dimension
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.journal.retention import NAMED_BY
from cronalytics_otel.model import Job, Mode, Outcome, Run
from cronalytics_otel.model.times import Zone
from tests.support.cli import DAY, DIGEST, HOUR, NOW_NS

TODAY = NOW_NS // DAY


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        yield journal


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    """For properties, whose examples are rolled back."""
    return Journal.open(tmp_path_factory.mktemp("journal") / "journal.db")


def run(age_ns: int, **facts: object) -> Run:
    made = replace(
        DIGEST,
        execution_id=f"{age_ns:032d}",
        session_id=None,
        started_ns=NOW_NS - age_ns - HOUR,
        ended_ns=NOW_NS - age_ns,
    )
    return replace(made, **facts)  # type: ignore[arg-type]


def add(journal: Journal, *runs: Run) -> None:
    with journal.atomic():
        journal.runs.add(runs, NOW_NS)


def ages(journal: Journal) -> list[float]:
    """How many days ago the runs ended that are there, oldest first."""
    found = journal.queries.runs(RunFilter())
    return [(NOW_NS - each.ended_ns) / DAY for each in reversed(found)]


def test_what_ended_before_the_start_of_the_day_so_many_days_ago_is_deleted(
    journal: Journal,
) -> None:
    midnight = NOW_NS % DAY  # in UTC; it is 8 o'clock
    add(journal, run(9 * DAY), run(midnight + 2 * DAY + 1), run(midnight + 2 * DAY), run(0))

    assert journal.retention.delete_old(2, NOW_NS) == 2
    assert ages(journal) == [(midnight + 2 * DAY) / DAY, 0.0]
    assert journal.facts.get(FIRST_DAY_WITH_RUNS) == TODAY - 2


def test_the_sums_of_the_days_stay(journal: Journal) -> None:
    add(journal, *(run(n * DAY) for n in range(19, -1, -1)))
    before = [
        journal.figures.runs(RunFilter(), by=[Dimension.DAY, Dimension.OUTCOME]),
        journal.figures.usage(RunFilter(), by=[Dimension.DAY, Dimension.MODEL]),
    ]
    journal.retention.delete_old(5, NOW_NS)
    journal.figures.rebuild()

    assert len(ages(journal)) == 6
    assert before == [
        journal.figures.runs(RunFilter(), by=[Dimension.DAY, Dimension.OUTCOME]),
        journal.figures.usage(RunFilter(), by=[Dimension.DAY, Dimension.MODEL]),
    ]


def test_what_a_destination_lacks_or_has_refused_stays_until_it_has_it(journal: Journal) -> None:
    journal.outbox.set_destinations({"a": "https://a", "gone": "https://b"}, NOW_NS)
    add(journal, run(40 * DAY), run(30 * DAY), run(20 * DAY), run(0))
    first, second, third, _ = journal.outbox.take(1, 9, fresh_since_ns=0)
    journal.outbox.accepted(1, [first, third], NOW_NS)
    journal.outbox.refuse(1, [second], "400", NOW_NS)
    journal.outbox.accepted(2, [first, second], NOW_NS)
    journal.outbox.set_destinations({"a": "https://a"}, NOW_NS)

    journal.retention.delete_old(5, NOW_NS)
    kept = ages(journal)
    journal.outbox.retry_refused(NOW_NS)
    journal.outbox.accepted(1, [second], NOW_NS)
    journal.retention.delete_old(4, NOW_NS)

    assert (kept, ages(journal)) == ([30, 20, 0], [20, 0])


def test_every_table_that_names_runs_is_asked(journal: Journal, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as connection:
        names = [
            n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
        ]
        naming = {
            name
            for name in names
            if any(row[1] == "run_id" for row in connection.execute(f"PRAGMA table_info({name})"))
        }

    assert naming == set(NAMED_BY)


def test_the_newest_run_of_each_job_stays_also_of_a_deleted_one(journal: Journal) -> None:
    """A job that runs once a month must still be compared with its run before, and a deleted one keeps its
    name."""
    add(
        journal,
        run(60 * DAY, job_id="m"),
        run(30 * DAY, job_id="m"),
        run(29 * DAY, job_id="m", outcome=Outcome.MISSED),
        run(30 * DAY + 1, job_id="deleted job"),
        run(0),
    )
    journal.retention.delete_old(5, NOW_NS)

    assert ages(journal) == [30 + 1 / DAY, 30, 0]
    assert journal.job_runs.lifetimes()["deleted job"].job_name == DIGEST.job_name


def test_the_last_success_and_the_failures_since_then_stay(journal: Journal) -> None:
    """A weekly job must still be known to fail each time, and since when."""
    weekly = [run(n * 7 * DAY, outcome=Outcome.FAILURE) for n in range(7, 0, -1)]
    add(journal, run(70 * DAY), run(60 * DAY), *weekly, run(0, job_id="other"))
    journal.retention.delete_old(7, NOW_NS)

    assert ages(journal) == [60, 49, 42, 35, 28, 21, 14, 7, 0]
    success = journal.job_runs.last(DIGEST.job_id, {Outcome.SUCCESS})
    assert success is not None
    assert journal.job_runs.failures_after(DIGEST.job_id, success) == (7, False)
    assert [job.recent.consecutive_failures for job in jobs_of(journal)] == [7, 0]


@pytest.mark.parametrize("succeeded", [True, False])
def test_a_long_row_of_failures_keeps_its_beginning_and_its_number(
    journal: Journal, succeeded: bool
) -> None:
    failures = [run(n * DAY, outcome=Outcome.FAILURE) for n in range(40, -1, -1)]
    add(journal, *[run(50 * DAY)][: int(succeeded)], *failures)
    journal.retention.delete_old(7, NOW_NS)

    (job,) = jobs_of(journal)
    assert ages(journal) == [50, 40, *range(19, -1, -1)][0 if succeeded else 1 :]
    assert (job.recent.consecutive_failures, job.recent.consecutive_failures_is_lower_bound) == (
        41,
        False,
    )
    assert (job.recent.last_success_ns is not None) is succeeded


def test_failures_that_may_lie_before_or_after_the_last_success_make_a_lower_bound(
    journal: Journal,
) -> None:
    """Of the day of the success only the sum is left."""
    failures = [run(30 * DAY - n, outcome=Outcome.FAILURE) for n in range(1, 60)]
    add(journal, run(30 * DAY), *failures, run(0, outcome=Outcome.FAILURE))
    journal.retention.delete_old(7, NOW_NS)

    (job,) = jobs_of(journal)
    assert job.recent.consecutive_failures == 21
    assert job.recent.consecutive_failures_is_lower_bound


def jobs_of(journal: Journal) -> list[JobFigures]:
    return job_figures(
        [Profile("default", journal)], RunFilter(), Window.of_days(0, NOW_NS), NOW_NS
    )


def test_the_newest_row_stays_so_that_no_new_run_gets_the_id_of_an_old_one(
    journal: Journal,
) -> None:
    """A destination's mark lies among the ids: a run with an old id would never be sent."""
    journal.outbox.set_destinations({"a": "https://a"}, NOW_NS)
    add(journal, run(30 * DAY), run(20 * DAY))
    journal.outbox.accepted(1, journal.outbox.take(1, 9, fresh_since_ns=0), NOW_NS)
    journal.retention.delete_old(5, NOW_NS)
    add(journal, run(0))

    assert len(journal.outbox.take(1, 9, fresh_since_ns=0)) == 1


def test_it_goes_in_steps_and_then_rests_until_the_next_day(journal: Journal) -> None:
    add(journal, *(run((10 + n) * DAY) for n in range(5)), run(0))

    steps = [journal.retention.delete_old(5, NOW_NS, limit=2) for _ in range(4)]
    changes_before = journal.facts.read()
    rest = journal.retention.delete_old(5, NOW_NS + HOUR, limit=2)

    assert (steps, rest) == ([2, 2, 1, 0], 0)
    assert journal.facts.read() == changes_before
    assert journal.retention.delete_old(5, NOW_NS + DAY, limit=2) == 0
    assert journal.facts.get(FIRST_DAY_WITH_RUNS) == TODAY - 4


def test_a_longer_time_brings_nothing_back_and_does_not_move_the_border_back(
    journal: Journal,
) -> None:
    add(journal, run(20 * DAY), run(10 * DAY), run(0))
    journal.retention.delete_old(5, NOW_NS)
    border_ns = journal.retention.kept_since_ns
    journal.retention.delete_old(90, NOW_NS)
    journal.retention.delete_old(5, NOW_NS - 40 * DAY)  # the clock was set back

    assert journal.retention.kept_since_ns == border_ns
    assert journal.facts.get(FIRST_DAY_WITH_RUNS) == TODAY - 5


@pytest.mark.parametrize("at", ["DELETE", "COMMIT"])
def test_a_kill_in_the_middle_of_a_step_leaves_all_of_it_undone(tmp_path: Path, at: str) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        add(journal, *(run((10 + n) * DAY) for n in range(5)), run(0))
        facts = journal.facts.read()

    code = f"""
import os
from pathlib import Path
from cronalytics_otel.journal import Journal
journal = Journal.open(Path({str(path)!r}))
journal._connection.set_trace_callback(lambda sql: sql.startswith({at!r}) and os._exit(9))
journal.retention.delete_old(5, {NOW_NS})
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)

    with Journal.open(path) as journal:
        assert (killed.returncode, len(ages(journal)), journal.facts.read()) == (9, 6, facts)
        assert journal.retention.delete_old(5, NOW_NS) == 5


def test_freed_pages_are_used_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        for day in range(60):
            add(journal, *(run((60 - day) * DAY + n) for n in range(50)))
            journal.retention.delete_old(5, NOW_NS - (60 - day) * DAY)
            if day == 10:
                pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        grown = journal._connection.execute("PRAGMA page_count").fetchone()[0]

    assert grown < 1.5 * pages


ZONES = [
    Zone(info=ZoneInfo(name), name=name)
    for name in (
        "UTC",
        "Pacific/Honolulu",
        "Pacific/Kiritimati",
        "America/Havana",
        "Asia/Kathmandu",
    )
]


@given(
    hours_ago=st.lists(st.integers(0, 24 * 12), min_size=1, max_size=30, unique=True),
    stays=st.integers(0, 24 * 12),
    days=st.integers(1, 8),
    zones=st.lists(st.sampled_from(ZONES), min_size=2, max_size=5),
    next_day=st.booleans(),
)
def test_a_change_of_the_zone_neither_loses_nor_doubles_a_run_at_the_border_of_what_is_kept(
    shared: Journal,
    hours_ago: list[int],
    stays: int,
    days: int,
    zones: list[Zone],
    next_day: bool,
) -> None:
    """Also of a run that stays although it is old, because it is the newest one of its job."""
    seldom = Job(job_id="seldom", name="seldom", mode=Mode.AGENT, schedule=None)
    runs = [run(hours * HOUR) for hours in hours_ago]
    runs.append(run(stays * HOUR + 1, job_id="seldom"))
    with shared.rolled_back():
        shared.facts.set(CURRENT_JOBS, (seldom,))
        shared.figures.use_zone(zones[0], NOW_NS)
        shared.runs.add(runs, NOW_NS)
        shared.retention.delete_old(days, NOW_NS)
        for zone in zones[1:]:
            shared.figures.use_zone(zone, NOW_NS)
            shared.figures.rebuild()
            if next_day:
                shared.retention.delete_old(days, NOW_NS + DAY)
        by_day = shared.figures.runs(RunFilter(), by=[Dimension.DAY])
        of_models = shared.figures.usage(RunFilter())
        first_day = shared.facts.get(FIRST_DAY_WITH_RUNS)

    assert first_day is not None
    assert sum(amounts.runs for amounts in by_day.values()) == len(runs)
    assert of_models[()].runs == len(runs)
    local = Counter(local_day_in(zones[-1].info)(each.ended_ns) for each in runs)
    whole = {day: count for day, count in local.items() if day >= first_day}
    assert {day: a.runs for (day,), a in by_day.items() if day >= first_day} == whole


# What was deleted is still known.


def test_the_history_begins_with_the_first_day_that_is_known_also_where_its_runs_were_deleted(
    journal: Journal,
) -> None:
    assert journal.job_runs.known_since_ns() is None
    add(
        journal,
        *(run(n * DAY, scheduled_ns=NOW_NS - n * DAY - HOUR - 5) for n in range(19, -1, -1)),
    )
    assert journal.job_runs.known_since_ns() == NOW_NS - 19 * DAY - HOUR - 5

    journal.retention.delete_old(5, NOW_NS)

    assert len(ages(journal)) == 6
    assert journal.job_runs.known_since_ns() == journal.figures.midnight_ns(TODAY - 19)


def test_the_figures_of_a_window_are_as_before_the_runs_were_deleted(journal: Journal) -> None:
    """Only the window before it has another beginning: the midnight that is nearest."""
    add(journal, *(run(n * DAY // 4) for n in range(240, -1, -1)))
    home, asked = [Profile("default", journal)], Window.of(NOW_NS, since_ns=midnight(27))
    before = summarize(home, RunFilter(), asked, NOW_NS).together

    journal.retention.delete_old(7, NOW_NS)
    window = in_whole_days(asked, home)
    after = summarize(home, RunFilter(), window, NOW_NS)

    assert (window.since_ns, window.until_ns, window.is_as_asked) == (midnight(27), NOW_NS, True)
    assert after.together.figures == before.figures
    assert after.together.projection == before.projection
    assert after.together.observed_s == before.observed_s
    assert window.prior is not None
    assert window.prior.since_ns == midnight(54)  # and not 8 hours earlier
    assert after.together.changes.runs == pytest.approx(before.changes.runs, abs=0.02)
    assert [model.cost_change for model in after.models] == [pytest.approx(0, abs=0.03)]


def test_a_window_takes_the_days_whole_whose_runs_were_deleted(journal: Journal) -> None:
    add(journal, *(run(n * DAY // 4) for n in range(240, -1, -1)))
    home = [Profile("default", journal)]
    exact, past = Window.of_days(30, NOW_NS), Window.of(NOW_NS, since_ns=midnight(20) + HOUR, until_ns=midnight(18) + HOUR)  # fmt: skip
    for window in (exact, past):
        known = in_whole_days(window, home)
        assert (known.since_ns, known.until_ns) == (window.since_ns, window.until_ns)
        assert (known.is_as_asked, known.runs_since_ns) == (True, None)

    journal.retention.delete_old(7, NOW_NS)
    wide, days = in_whole_days(exact, home), in_whole_days(past, home)

    assert (wide.since_ns, wide.until_ns, wide.is_as_asked) == (midnight(30), NOW_NS, False)
    assert (days.since_ns, days.until_ns, days.is_as_asked) == (midnight(20), midnight(17), False)
    runs = [
        sum(amounts.runs for amounts in journal.figures.runs(window.of_runs(RunFilter())).values())
        for window in (wide, days)
    ]
    assert runs == [122, 12]


def test_a_window_that_begins_where_runs_are_kept_is_as_it_was_asked_for(journal: Journal) -> None:
    add(journal, *(run(n * DAY // 4) for n in range(240, -1, -1)))
    journal.retention.delete_old(7, NOW_NS)
    window = in_whole_days(Window.of_days(5, NOW_NS), [Profile("default", journal)])

    assert (window.since_ns, window.is_as_asked) == (NOW_NS - 5 * DAY, True)
    assert in_whole_days(Window.of_days(0, NOW_NS), [Profile("default", journal)]).since_ns is None


@pytest.mark.parametrize("question", [{"skills": frozenset({"web"})}, {"models": frozenset({"m"})}])
def test_a_question_that_needs_single_runs_begins_where_all_runs_are_kept(
    journal: Journal, question: dict[str, frozenset[str]]
) -> None:
    """What is observed begins there too, so that trend and pace stay what they were."""
    add(
        journal,
        *(run(n * DAY // 4, skills=("web",), model="m", cost_usd=0.1) for n in range(240, -1, -1)),
    )
    home, wanted, asked = (
        [Profile("default", journal)],
        RunFilter(**question),  # type: ignore[arg-type]
        Window.of_days(30, NOW_NS),
    )
    before = summarize(home, wanted, asked, NOW_NS).together

    journal.retention.delete_old(7, NOW_NS)
    window = in_whole_days(asked, home).for_runs
    after = summarize(home, wanted, window, NOW_NS).together

    assert (window.since_ns, window.is_as_asked) == (midnight(7), False)
    assert after.figures.runs == 30
    assert after.observed_s == (NOW_NS - midnight(7)) / 1e9
    rates = [of.figures.runs / of.observed_s for of in (before, after) if of.observed_s]
    assert rates[1] == pytest.approx(rates[0], rel=0.04)
    assert (window.prior_is_known, after.changes.runs) == (False, None)


def test_a_window_that_ended_before_the_kept_runs_holds_none_of_them(journal: Journal) -> None:
    """The old runs that stay because they say how a job stands are not taken for all of that time."""
    add(journal, *(run(n * DAY, outcome=Outcome.FAILURE) for n in range(30, -1, -1)))
    journal.retention.delete_old(7, NOW_NS)
    past = Window.of(NOW_NS, since_ns=midnight(20), until_ns=midnight(10))
    home = [Profile("default", journal)]
    wanted = RunFilter(skills=frozenset(DIGEST.skills))

    window = in_whole_days(past, home).for_runs

    assert (window.since_ns, window.until_ns) == (midnight(7), midnight(7))
    assert summarize(home, wanted, window, NOW_NS).together.figures.runs == 0


def test_models_of_filtered_runs_and_percentiles_are_of_kept_runs_alone(journal: Journal) -> None:
    add(journal, *(run(n * DAY, outcome=Outcome.FAILURE) for n in range(30, -1, -1)))
    journal.retention.delete_old(7, NOW_NS)
    home = [Profile("default", journal)]
    window = in_whole_days(Window.of_days(25, NOW_NS), home)
    wanted = RunFilter(mode=DIGEST.mode)

    summary = summarize(home, wanted, window, NOW_NS)
    (job,) = job_figures(home, wanted, window, NOW_NS)

    assert (summary.together.figures.runs, summary.models_are_of_runs) == (26, True)
    assert [model.runs for model in summary.models] == [8]
    assert (job.figures.runs, job.durations.runs) == (26, 8)
    assert [model.runs for model in summarize(home, RunFilter(), window, NOW_NS).models] == [26]


def test_a_drift_is_measured_against_kept_runs_alone(journal: Journal) -> None:
    """The failures that stay would make the window before look worse than it was."""
    current = Job(job_id=DIGEST.job_id, name="digest", mode=Mode.AGENT, schedule=None)
    journal.facts.set(CURRENT_JOBS, (current,))
    history = [run((n + 9) * DAY, outcome=Outcome.FAILURE) for n in range(20, 0, -1)]
    add(journal, *history, *(run(n * DAY // 4) for n in range(32, -1, -1)))
    home = [Profile("default", journal)]
    asked = Window.of_days(9, NOW_NS)
    assert [one.drift.measure for one in drifts_of(home, asked)] == [Measure.FAILURE_RATE]

    journal.retention.delete_old(9, NOW_NS)

    assert drifts_of(home, asked) == []
    assert in_whole_days(asked, home).for_percentiles.prior_was_deleted


def drifts_of(home: list[Profile], asked: Window) -> list[JobDrift]:
    return job_drifts(home, known_jobs(home), RunFilter(), in_whole_days(asked, home))


def midnight(days_ago: int) -> int:
    return (TODAY - days_ago) * DAY
