"""Findings: what counts as wrong, since when, and what is new since the last time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.insight.findings import (
    Finding,
    FindingKind,
    concerns,
    is_of_other_job,
    new_findings,
    remember_findings,
)
from cronalytics_otel.insight.health import HealthInput, read_health
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.insight.remedies import remedy_for
from cronalytics_otel.insight.usual import is_hung
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS, PROBLEMS, SOURCES
from cronalytics_otel.model import (
    DeliveryOutcome,
    DestinationFault,
    Execution,
    Job,
    Mode,
    Outcome,
    OutcomeSource,
    Run,
    RunningRun,
    Schedule,
    ScheduleKind,
    Source,
    Trigger,
)
from tests.support.cli import DAY, HOUR, MINUTE, NOW_NS, SECOND

JOB = Job(
    job_id="j1",
    name="digest",
    mode=Mode.AGENT,
    schedule=Schedule(kind=ScheduleKind.CRON, expression="0 * * * *", cron="0 * * * *"),
    next_run_ns=NOW_NS + HOUR,
)
OTHER = replace(JOB, job_id="j2", name="backup")
WELL = Run(
    profile="default",
    job_id="j1",
    job_name="digest",
    mode=Mode.AGENT,
    started_ns=NOW_NS - HOUR,
    ended_ns=NOW_NS - HOUR + 10 * SECOND,
    outcome=Outcome.SUCCESS,
    outcome_source=OutcomeSource.LEDGER,
    execution_id="e",
    trigger=Trigger.SCHEDULE,
    scheduled_ns=NOW_NS - HOUR - 5 * SECOND,
)
FAILED = replace(WELL, outcome=Outcome.FAILURE, error_message="HTTP 401: wrong key\nask the owner")


class Home:
    """A journal that a sync has just brought up to date, with one job that is well."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.set(CURRENT_JOBS, (JOB,))
        self.set(LAST_SYNC_NS, NOW_NS - MINUTE)
        self._ids = iter(range(10_000))

    def set(self, fact: Any, value: object) -> None:
        self.journal.facts.set(fact, value)

    def ran(self, *runs: Run) -> None:
        """The runs, an hour apart unless they have other times, oldest first."""
        with self.journal.atomic():
            self.journal.runs.add(
                [replace(run, execution_id=f"{next(self._ids):032x}") for run in runs], NOW_NS
            )

    def findings(self, **given: Any) -> list[Finding]:
        return list(read_health(self.journal, HealthInput(now_ns=NOW_NS, **given)))

    def new(self, findings: list[Finding]) -> int:
        """How many of them are new."""
        return len(new_findings([self._profile], [("default", finding) for finding in findings]))

    def remember(self, shown: list[Finding]) -> None:
        remember_findings(
            self._profile,
            [("default", finding) for finding in self.findings()],
            [("default", finding) for finding in shown],
        )

    @property
    def _profile(self) -> Profile:
        return Profile("default", self.journal)

    def kinds(self, **given: Any) -> list[str]:
        return [str(finding.kind) for finding in self.findings(**given)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with Journal.open(tmp_path / "journal.db") as journal:
        yield Home(journal)


def ago(run: Run, age_ns: int) -> Run:
    return replace(
        run,
        started_ns=NOW_NS - age_ns,
        ended_ns=NOW_NS - age_ns + 10 * SECOND,
        scheduled_ns=NOW_NS - age_ns - 5 * SECOND,
    )


def test_nothing_is_found_where_all_is_well(home: Home) -> None:
    home.ran(WELL)

    assert home.findings() == []


# Failures.


def test_a_job_whose_last_run_failed_is_failing_with_its_error_and_where_to_look(
    home: Home,
) -> None:
    home.ran(ago(WELL, 3 * HOUR), ago(FAILED, 2 * HOUR))

    (finding,) = home.findings()

    assert (finding.kind, finding.job_id, finding.subject) == (FindingKind.FAILING, "j1", "digest")
    assert finding.text == "failed: HTTP 401: wrong key"
    assert finding.advice.startswith("`trace 0")
    assert finding.since_ns == NOW_NS - 2 * HOUR + 10 * SECOND


@pytest.mark.parametrize(
    ("failures", "kind"),
    [(1, "failing"), (2, "failing"), (3, "failing_in_a_row"), (30, "failing_in_a_row")],
)
def test_three_failures_in_a_row_are_worse_than_two(home: Home, failures: int, kind: str) -> None:
    home.ran(ago(WELL, 40 * HOUR), *(ago(FAILED, (failures - n) * HOUR) for n in range(failures)))

    (finding,) = home.findings()

    assert finding.kind == kind
    assert finding.since_ns == NOW_NS - failures * HOUR + 10 * SECOND
    if failures > 1:
        assert finding.text.startswith(f"failed {failures} times in a row: HTTP 401")


def test_a_skipped_run_neither_mends_a_job_nor_breaks_it(home: Home) -> None:
    skipped = replace(WELL, outcome=Outcome.SKIPPED)
    home.ran(ago(FAILED, 3 * HOUR), ago(skipped, 2 * HOUR))
    failing = home.kinds()
    home.ran(ago(WELL, HOUR), ago(skipped, MINUTE))

    assert (failing, home.kinds()) == (["failing"], [])


def test_a_success_ends_it_and_a_missed_run_does_not(home: Home) -> None:
    missed = replace(ago(FAILED, 30 * HOUR), outcome=Outcome.MISSED, missed_count=1)
    home.ran(ago(FAILED, 40 * HOUR), missed)
    failing = home.kinds()
    home.ran(WELL)

    assert (failing, home.kinds()) == (["failing"], [])


@pytest.mark.parametrize("jobs", [(), (replace(JOB, enabled=False),)], ids=["gone", "paused"])
def test_a_job_that_is_gone_or_switched_off_is_no_concern(
    home: Home, jobs: tuple[Job, ...]
) -> None:
    home.set(CURRENT_JOBS, jobs)
    missed = replace(ago(FAILED, 2 * HOUR), outcome=Outcome.MISSED)
    home.ran(missed, FAILED)

    assert home.findings() == []


def test_a_failed_script_shows_the_last_line_of_its_stderr(home: Home) -> None:
    message = "Script exited with code 3\nstderr:\nTraceback\n  File x\nKeyError: 'token'\n"
    home.ran(replace(FAILED, mode=Mode.SCRIPT, error_message=message))

    (finding,) = home.findings()

    assert finding.text == "failed: Script exited with code 3: KeyError: 'token'"


def test_a_failure_without_a_text_shows_its_outcome(home: Home) -> None:
    home.ran(replace(FAILED, outcome=Outcome.TIMEOUT, error_message=None))

    assert home.findings()[0].text == "failed: timeout"


# What went on in a run that did not fail.


def test_a_script_that_failed_before_the_agent_is_found_although_the_run_succeeded(
    home: Home,
) -> None:
    home.ran(replace(WELL, script_exit_code=2))

    (finding,) = home.findings()

    assert finding.kind is FindingKind.SCRIPT_ERROR
    assert finding.text == ("its script exited with code 2, and the run went on without its data")


def test_an_answer_that_was_not_delivered_is_found_until_the_next_run(home: Home) -> None:
    lost = replace(
        WELL,
        delivery_outcome=DeliveryOutcome.FAILED,
        delivery_target="telegram",
        delivery_error="chat not found",
    )
    home.ran(ago(lost, 2 * HOUR))
    found = home.findings()
    home.ran(WELL)

    assert [finding.text for finding in found] == [
        "its last answer could not be delivered to telegram: chat not found"
    ]
    assert home.findings() == []


@pytest.mark.parametrize(
    ("late_s", "trigger", "kinds"),
    [
        (599, Trigger.SCHEDULE, []),
        (600, Trigger.SCHEDULE, ["late"]),
        (600, Trigger.CATCH_UP, ["late"]),
        (600, None, ["late"]),
        (600, Trigger.MANUAL, []),
    ],
)
def test_a_run_is_late_from_ten_minutes_on_unless_a_person_started_it(
    home: Home, late_s: int, trigger: Trigger | None, kinds: list[str]
) -> None:
    home.ran(replace(WELL, scheduled_ns=WELL.started_ns - late_s * SECOND, trigger=trigger))

    assert home.kinds() == kinds


@pytest.mark.parametrize(("age_ns", "kinds"), [(DAY - HOUR, ["missed"]), (DAY + HOUR, [])])
def test_what_was_missed_is_found_for_a_day(home: Home, age_ns: int, kinds: list[str]) -> None:
    missed = replace(ago(WELL, age_ns), outcome=Outcome.MISSED, missed_count=7)
    home.ran(missed, WELL)

    found = home.findings()

    assert [finding.kind for finding in found] == kinds
    assert all(f.text == "did not run 7 times when it was due" for f in found)


def test_a_run_over_its_budget_is_found_for_a_day(home: Home) -> None:
    costly = replace(WELL, over_budget=True, cost_usd=3.5)
    home.ran(ago(costly, 25 * HOUR), ago(costly, 3 * HOUR), replace(WELL, over_budget=False))

    (finding,) = home.findings()

    assert finding.kind is FindingKind.OVER_BUDGET
    assert (
        finding.text == "1 run of the last 24 hours cost more than the budget of a run, up to $3.50"
    )


# Runs that are going on.


def running(age_ns: int, *, gone: bool = False, job_id: str = "j1") -> RunningRun:
    execution = Execution(
        execution_id="open",
        job_id=job_id,
        source="builtin",
        status="running",
        claimed_ns=NOW_NS - age_ns,
        started_ns=NOW_NS - age_ns,
        finished_ns=None,
        error=None,
        pid=4711,
        process_started_at=1,
        delivery_outcome=None,
        scheduled_ns=None,
    )
    return RunningRun(execution=execution, process_is_gone=gone)


def lasting(minutes: int, age_ns: int) -> Run:
    return replace(
        ago(WELL, age_ns), ended_ns=NOW_NS - age_ns + minutes * MINUTE, scheduled_ns=None
    )


def test_a_run_hangs_when_it_takes_three_times_its_jobs_95th_percentile(home: Home) -> None:
    home.ran(*(lasting(10, (n + 2) * HOUR) for n in range(20)))

    assert home.kinds(running=[running(30 * MINUTE)]) == []
    (finding,) = home.findings(running=[running(31 * MINUTE)])
    assert finding.kind is FindingKind.HUNG
    assert finding.text == "has been running for 31 m 00 s, and usually takes 10 m 00 s"
    assert finding.advice == "see whether process 4711 still does something"


@pytest.mark.parametrize(
    ("elapsed_s", "usual_s", "hung"),
    [
        (599, 1.0, False),
        (600, 1.0, False),
        (601, 1.0, True),
        (900, 300.0, False),
        (901, 300.0, True),
        (6 * 3600, None, False),
        (6 * 3600 + 1, None, True),
    ],
)
def test_no_run_hangs_before_ten_minutes_nor_without_a_usual_time_before_six_hours(
    elapsed_s: float, usual_s: float | None, hung: bool
) -> None:
    assert is_hung(elapsed_s, usual_s) is hung


def test_gates_and_abandoned_runs_do_not_say_how_long_a_run_takes(home: Home) -> None:
    home.ran(
        *(replace(lasting(1, (n + 2) * HOUR), outcome=Outcome.SKIPPED) for n in range(20)),
        *(lasting(60, (n + 30) * HOUR) for n in range(5)),
        ago(WELL, HOUR),
    )

    assert home.kinds(running=[running(90 * MINUTE)]) == []


def test_a_run_whose_process_has_died_is_found_at_once(home: Home) -> None:
    home.ran(WELL)

    (finding,) = home.findings(running=[running(MINUTE, gone=True)])

    assert finding.text == "its process has died, and the run was never ended"
    assert finding.subject == "digest"


def test_an_open_row_whose_run_is_final_is_not_going_on(home: Home) -> None:
    """Hermes closes the row of a dead process only when a gateway starts."""
    with home.journal.atomic():
        home.journal.runs.add([replace(WELL, execution_id="open")], NOW_NS)

    assert home.kinds(running=[running(DAY, gone=True)]) == []


# The scheduler, and how fresh the journal is.


def due(job: Job, age_ns: int) -> Job:
    return replace(job, next_run_ns=NOW_NS - age_ns)


def test_a_job_is_overdue_while_others_run(home: Home) -> None:
    home.set(CURRENT_JOBS, (due(JOB, HOUR), OTHER))
    home.ran(replace(ago(WELL, 30 * MINUTE), job_id="j2"))

    (finding,) = home.findings()

    assert (finding.kind, finding.subject, finding.since_ns) == (
        FindingKind.OVERDUE,
        "digest",
        NOW_NS - HOUR,
    )


def test_the_scheduler_is_dead_when_nothing_has_started_since_a_job_was_due(home: Home) -> None:
    home.set(CURRENT_JOBS, (due(JOB, HOUR), due(OTHER, 30 * MINUTE)))
    home.ran(ago(WELL, 2 * HOUR), replace(ago(WELL, MINUTE), trigger=Trigger.MANUAL))

    (finding,) = home.findings()

    assert (finding.kind, finding.since_ns) == (FindingKind.SCHEDULER_DEAD, NOW_NS - HOUR)
    assert finding.text == "no job was started, although 2 jobs were due"


def test_a_run_that_is_going_on_shows_that_the_scheduler_is_alive(home: Home) -> None:
    home.set(CURRENT_JOBS, (due(JOB, HOUR), OTHER))
    home.ran(ago(WELL, 2 * HOUR))

    assert home.kinds(running=[running(5 * MINUTE, job_id="j2")]) == ["overdue"]


def test_a_scheduler_is_given_ten_minutes(home: Home) -> None:
    home.set(CURRENT_JOBS, (due(JOB, 9 * MINUTE),))
    home.ran(ago(WELL, 2 * HOUR))

    assert home.kinds() == ["overdue"]


def test_what_nobody_has_read_since_is_no_proof_against_a_job(home: Home) -> None:
    home.set(LAST_SYNC_NS, NOW_NS - 2 * HOUR)
    home.set(CURRENT_JOBS, (due(JOB, HOUR), due(OTHER, HOUR)))

    (finding,) = home.findings()

    assert (finding.kind, finding.since_ns) == (FindingKind.STALE_DATA, NOW_NS - 2 * HOUR)
    assert finding.text == "nothing was read although digest and 1 more should have run since"


@pytest.mark.parametrize(
    ("last_ns", "texts"),
    [
        (None, ["no sync has finished yet: nothing is known"]),
        (NOW_NS - DAY, []),
        (NOW_NS - DAY - MINUTE, ["nothing was read for 1 d 00 h"]),
    ],
)
def test_a_journal_is_stale_after_a_day_without_a_sync(
    home: Home, last_ns: int | None, texts: list[str]
) -> None:
    home.set(LAST_SYNC_NS, last_ns)

    assert [finding.text for finding in home.findings()] == texts


# Files, settings, destinations.


def test_a_file_that_cannot_be_read_is_found_once_by_its_name(home: Home) -> None:
    fault = "/h/cron/jobs.json is no valid JSON"
    faulty = Source(name="jobs", path="/h/cron/jobs.json", exists=True, fault=fault, changed_ns=1)
    home.set(SOURCES, (faulty, replace(faulty, name="ledger", path="/h/l", fault=None)))
    home.set(PROBLEMS, (f"{fault}: half-written files are read at the next sync", "rows are lost"))

    found = home.findings()

    assert [(f.kind, f.subject, f.text) for f in found] == [
        ("unreadable", None, "rows are lost"),
        ("unreadable", "jobs", fault),
    ]


def test_a_ledger_that_can_no_longer_be_read_is_found_before_a_sync_says_so(home: Home) -> None:
    assert home.kinds(ledger_fault="executions.db is locked") == ["unreadable"]


def test_each_problem_of_the_settings_is_a_finding(home: Home) -> None:
    assert home.kinds(config_problems=["max_age: unknown", "budgets: -1"]) == ["settings"] * 2


@pytest.fixture
def sending(home: Home) -> Home:
    home.journal.outbox.set_destinations({"default": "https://c.example"}, NOW_NS)
    home.ran(WELL)
    return home


def fail(home: Home, fault: DestinationFault | None = None) -> None:
    home.journal.outbox.failed(
        1, "503", now_ns=NOW_NS - HOUR, next_try_ns=NOW_NS, asked_to_wait=False, timed_out=False, fault=fault
    )  # fmt: skip


def test_runs_that_are_on_their_way_are_no_finding(sending: Home) -> None:
    assert sending.findings() == []


def test_a_destination_that_fails_is_found_while_it_is_in_use(sending: Home) -> None:
    fail(sending)
    failing = sending.findings()
    sending.journal.outbox.set_destinations({}, NOW_NS)

    assert [(f.kind, f.subject, f.since_ns) for f in failing] == [
        ("pending", "default", NOW_NS - HOUR)
    ]
    assert failing[0].text == "cannot be sent to: 503; 1 run pending"
    assert sending.findings() == []


def test_each_fault_of_a_destination_has_a_fix_of_its_own(sending: Home) -> None:
    advice = set()
    for fault in (*DestinationFault, None):
        fail(sending, fault)
        (finding,) = sending.findings()
        assert finding.advice.startswith(remedy_for(fault))
        assert "sent by itself once that is done" in finding.advice
        advice.add(finding.advice)

    assert len(advice) == len(DestinationFault) + 1


def test_runs_that_have_waited_for_an_hour_are_stuck(sending: Home) -> None:
    later = HealthInput(now_ns=NOW_NS + HOUR)
    too_late = HealthInput(now_ns=NOW_NS + HOUR + SECOND)

    assert read_health(sending.journal, later) == ()
    (finding,) = read_health(sending.journal, too_late)
    assert finding.text == "lacks 1 run, and has waited for 1 h 00 m"


def test_history_that_a_new_destination_gets_has_not_waited_since_it_ended(home: Home) -> None:
    home.ran(ago(WELL, 90 * DAY), WELL)
    home.journal.outbox.set_destinations({"new": "https://c.example"}, NOW_NS)

    assert home.findings() == []


def test_what_was_refused_is_found_with_the_most_frequent_reason(sending: Home) -> None:
    entries = sending.journal.outbox.take(1, 10, fresh_since_ns=0)
    sending.journal.outbox.refuse(1, entries, "400 Bad Request", NOW_NS)

    (finding,) = sending.findings()

    assert finding.text == "refused 1 run: 400 Bad Request"


# Order, and what is new.


def test_the_worst_comes_first_and_then_the_order_of_names(home: Home) -> None:
    home.set(CURRENT_JOBS, (JOB, OTHER, replace(JOB, job_id="j3", name="Audit")))
    for job_id in ("j1", "j2", "j3"):
        home.ran(*(replace(ago(FAILED, (n + 1) * HOUR), job_id=job_id) for n in range(1)))
    home.ran(*(replace(ago(FAILED, (n + 2) * HOUR), job_id="j1") for n in range(2)))

    found = home.findings(config_problems=["x"])

    assert [(str(f.kind), f.subject) for f in found] == [
        ("failing_in_a_row", "digest"),
        ("failing", "Audit"),
        ("failing", "backup"),
        ("settings", None),
    ]


def test_a_finding_is_new_until_it_was_remembered_and_again_after_it_was_gone(home: Home) -> None:
    home.ran(ago(FAILED, 5 * HOUR))
    first = home.findings()
    seen = [home.new(first)]
    home.remember(first)
    seen.append(home.new(home.findings()))
    home.ran(ago(FAILED, 4 * HOUR))  # still the same failure
    seen.append(home.new(home.findings()))
    home.ran(ago(FAILED, 3 * HOUR))  # three in a row are more than a failure
    seen.append(home.new(home.findings()))
    home.remember(home.findings())
    home.ran(ago(WELL, 2 * HOUR))
    home.remember(home.findings())
    home.ran(ago(FAILED, HOUR))
    seen.append(home.new(home.findings()))

    assert seen == [1, 0, 0, 1, 1]


def test_a_new_episode_is_new_also_if_nobody_looked_in_between(home: Home) -> None:
    home.ran(ago(FAILED, 5 * HOUR))
    home.remember(home.findings())
    home.ran(ago(WELL, 4 * HOUR), ago(FAILED, 3 * HOUR))

    assert home.new(home.findings()) == 1


def test_what_was_not_shown_is_still_new(home: Home) -> None:
    home.set(CURRENT_JOBS, (JOB, OTHER))
    home.ran(ago(FAILED, 5 * HOUR), replace(ago(FAILED, 5 * HOUR), job_id="j2"))

    home.remember([f for f in home.findings() if concerns(f, {"j1"})])

    assert [home.new([finding]) for finding in home.findings()] == [1, 0]


def test_what_concerns_a_job_is_its_own_and_what_keeps_every_job_from_running(home: Home) -> None:
    home.set(CURRENT_JOBS, (JOB, replace(OTHER, next_run_ns=NOW_NS - HOUR)))
    home.ran(ago(FAILED, 5 * HOUR), replace(ago(FAILED, 5 * HOUR), job_id="j2"))
    found = home.findings(config_problems=["`x` is no setting"])

    def subjects(*job_ids: str) -> list[tuple[str, str | None]]:
        return [(str(f.kind), f.subject) for f in found if concerns(f, set(job_ids))]

    assert subjects("j1") == [("scheduler_dead", None), ("failing", "digest")]
    assert subjects("j2") == [("scheduler_dead", None), ("failing", "backup")]
    assert [f for f in found if concerns(f, None)] == found
    assert [str(f.kind) for f in found if not is_of_other_job(f, {"j1"})] == [
        "scheduler_dead",
        "failing",
        "settings",
    ]
