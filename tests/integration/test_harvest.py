"""From the host's files to the journal: each kind of run comes out as it truly was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.harvest import HarvestReport, changes, harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.harvest.job_history import JobsSnapshot
from cronalytics_otel.host.home import Home
from cronalytics_otel.host.ledger import ExecutionColumns
from cronalytics_otel.host.session_rows import SessionColumns
from cronalytics_otel.journal import Journal, OpenKind
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import (
    CostStatus,
    DeliveryOutcome,
    Outcome,
    OutcomeSource,
    Run,
    ScheduleKind,
    Trigger,
)
from cronalytics_otel.model.times import NS, Zone
from tests.support.homes import (
    Auxiliary,
    BuiltRun,
    HomeBuilder,
    Shape,
    Stage,
    Subagent,
    Tokens,
    epoch_ns,
)
from tests.support.host_schema import table_columns

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture(autouse=True)
def _owners_live(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for the machine: the builder's pids are of no process here. See test_processes."""
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: False)
    monkeypatch.setattr(waiting, "booted_since", lambda _: False)


class Place:
    """A home of the host, our journal beside it, and a clock."""

    def __init__(self, path: Path, **how: object) -> None:
        self.host = HomeBuilder(path, timezone="America/New_York", **how)  # type: ignore[arg-type]
        self.home = Home(path)
        self.now = NINE + timedelta(days=1)

    def harvest(
        self, *, full: bool = False, snapshots: tuple[JobsSnapshot, ...] = ()
    ) -> HarvestReport:
        with self.journal() as journal:
            return harvest(
                self.home,
                journal,
                Zone(info=NEW_YORK, name="America/New_York"),
                now_ns=epoch_ns(self.now),
                full=full,
                snapshots=snapshots,
            )

    def sync(self, at: datetime, *, full: bool = False) -> None:
        self.now = at
        self.harvest(full=full)

    def change(self, job: str, **fields: object) -> None:
        """As a person, or the host, changes a job."""
        self.host.jobs[job] |= fields
        self.host.write()

    def edit(self, job: str, cron: str) -> None:
        self.change(job, schedule={"kind": "cron", "expr": cron, "display": cron})

    def journal(self) -> Journal:
        return Journal.open(self.home.journal)

    def runs(self) -> dict[str, Run]:
        with self.journal() as journal:
            found = journal.queries.runs(RunFilter())
        assert len({run.run_id for run in found}) == len(found)
        return {run.run_id: run for run in found}

    def run(self, built: BuiltRun) -> Run:
        return self.runs()[built.expected.execution_id or built.expected.session_id or ""]

    def differences(self, *, ignore: tuple[str, ...] = ()) -> dict[str, object]:
        """Run id to what differs from the truth; also runs that are missing or too many."""
        runs, found = self.runs(), dict[str, object]()
        for expected in self.host.expected:
            run_id = expected.execution_id or expected.session_id or ""
            run = runs.pop(run_id, None)
            differs = expected.differences(run, ignore=ignore) if run else "missing"
            if differs:
                found[f"{expected.job_name} {run_id}"] = differs
        return found | dict.fromkeys(runs, "not true")

    def sql(self, path: Path, script: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


def everything(host: HomeBuilder) -> None:
    """One run of each kind, five minutes apart."""
    minutes = iter(range(0, 1000, 5))

    def when() -> datetime:
        return NINE + timedelta(minutes=next(minutes))

    agent = host.job("digest", every_minutes=5, deliver="telegram:-100", skills=["news"])
    host.agent_run(agent, when())
    host.agent_run(agent, when(), cost=0.5, tools=["terminal", "web_search"])
    host.agent_run(agent, when(), outcome="failure", tokens=None)
    host.agent_run(agent, when(), outcome="failure", error="RuntimeError: HTTP 401: bad key", tokens=None)  # fmt: skip
    host.agent_run(agent, when(), outcome="empty")
    host.agent_run(agent, when(), outcome="silent")
    host.agent_run(agent, when(), outcome="turn_limit", tools=["terminal"] * 5)
    host.agent_run(agent, when(), outcome="timeout")
    host.agent_run(agent, when(), outcome="interrupted")
    host.agent_run(agent, when(), outcome="abandoned")
    host.agent_run(agent, when(), source="direct")
    host.agent_run(agent, when(), cost=0.0, cost_status="included")
    host.agent_run(agent, when(), cost=0.25, cost_status="actual")
    host.agent_run(
        agent, when(), cost=0.5, tokens=Tokens(input=100, output=10, cache_read=7, cache_write=3),
        subagents=[Subagent(cost=0.25, tools=["terminal"], subagents=[Subagent(cost=0.1)]), Subagent()],
        aux_calls=[Auxiliary(), Auxiliary(task="vision", cost=0.02, calls=2)],
    )  # fmt: skip
    script = host.job("disk", cron="*/5 * * * *", no_agent=True)
    for outcome in ("success", "silent", "failure", "timeout", "abandoned"):
        host.script_run(script, when(), outcome=outcome)
    host.gated_run(script, when())
    host.gated_run(host.job("gate", script="gate.py", every_minutes=60), when())
    host.agent_run(host.job("reminder", once_at=when() + timedelta(minutes=5)), when())
    host.agent_run(host.job("thrice", every_minutes=60, times=1), when())


def test_each_kind_of_run_comes_out_as_it_truly_was(place: Place) -> None:
    everything(place.host)
    place.host.write()
    result = place.harvest()

    assert place.differences() == {}
    assert (result.new_runs, result.open_runs, result.problems) == (23, 0, [])


def test_without_a_ledger_the_sessions_tell_what_they_can(tmp_path: Path) -> None:
    """A host before 0.19: scripts and gated runs leave no row anywhere."""
    place = Place(tmp_path / "home", with_ledger=False)
    job = place.host.job("digest", every_minutes=30)
    for n, outcome in enumerate(["success", "silent", "failure", "timeout", "turn_limit"]):
        place.host.agent_run(job, NINE + timedelta(minutes=31 * n), outcome=outcome)  # type: ignore[arg-type]
        place.host.write()
    place.harvest()

    assert place.differences() == {}
    assert {run.trigger for run in place.runs().values()} == {None}


@pytest.mark.parametrize("microsecond", [0, 3_000, 500_000, 999_999])
def test_without_a_ledger_the_error_is_found_in_the_file_that_is_saved_after_the_session_ended(
    tmp_path: Path, microsecond: int
) -> None:
    """The host ends the session, then saves the output: perhaps in the next second."""
    place = Place(tmp_path / "home", with_ledger=False)
    job = place.host.job("digest", every_minutes=30)
    at = NINE.replace(microsecond=microsecond)
    built = place.host.agent_run(job, at, outcome="failure", error="RuntimeError: HTTP 401: no")
    place.host.agent_run(job, at + timedelta(minutes=30))
    place.host.write()
    place.harvest()

    assert place.run(built).error_message == "RuntimeError: HTTP 401: no"
    assert place.differences() == {}


def test_an_older_host_s_session_that_never_ended_is_abandoned_and_not_the_next_run_s_failure(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "home", with_ledger=False)
    job = place.host.job("digest", every_minutes=30)
    died = place.host.agent_run(job, NINE, stop_after=Stage.WORKED)
    place.host.agent_run(job, NINE + timedelta(minutes=31), outcome="failure")
    place.host.write()
    place.now = NINE + timedelta(days=3)
    place.harvest()

    run = place.run(died)
    assert (run.outcome, run.outcome_source) == (Outcome.ABANDONED, OutcomeSource.INFERRED)
    assert "HTTP 500" not in (run.error_message or "")


# What the definition and the rest tell.


def test_a_run_has_its_definition_its_due_time_and_its_delivery(place: Place) -> None:
    job = place.host.job("digest", cron="0 5 * * *", deliver="telegram:-100", skills=["a", "b"])
    built = place.host.agent_run(job, NINE)
    place.host.write()
    place.harvest()

    run = place.run(built)
    assert (run.schedule_kind, run.schedule_expression) == (ScheduleKind.CRON, "0 5 * * *")
    assert run.schedule_timezone == "America/New_York"
    assert run.scheduled_ns == epoch_ns(NINE.replace(microsecond=0))
    assert run.lateness_s == pytest.approx(0.123456)
    assert run.trigger is Trigger.SCHEDULE
    assert run.skills == ("a", "b")
    assert (run.delivery_target, run.delivery_outcome) == ("telegram", DeliveryOutcome.DELIVERED)
    assert run.profile == "default"
    assert run.outcome_source is OutcomeSource.LEDGER


def test_a_run_much_later_than_due_is_one_that_catches_up(place: Place) -> None:
    job = place.host.job("digest", cron="0 1 * * *", created=NINE - timedelta(days=2))
    place.host.write()
    place.harvest()
    built = place.host.agent_run(job, NINE)
    place.host.write()
    place.harvest()

    run = place.run(built)
    assert run.trigger is Trigger.CATCH_UP
    assert run.lateness_s is not None
    assert run.lateness_s > 4 * 3600


def test_a_run_right_on_time_after_an_earlier_one_is_not_late_by_that_one_s_due_time(
    place: Place,
) -> None:
    """Between two syncs a run went by, and the time that the second was due for was never seen."""
    job = place.host.job("digest", every_minutes=30, created=NINE - timedelta(minutes=30))
    place.host.write()
    place.harvest()
    place.host.agent_run(job, NINE)
    place.host.write()
    place.harvest()
    place.sql(place.home.journal, "DELETE FROM due WHERE due_ns = (SELECT max(due_ns) FROM due)")
    built = place.host.agent_run(job, NINE + timedelta(minutes=30, seconds=40))
    place.host.write()
    place.harvest()

    assert place.run(built).trigger is Trigger.SCHEDULE
    assert (place.run(built).lateness_s or 0) < 60


def test_what_an_interval_was_due_for_in_mid_run_is_over_with_that_run(place: Place) -> None:
    """The host moves it when the run begins, and again when it ends."""
    job = place.host.job("slow", every_minutes=30, created=NINE - timedelta(minutes=30))
    first = place.host.agent_run(job, NINE, 1200.0, stop_after=Stage.RUNNING)
    place.change(job, next_run_at=(NINE + timedelta(minutes=30)).isoformat())
    place.sync(NINE + timedelta(minutes=10))
    place.host.advance(first)
    second = place.host.agent_run(job, NINE + timedelta(minutes=50, seconds=5))
    place.host.write()
    place.sync(NINE + timedelta(hours=1))

    run = place.run(second)
    assert run.trigger is Trigger.SCHEDULE
    assert run.lateness_s == pytest.approx(5, abs=0.1)


def test_what_a_cron_job_was_due_for_in_a_run_that_overran_it_is_over(place: Place) -> None:
    job = place.host.job("slow", cron="*/20 * * * *", created=NINE - timedelta(minutes=5))
    first = place.host.agent_run(job, NINE, 1800.0, stop_after=Stage.RUNNING)
    place.change(job, next_run_at=(NINE + timedelta(minutes=20)).isoformat())
    place.sync(NINE + timedelta(minutes=10))
    place.host.advance(first)
    second = place.host.agent_run(job, NINE + timedelta(minutes=45))
    place.host.write()
    place.sync(NINE + timedelta(hours=1))

    assert place.run(second).lateness_s == pytest.approx(300, abs=1)


def test_what_a_person_made_due_sooner_is_what_the_run_was_due_for(place: Place) -> None:
    job = place.host.job("digest", every_minutes=300, created=NINE - timedelta(minutes=300))
    place.host.agent_run(job, NINE)
    place.host.write()
    place.change(job, next_run_at=(NINE + timedelta(minutes=30)).isoformat())
    place.sync(NINE + timedelta(minutes=30, seconds=20))
    built = place.host.agent_run(job, NINE + timedelta(minutes=30, seconds=40))
    place.host.write()
    place.sync(NINE + timedelta(hours=1))

    assert place.run(built).lateness_s == pytest.approx(40, abs=1)


HOURS_LATER = NINE + timedelta(hours=7, seconds=10)


def hourly(place: Place) -> str:
    """Seen to be due at ten."""
    job = place.host.job("hourly", cron="0 * * * *", created=NINE - timedelta(minutes=30))
    place.host.agent_run(job, NINE)
    place.host.write()
    place.sync(NINE + timedelta(minutes=30))
    return job


def run_late(place: Place, job: str, at: datetime = HOURS_LATER) -> Run:
    built = place.host.agent_run(job, at)
    place.host.write()
    place.sync(at + timedelta(minutes=2))
    return place.run(built)


def test_a_run_after_a_pause_was_not_due_before_it(place: Place) -> None:
    job = hourly(place)
    place.change(job, enabled=False, state="paused", paused_at=NINE.isoformat())
    place.sync(NINE + timedelta(minutes=40))
    place.change(job, enabled=True, state="scheduled", paused_at=None)

    run = run_late(place, job, NINE + timedelta(hours=7, minutes=9))

    assert run.scheduled_ns == epoch_ns(HOURS_LATER.replace(second=0, microsecond=0))


def test_a_run_right_on_a_later_time_follows_a_pause_that_nobody_saw(place: Place) -> None:
    run = run_late(place, hourly(place))

    assert run.trigger is Trigger.SCHEDULE
    assert run.lateness_s == pytest.approx(10, abs=1)


def test_but_one_that_was_seen_past_its_time_just_before_catches_up(place: Place) -> None:
    job = hourly(place)
    place.sync(HOURS_LATER - timedelta(seconds=1), full=True)

    run = run_late(place, job)

    assert run.trigger is Trigger.CATCH_UP
    assert run.scheduled_ns == epoch_ns((NINE + timedelta(hours=1)).replace(microsecond=0))


def test_and_so_does_one_that_came_at_no_time_of_its_own(place: Place) -> None:
    run = run_late(place, hourly(place), NINE + timedelta(hours=7, minutes=9))

    assert run.trigger is Trigger.CATCH_UP
    assert run.scheduled_ns == epoch_ns((NINE + timedelta(hours=1)).replace(microsecond=0))


def test_a_run_right_on_a_schedule_that_was_seen_only_after_it_was_due_by_that(
    place: Place,
) -> None:
    job = hourly(place)
    place.edit(job, "20 5,12 * * *")

    run = run_late(place, job, NINE + timedelta(hours=7, minutes=20, seconds=10))

    assert run.schedule_expression == "20 5,12 * * *"
    assert run.trigger is Trigger.SCHEDULE
    assert run.lateness_s == pytest.approx(10, abs=1)


def test_a_run_that_neither_schedule_explains_was_late_by_the_one_that_was_known(
    place: Place,
) -> None:
    job = hourly(place)
    place.edit(job, "20 5,12 * * *")

    run = run_late(place, job, NINE + timedelta(hours=7, minutes=40))

    assert (run.trigger, run.schedule_expression) == (Trigger.CATCH_UP, "0 * * * *")


def test_from_when_an_interval_counts_that_a_job_was_given_meanwhile_is_unknown(
    place: Place,
) -> None:
    job = hourly(place)
    place.change(job, schedule={"kind": "interval", "minutes": 400, "display": "every 400m"})

    run = run_late(place, job)

    assert (run.scheduled_ns, run.trigger) == (None, Trigger.SCHEDULE)


def test_a_delivery_that_failed_is_told(place: Place) -> None:
    job = place.host.job("digest", deliver="telegram:-100")
    built = place.host.agent_run(job, NINE, delivery_error="chat not found")
    place.host.write()
    place.harvest()

    assert place.differences() == {}
    assert place.run(built).delivery_outcome is DeliveryOutcome.FAILED


def test_a_one_shot_keeps_its_name_and_schedule_after_the_host_deleted_it(place: Place) -> None:
    job = place.host.job("reminder", once_at=NINE)
    place.host.write()
    place.harvest()
    built = place.host.agent_run(job, NINE)
    place.host.write()
    assert job not in place.home.jobs.read_text()
    place.harvest()

    run = place.run(built)
    assert (run.job_name, run.schedule_kind) == ("reminder", ScheduleKind.ONCE)
    assert run.scheduled_ns == epoch_ns(NINE)


def test_a_one_shot_that_came_and_went_between_two_looks_is_known_from_a_snapshot(
    place: Place,
) -> None:
    job = place.host.job("reminder", once_at=NINE)
    place.host.write()
    snapshot = JobsSnapshot(epoch_ns(NINE - timedelta(seconds=5)), place.home.jobs.read_text())
    built = place.host.agent_run(job, NINE)
    place.host.write()
    place.harvest(snapshots=(snapshot,))

    assert place.run(built).schedule_kind is ScheduleKind.ONCE


def test_a_one_shot_that_nobody_saw_is_named_by_what_it_left(place: Place) -> None:
    agent = place.host.agent_run(place.host.job("reminder", once_at=NINE), NINE)
    later = NINE + timedelta(hours=1)
    script = place.host.script_run(place.host.job("sweep", once_at=later, no_agent=True), later)
    place.host.write()
    place.harvest()

    assert place.run(agent).job_name == "reminder"
    assert place.run(agent).schedule_kind is ScheduleKind.ONCE
    assert place.run(script).job_name == "sweep"
    assert place.differences() == {}


def test_a_definition_that_was_changed_holds_from_when_it_was_seen(place: Place) -> None:
    job = place.host.job("old name", every_minutes=30)
    first = place.host.agent_run(job, NINE)
    place.host.write()
    place.now = NINE + timedelta(minutes=1)
    place.harvest()
    place.host.jobs[job]["name"] = "new name"
    place.host.write()
    place.now = NINE + timedelta(minutes=2)
    place.harvest()
    second = place.host.agent_run(job, NINE + timedelta(minutes=30))
    place.host.write()
    place.now = NINE + timedelta(minutes=31)
    place.harvest()

    assert place.run(first).job_name == "old name"
    assert place.run(second).job_name == "new name"


def test_two_runs_seconds_apart_each_have_their_own_delivery(place: Place) -> None:
    job = place.host.job("disk", no_agent=True, deliver="telegram:-100")
    first = place.host.script_run(job, NINE, source="direct")
    second = place.host.script_run(
        job, NINE + timedelta(seconds=5), source="direct", delivery_error="chat not found"
    )
    place.host.write()
    place.harvest()

    assert place.run(second).delivery_error == "chat not found"
    assert place.run(first).delivery_error is None


def test_tool_calls_are_counted_though_the_host_s_count_begins_anew_with_a_compression(
    place: Place,
) -> None:
    """It compresses in place: what was said is put away, the kept messages are written again."""
    built = place.host.agent_run(place.host.job("digest"), NINE, tools=["terminal"] * 9)
    place.host.write()
    place.sql(
        place.home.state_db,
        f"""
        CREATE TEMP TABLE own AS SELECT session_id AS id, max(timestamp) AS at FROM messages
          WHERE session_id = '{built.expected.session_id}';
        UPDATE messages SET active = 0, compacted = 1 WHERE session_id = (SELECT id FROM own);
        INSERT INTO messages (session_id, role, content, timestamp) SELECT id, 'user', 'So far …', at + 1 FROM own;
        INSERT INTO messages (session_id, role, tool_calls, finish_reason, timestamp)
          SELECT id, 'assistant', (SELECT tool_calls FROM messages WHERE tool_calls IS NOT NULL LIMIT 1),
          'tool_calls', at + 1.000001 FROM own;
        UPDATE sessions SET message_count = 2, tool_call_count = 1 WHERE id = (SELECT id FROM own);
        """,
    )
    place.harvest()

    assert place.run(built).tool_calls == 9


def test_a_price_that_some_calls_had_is_not_lost_to_the_last_one_that_had_none(
    place: Place,
) -> None:
    """The host adds up the amounts, and keeps the last call's status."""
    built = place.host.agent_run(place.host.job("digest"), NINE, cost=0.05)
    place.host.write()
    for table in ("sessions", "session_model_usage"):
        place.sql(place.home.state_db, f"UPDATE {table} SET cost_status = 'unknown'")
    place.harvest()

    run = place.run(built)
    assert (run.cost_usd, run.cost_status) == (0.05, CostStatus.PARTIAL)


@pytest.mark.parametrize("printed", ["[SILENT] nothing new", "3 checked\n\nNO_REPLY", " silent "])
def test_a_script_that_asks_for_silence_is_not_delivered(place: Place, printed: str) -> None:
    script = place.host.job("disk", no_agent=True, deliver="telegram")
    built = place.host.script_run(script, NINE, output=printed)
    place.host.write()
    place.harvest()

    run = place.run(built)
    assert (run.silent, run.delivery_outcome) == (True, DeliveryOutcome.SUPPRESSED)


def test_of_two_runs_at_once_each_has_its_own_session_though_one_is_read_before_the_other_s_end(
    place: Place,
) -> None:
    job = place.host.job("digest")
    slow = place.host.agent_run(job, NINE, 60, stop_after=Stage.SESSION, session_lag_s=8)
    quick = place.host.agent_run(job, NINE + timedelta(seconds=4), 20, source="direct")
    place.host.write()
    place.harvest()
    place.host.advance(slow)
    place.host.write()
    place.harvest()

    assert quick.done
    assert place.differences() == {}


def test_a_clock_that_is_set_back_while_the_answer_is_delivered_makes_no_second_run(
    place: Place,
) -> None:
    built = place.host.agent_run(place.host.job("digest"), NINE, 60)
    place.host.write()
    place.sql(
        place.home.ledger, f"UPDATE executions SET finished_at = '{NINE - timedelta(minutes=5)}'"
    )
    place.harvest()

    assert place.differences(ignore=("ended_ns",)) == {}
    run = place.run(built)
    assert 59 < (run.ended_ns - run.started_ns) / NS < 60, "until the session's end"


# Rows still open.


@pytest.mark.parametrize("stage", [s for s in Stage if s is not Stage.FINISHED])
def test_a_run_is_final_only_when_the_host_has_written_all_of_it(
    place: Place, stage: Stage
) -> None:
    job = place.host.job("digest", deliver="telegram:-100")
    built = place.host.agent_run(job, NINE, cost=0.5, stop_after=stage)
    place.host.write()
    first = place.harvest()
    assert (first.new_runs, first.open_runs) == (0, 1)

    place.host.advance(built)
    place.host.write()
    second = place.harvest()
    assert (second.new_runs, second.open_runs) == (1, 0)
    assert place.differences() == {}


def test_a_run_whose_process_is_gone_is_abandoned(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "process_is_gone", lambda *_: True)
    built = place.host.agent_run(place.host.job("digest"), NINE, cost=0.5, stop_after=Stage.WORKED)
    place.host.write()
    place.harvest()

    run = place.run(built)
    assert (run.outcome, run.outcome_source) == (Outcome.ABANDONED, OutcomeSource.INFERRED)
    assert run.cost_usd == pytest.approx(0.5)
    assert run.ended_ns <= built.expected.ended_ns  # its last message: nothing later is known


def test_a_run_that_ends_between_the_two_looks_at_its_process_is_no_victim(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = place.host.agent_run(place.host.job("digest"), NINE, stop_after=Stage.WORKED)
    place.host.write()

    def ends_meanwhile(*_: object) -> bool:
        place.host.advance(built)
        place.host.write()
        return True

    monkeypatch.setattr(waiting, "process_is_gone", ends_meanwhile)
    place.harvest()

    assert place.differences() == {}


def test_after_a_restart_of_the_machine_an_open_run_waits_a_while(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner may be another machine that shares the home."""
    monkeypatch.setattr(waiting, "booted_since", lambda _: True)
    built = place.host.agent_run(place.host.job("digest"), NINE, stop_after=Stage.WORKED)
    place.host.write()
    assert place.harvest().new_runs == 0
    place.now += timedelta(minutes=9)
    assert place.harvest().new_runs == 0
    place.now += timedelta(minutes=2)
    assert place.harvest().new_runs == 1
    assert place.run(built).outcome is Outcome.ABANDONED


def test_an_old_session_that_ended_without_its_execution_waits_and_goes_alone(
    place: Place,
) -> None:
    """Its row in the ledger never comes: the host could not write it."""
    job = place.host.job("digest")
    place.host.agent_run(job, NINE)
    built = place.host.agent_run(job, NINE + timedelta(hours=1), ledger=False)
    place.host.write()
    place.now = NINE + timedelta(hours=1, seconds=30)
    assert place.harvest().new_runs == 1
    place.now += timedelta(minutes=2)
    assert place.harvest().new_runs == 1
    assert place.run(built).execution_id is None


# Pruning, VACUUM, other shapes.


def test_runs_whose_rows_the_ledger_has_pruned_come_from_their_sessions(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    for n in range(6):
        place.host.agent_run(job, NINE + timedelta(minutes=31 * n))
    place.host.prune_ledger(keep=2)
    place.harvest()

    runs = place.runs()
    assert len(runs) == 6
    assert sum(run.execution_id is not None for run in runs.values()) == 2


def test_what_is_final_stays_when_the_host_forgets_it(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    for n in range(4):
        place.host.agent_run(job, NINE + timedelta(minutes=31 * n))
    place.host.write()
    place.harvest()
    before = place.runs()
    place.host.prune_ledger(keep=1)
    place.host.prune_sessions(NINE + timedelta(hours=1))

    for full in (False, True):
        assert place.harvest(full=full).new_runs == 0
        assert place.runs() == before


def test_a_vacuum_between_two_looks_changes_nothing(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    for n in range(4):
        place.host.agent_run(job, NINE + timedelta(minutes=31 * n))
    place.host.write()
    place.harvest()
    place.host.prune_sessions(NINE + timedelta(minutes=46))
    place.host.prune_ledger(keep=2)
    place.sql(place.host.disk.state_db, "VACUUM")
    place.sql(place.host.disk.ledger_db, "VACUUM")
    for n in range(4, 7):
        place.host.agent_run(job, NINE + timedelta(minutes=31 * n))
    place.host.write()

    assert place.harvest().new_runs == 3
    assert place.differences() == {}


def test_sessions_that_are_deleted_while_they_are_open_are_no_longer_waited_for(
    place: Place,
) -> None:
    built = place.host.agent_run(place.host.job("digest"), NINE, stop_after=Stage.WORKED)
    place.host.write()
    place.harvest()
    place.sql(place.host.disk.state_db, "DELETE FROM messages; DELETE FROM sessions")
    place.host.advance(built)
    place.host.write()
    place.harvest()

    with place.journal() as journal:
        assert (
            journal.open_rows.first_seen_ns(OpenKind.SESSION),
            journal.open_rows.first_seen_ns(OpenKind.EXECUTION),
        ) == ({}, {})
    assert place.run(built).session_id is None


OLD = Shape(
    without_tables=frozenset({"session_model_usage"}),
    without_columns={"sessions": ("profile_name", "title", "api_call_count")},
)
NEW = Shape(
    extra_columns={
        "sessions": {"surprise": "TEXT"},
        "executions": {
            "delivery_outcome": "TEXT",
            "scheduled_instant": "TEXT",
            "handoff_at": "TEXT",
        },
    }
)


@pytest.mark.parametrize("jobs_shape", ["object", "list", "mapping"])
@pytest.mark.parametrize("shape", [OLD, NEW])
def test_homes_of_other_versions_are_read(tmp_path: Path, shape: Shape, jobs_shape: str) -> None:
    place = Place(tmp_path / "home", shape=shape, jobs_shape=jobs_shape)
    job = place.host.job("digest", schedule={"kind": "interval", "minutes": 30, "display": "x"})
    place.host.agent_run(job, NINE, cost=0.5, subagents=[Subagent(cost=0.25)])
    place.host.script_run(place.host.job("disk", no_agent=True), NINE + timedelta(hours=1))
    place.host.write()
    result = place.harvest()

    assert result.problems == []
    assert place.differences(ignore=("api_calls",)) == {}
    counted = {str(run.mode): run.api_calls for run in place.runs().values()}
    assert counted == {
        "agent": None if shape is OLD else place.host.expected[0].api_calls,
        "script": None,
    }


def test_of_a_newer_schema_only_the_columns_that_we_read_must_be_there(place: Place) -> None:
    """Everything else is renamed, and there are columns and tables that nobody has heard of."""
    everything(place.host)
    place.host.write()
    ours = {
        "sessions": set(SessionColumns._fields),
        "messages": {"id", "session_id", "role", "timestamp", "content", "active", "compacted"},
        "executions": set(ExecutionColumns._fields),
    }
    for path in (place.home.state_db, place.home.ledger):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA legacy_alter_table = ON")
            for (trigger,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            for table, columns in table_columns(connection).items():
                for name, *_ in columns if table in ours else ():
                    if name not in ours[table]:
                        connection.execute(
                            f"ALTER TABLE {table} RENAME COLUMN {name} TO new_{name}"
                        )
                connection.execute(f"ALTER TABLE {table} ADD COLUMN of_the_future TEXT")
            connection.execute("CREATE TABLE of_the_future (x)")
    result = place.harvest()

    assert place.differences() == {}
    assert result.problems == []


def test_a_newer_host_s_words_on_delivery_and_due_time_are_taken(tmp_path: Path) -> None:
    place = Place(tmp_path / "home", shape=NEW)
    due = (NINE - timedelta(seconds=40)).isoformat()
    built = place.host.agent_run(
        place.host.job("digest", deliver="telegram"), NINE,
        ledger_columns={"delivery_outcome": "queued", "scheduled_instant": due},
    )  # fmt: skip
    place.host.write()
    place.harvest()

    run = place.run(built)
    assert run.delivery_outcome is DeliveryOutcome.QUEUED
    assert run.lateness_s == pytest.approx(40)


def test_a_profile_s_home_gives_its_name_to_its_runs(tmp_path: Path) -> None:
    place = Place(tmp_path / "profiles" / "work")
    built = place.host.agent_run(place.host.job("digest"), NINE)
    place.host.write()
    place.harvest()
    assert place.run(built).profile == "work"


# Doing nothing, and doing it again.


def test_an_empty_home_has_no_runs_and_no_problems(tmp_path: Path) -> None:
    place = Place(tmp_path / "home")
    result = place.harvest()
    assert (result.new_runs, result.open_runs, result.problems) == (0, 0, [])


def test_a_second_harvest_finds_nothing_and_neither_does_a_full_one(place: Place) -> None:
    everything(place.host)
    place.host.write()
    place.harvest()
    before = place.runs()
    for full in (False, True, True):
        assert place.harvest(full=full).new_runs == 0
    assert place.runs() == before


def test_a_full_harvest_into_a_new_journal_gives_the_same_runs(place: Place) -> None:
    everything(place.host)
    place.host.write()
    place.harvest()
    before = place.runs()
    place.home.journal.unlink()
    place.harvest()
    assert place.runs() == before


def test_an_unchanged_home_is_not_opened_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fingerprint says so; a change within the clock's tick is never taken for none."""
    place.host.agent_run(place.host.job("digest"), NINE)
    place.host.write()
    past = datetime.now(UTC) - timedelta(minutes=5)
    import os

    for path in (place.home.path / "cron").rglob("*"):
        os.utime(path, (past.timestamp(), past.timestamp()))
    for path in place.home.path.glob("state.db*"):
        os.utime(path, (past.timestamp(), past.timestamp()))
    place.harvest()
    opened: list[Path] = []
    monkeypatch.setattr(changes, "reading", _recording(opened))
    assert place.harvest().new_runs == 0
    assert opened == []
    place.harvest(full=True)
    assert opened


def _recording(opened: list[Path]) -> Callable[[Path], object]:
    from cronalytics_otel.host.sqlite import reading

    def record(path: Path) -> object:
        opened.append(path)
        return reading(path)

    return record


def test_stopping_between_chunks_keeps_what_was_done(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cronalytics_otel.host.state_db.CHUNK", 3)
    job = place.host.job("digest", every_minutes=30)
    for n in range(10):
        place.host.agent_run(job, NINE + timedelta(minutes=31 * n))
    place.host.write()

    class StopError(Exception):
        pass

    def stop_later(calls: Iterator[int]) -> Callable[[], None]:
        def between() -> None:
            if next(calls) == 1:
                raise StopError

        return between

    with place.journal() as journal, pytest.raises(StopError):
        harvest(
            place.home, journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(place.now),
            between_chunks=stop_later(iter(range(99))),
        )  # fmt: skip
    assert 0 < len(place.runs()) < 10
    place.harvest()
    assert place.differences() == {}


def test_a_home_with_chats_only_has_no_runs(place: Place) -> None:
    place.host.session("20260504_090000_abcdef", NINE, ended_at=NINE.timestamp() + 5)
    place.host.session("cron_like_name", NINE)
    place.host.write()
    assert place.harvest().new_runs == 0


@pytest.mark.parametrize(
    ("cost_status", "known"),
    [("estimated", CostStatus.PARTIAL), ("included", CostStatus.INCLUDED)],
)
def test_the_summary_at_the_turn_limit_is_in_no_price(
    place: Place, cost_status: str, known: CostStatus
) -> None:
    job = place.host.job("digest", every_minutes=30)
    limited = place.host.agent_run(
        job, NINE, outcome="turn_limit", tools=["search"], cost=0.5, cost_status=cost_status
    )
    place.host.write()
    place.harvest()

    assert (place.run(limited).cost_usd, place.run(limited).cost_status) == (0.5, known)


def test_an_unknown_cost_stays_unknown_and_a_mixed_one_is_partial(place: Place) -> None:
    job = place.host.job("digest", every_minutes=30)
    unknown = place.host.agent_run(job, NINE)
    partial = place.host.agent_run(
        job, NINE + timedelta(minutes=30), cost=0.5, subagents=[Subagent()]
    )
    place.host.write()
    place.harvest()

    assert (place.run(unknown).cost_usd, place.run(unknown).cost_status) == (
        None,
        CostStatus.UNKNOWN,
    )
    assert place.run(partial).cost_usd == pytest.approx(0.5)
    assert place.run(partial).cost_status is CostStatus.PARTIAL


def test_progress_counts_up_to_the_number_of_new_runs(place: Place) -> None:
    everything(place.host)
    place.host.write()
    counts: list[int] = []
    with place.journal() as journal:
        result = harvest(
            place.home, journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(place.now),
            progress=counts.append,
        )  # fmt: skip
    assert counts == sorted(counts)
    assert counts[-1] == result.new_runs


def test_times_of_the_journal_are_in_nanoseconds() -> None:
    assert waiting.UNMATCHED_GRACE_NS == 60 * NS
