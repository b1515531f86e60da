"""A home read in bits gives what one look at the end gives, whatever is written in between."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cronalytics_otel.harvest import harvest
from cronalytics_otel.harvest import readiness as waiting
from cronalytics_otel.harvest.job_history import JobsSnapshot
from cronalytics_otel.host.home import Home
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.filters import RunFilter
from cronalytics_otel.model import Outcome, Run
from cronalytics_otel.model.times import Zone
from tests.support.homes import BuiltRun, HomeBuilder, Stage, Subagent, epoch_ns

NINE = datetime(2026, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)
STEP = timedelta(minutes=7)
LONGER_THAN_ANY_GRACE = timedelta(minutes=20)

ENDINGS = ["success", "silent", "failure", "empty", "timeout", "turn_limit", "abandoned"]
SCRIPT_ENDINGS = ["success", "silent", "failure"]


class StopError(Exception):
    """A sync that was cut off in its middle."""


def _of_all_times(run: Run) -> Run:
    """Without what only a look at the right moment tells: jobs.json has the latest run's delivery,
    the next run's due time, and no one-shot that is over."""
    return replace(
        run, delivery_outcome=None, delivery_error=None, delivery_target=None, scheduled_ns=None,
        trigger=None, schedule_kind=None, schedule_expression=None, schedule_timezone=None,
    )  # fmt: skip


class HarvestMachine(RuleBasedStateMachine):
    """The host writes, forgets and tidies up; we look whenever we like."""

    with_ledger = True

    @initialize(chunk=st.sampled_from([1, 2, 2_000]))
    def begin(self, chunk: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="harvest-"))
        self.context = contextlib.ExitStack()
        patch = self.context.enter_context(pytest.MonkeyPatch.context())
        # Stands in for the machine: the builder's pids are of no process here.
        patch.setattr(waiting, "process_is_gone", lambda *_: False)
        patch.setattr(waiting, "booted_since", lambda _: False)
        patch.setattr("cronalytics_otel.host.state_db.CHUNK", chunk)
        self.host = HomeBuilder(
            self.folder / "home", with_ledger=self.with_ledger, system_prompt_bytes=10
        )
        self.home = Home(self.folder / "home")
        self.jobs = [
            self.host.job("digest", every_minutes=5, created=NINE - timedelta(minutes=5)),
            self.host.job("other", cron="*/7 * * * *", created=NINE - timedelta(minutes=5)),
        ]
        self.script = self.host.job("disk", every_minutes=5, no_agent=True, created=NINE)
        self.gated = self.host.job("gate", script="gate.py", every_minutes=5, created=NINE)
        self.clock = NINE
        self.chats = 0
        self.host_forgot = False
        self.going: list[BuiltRun] = []
        self.final: dict[str, Run] = {}
        self.host.write()

    def teardown(self) -> None:
        if hasattr(self, "context"):
            self.context.close()
            shutil.rmtree(self.folder)

    # The host.

    @rule(
        job=st.integers(0, 1), outcome=st.sampled_from(ENDINGS), children=st.integers(0, 1),
        stage=st.sampled_from([*Stage, *[Stage.FINISHED] * 8]),
    )  # fmt: skip
    def an_agent_runs(self, job: int, outcome: str, children: int, stage: Stage) -> None:
        busy = {run.expected.job_id for run in self.going}
        if self.jobs[job] in busy or self._must_wait():
            return  # the host does not run a job twice at once
        if outcome == "abandoned" and not self.with_ledger:
            return  # it is known by its silence alone, a day later
        self.clock += STEP
        self._started(
            self.host.agent_run(
                self.jobs[job], self.clock, outcome=outcome,  # type: ignore[arg-type]
                subagents=[Subagent(cost=0.1)] * children, cost=0.5, stop_after=stage,
            )
        )  # fmt: skip

    @rule(outcome=st.sampled_from(SCRIPT_ENDINGS), stage=st.sampled_from(Stage))
    def a_script_runs(self, outcome: str, stage: Stage) -> None:
        if self._must_wait():
            return
        self.clock += STEP
        self._started(
            self.host.script_run(self.script, self.clock, outcome=outcome, stop_after=stage)  # type: ignore[arg-type]
        )

    @rule(agent_first=st.booleans())
    def a_gate_says_no(self, agent_first: bool) -> None:
        """Perhaps within the minute after the same job's agent had its say."""
        if self._must_wait():
            return
        self.clock += STEP
        if agent_first:
            self._started(self.host.agent_run(self.gated, self.clock, cost=0.5))
            self.clock += timedelta(seconds=31)
        self._started(self.host.gated_run(self.gated, self.clock))

    @rule(stage=st.sampled_from(Stage))
    def a_one_shot_runs(self, stage: Stage) -> None:
        if self._must_wait():
            return
        self.clock += STEP
        job = self.host.job("reminder", once_at=self.clock, created=self.clock - STEP)
        self._started(self.host.agent_run(job, self.clock, stop_after=stage))

    def _must_wait(self) -> bool:
        """Without a ledger, only patience tells that a run is over: no other delays it here."""
        return bool(self.going) and not self.with_ledger

    def _started(self, run: BuiltRun) -> None:
        self.host.write()
        if not run.done:
            self.going.append(run)

    @precondition(lambda self: self.going)
    @rule(which=st.integers(0, 9), to=st.sampled_from([*Stage, Stage.FINISHED]))
    def a_run_goes_on(self, which: int, to: Stage) -> None:
        run = self.going[which % len(self.going)]
        if to <= run.stop_after:
            return
        self.host.advance(run, to)
        self.host.write()
        if run.done:
            self.going.remove(run)

    @rule()
    def the_host_vacuums(self) -> None:
        paths = [self.host.disk.state_db] + [self.host.disk.ledger_db] * self.with_ledger
        for path in paths:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("VACUUM")

    @rule()
    def somebody_chats(self) -> None:
        self.chats += 1
        self.host.session(f"chat {self.chats}", self.clock)
        self.host.write()

    # We.

    @rule(full=st.booleans(), wait=st.booleans())
    def we_look(self, full: bool, wait: bool) -> None:
        self._harvest(full=full, wait=wait)

    @rule(after=st.integers(0, 3))
    def we_are_cut_off(self, after: int) -> None:
        calls = iter(range(100))

        def between() -> None:
            if next(calls) >= after:
                raise StopError

        with contextlib.suppress(StopError):
            self._harvest(between=between)

    @rule()
    def we_look_with_the_jobs_of_earlier(self) -> None:
        snapshot = JobsSnapshot(epoch_ns(self.clock), self.home.jobs.read_text())
        self._harvest(snapshots=(snapshot,))

    @rule(keep=st.integers(0, 3))
    def the_host_forgets_what_we_have_read(self, keep: int) -> None:
        """Only what is final with us: what was pruned before cannot be known."""
        if self.going or not self.with_ledger:
            return
        self._harvest(wait=True)
        self.host_forgot = True
        self.host.prune_ledger(keep=keep)
        self.host.prune_sessions(self.clock - STEP)

    def _harvest(
        self,
        *,
        full: bool = False,
        wait: bool = False,
        between: object = None,
        snapshots: tuple[JobsSnapshot, ...] = (),
    ) -> None:
        if not self.with_ledger and self.going:
            wait = False  # nothing but patience tells whether more of a run is to come
        now = self.clock + (LONGER_THAN_ANY_GRACE if wait else timedelta(seconds=21))
        with Journal.open(self.home.journal) as journal:
            harvest(
                self.home, journal, Zone(info=UTC, name="UTC"), now_ns=epoch_ns(now), full=full,
                snapshots=snapshots,
                between_chunks=between if callable(between) else lambda: None,
            )  # fmt: skip

    # What holds at any time.

    @invariant()
    def what_is_final_stays_as_it_is_and_is_true(self) -> None:
        if not hasattr(self, "home") or not self.home.journal.exists():
            return
        with Journal.open(self.home.journal) as journal:
            # Runs come here when the machine likes, not when they are due: what a host missed that
            # behaves like this is no question. See test_missed_year.py for one that keeps its rules.
            runs = [r for r in journal.queries.runs(RunFilter()) if r.outcome is not Outcome.MISSED]
        by_id = {run.run_id: run for run in runs}
        assert len(by_id) == len(runs), "a run is there twice"
        for run_id, run in self.final.items():
            assert by_id.get(run_id) == run, "a final run has changed or gone"
        truth = {e.execution_id or e.session_id: e for e in self.host.expected}
        for run_id, run in by_id.items():
            assert run_id in truth, f"{run_id} is no run that has ended"
            assert truth[run_id].differences(run, ignore=("trigger",)) == {}
        sessions = [run.session_id for run in runs if run.session_id]
        assert len(set(sessions)) == len(sessions), "a session is in two runs"
        self.final = by_id

    @rule()
    def in_the_end_every_run_is_there(self) -> None:
        if self.going:
            return
        self._harvest(wait=True)
        self.what_is_final_stays_as_it_is_and_is_true()
        truth = {e.execution_id or e.session_id for e in self.host.expected}
        assert set(self.final) == truth
        if not self.host_forgot:
            fresh = self._at_once()
            for run_id, run in self.final.items():
                assert _of_all_times(run) == _of_all_times(fresh[run_id])

    def _at_once(self) -> dict[str, Run]:
        """What one look at the end gives."""
        with Journal.open(self.folder / "fresh" / "journal.db") as journal:
            harvest(
                self.home, journal, Zone(info=UTC, name="UTC"),
                now_ns=epoch_ns(self.clock + LONGER_THAN_ANY_GRACE),
            )  # fmt: skip
            runs = journal.queries.runs(RunFilter())
        shutil.rmtree(self.folder / "fresh")
        return {run.run_id: run for run in runs}


class OlderHostMachine(HarvestMachine):
    """A host before 0.19: no ledger; sessions, and the output files of what has none. It may be
    brought up to date at any time, and has both then."""

    with_ledger = False

    @rule()
    def the_host_is_brought_up_to_date(self) -> None:
        if self.going or self.with_ledger:
            return
        self.with_ledger = self.host.disk.with_ledger = True
        self.host.write()


SETTINGS = settings(
    max_examples=settings().max_examples // 5, stateful_step_count=15,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
TestHarvest = HarvestMachine.TestCase
TestHarvest.settings = SETTINGS
TestOlderHost = OlderHostMachine.TestCase
TestOlderHost.settings = SETTINGS
