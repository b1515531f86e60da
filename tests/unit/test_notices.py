"""What the owner of the jobs is told of, and in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.domain.budgets import BudgetState, Period, Scope
from cronalytics_otel.domain.notices import (
    MAX_LINES,
    NoticeMessage,
    NoticeRules,
    Severity,
    message_of,
    notice_of_budget,
    notice_of_overdue,
    notice_of_start,
    notices_of_run,
)
from cronalytics_otel.model import (
    FAILED_RUNS,
    MESSAGE_EVENTS,
    PING_EVENTS,
    DueJob,
    Execution,
    JobPast,
    Notice,
    NoticeEvent,
    Outcome,
)
from tests.support.traces import a_run

ALL = NoticeRules(events=frozenset(MESSAGE_EVENTS))
PINGS = NoticeRules(events=frozenset(PING_EVENTS))
OK, BAD = Outcome.SUCCESS, Outcome.FAILURE


def told(
    outcome: Outcome,
    *before: Outcome,
    rules: NoticeRules = ALL,
    failed_since: bool = False,
    was_overdue: bool = False,
    **facts: object,
) -> dict[str, str]:
    """What a target is told of a run with this outcome; `before` are the earlier ones, newest first."""
    past = JobPast(outcomes=before, failed_since=failed_since, was_overdue=was_overdue)
    run = a_run(**{"error_message": None, "error_type": None, **facts, "outcome": outcome})
    return {notice.event.value: notice.text for notice in notices_of_run(run, past, rules)}


def only(*events: NoticeEvent, failing_after: int = 3) -> NoticeRules:
    return NoticeRules(events=frozenset(events), failing_after=failing_after)


# --- which events -------------------------------------------------------------------------------


def test_a_success_after_successes_is_no_news() -> None:
    assert told(OK, OK, OK) == {}


@pytest.mark.parametrize("outcome", sorted(FAILED_RUNS))
def test_each_way_to_fail_is_told(outcome: Outcome) -> None:
    assert list(told(outcome, OK)) == ["failed"]


def test_a_failure_is_told_with_its_error() -> None:
    assert told(BAD, error_message="HTTP 429: slow down\nmore") == {
        "failed": "failed: HTTP 429: slow down"
    }


def test_of_a_failed_script_the_last_line_of_its_stderr_is_told() -> None:
    error = "Script exited with code 3\nstderr:\nTraceback …\nKeyError: 'host'\nstdout:\nmy diary"

    assert told(BAD, error_message=error) == {
        "failed": "failed: Script exited with code 3: KeyError: 'host'"
    }


def test_a_failure_without_a_text_is_told_with_its_class() -> None:
    assert told(Outcome.TIMEOUT, error_type="timeout") == {"failed": "timed out: timeout"}


def test_the_third_failure_in_a_row_says_so_in_place_of_another_failure() -> None:
    assert told(BAD, BAD, BAD, OK) == {"failing": "failed 3 times in a row"}


def test_the_failures_before_and_after_the_third_are_single_ones() -> None:
    assert list(told(BAD, BAD, OK)) == ["failed"]
    assert list(told(BAD, BAD, BAD, BAD, OK)) == ["failed"]


def test_who_wants_rows_of_failures_only_hears_of_them_once() -> None:
    rules = only(NoticeEvent.FAILING, failing_after=2)
    rows = [told(BAD, *([BAD] * earlier), OK, rules=rules) for earlier in range(5)]

    assert [list(row) for row in rows] == [[], ["failing"], [], [], []]


def test_a_success_after_a_failure_is_a_recovery() -> None:
    assert list(told(OK, BAD, OK)) == ["recovered"]


def test_who_was_not_told_of_a_failure_is_not_told_of_the_recovery() -> None:
    rules = only(NoticeEvent.FAILING, NoticeEvent.RECOVERED)

    assert told(OK, BAD, BAD, OK, rules=rules) == {}
    assert list(told(OK, BAD, BAD, BAD, OK, rules=rules)) == ["recovered"]


def test_an_older_run_that_is_found_after_a_failure_is_no_recovery() -> None:
    assert told(OK, BAD, failed_since=True) == {}


def test_a_success_of_a_job_that_was_overdue_is_a_recovery() -> None:
    assert told(OK, OK, was_overdue=True) == {"recovered": "succeeded again after it was overdue"}


def test_a_skipped_run_is_neither_a_failure_nor_a_recovery() -> None:
    assert told(Outcome.SKIPPED, BAD) == {}


def test_a_missed_run_says_how_often_and_why() -> None:
    assert told(Outcome.MISSED, missed_count=4, scheduler_down=True) == {
        "missed": "was missed 4 times: the scheduler was down"
    }
    assert told(Outcome.MISSED, missed_count=1) == {"missed": "was missed"}


def test_a_run_over_its_budget_is_told_with_its_cost() -> None:
    assert told(OK, over_budget=True, cost_usd=1.234) == {
        "over_budget": "cost $1.23, more than the budget of a run"
    }


@pytest.mark.parametrize("over_budget", [None, False])
def test_without_a_budget_or_within_it_nothing_is_told(over_budget: bool | None) -> None:
    assert told(OK, over_budget=over_budget, cost_usd=9.0) == {}


def test_pings_say_how_each_run_ended_and_leave_missed_runs_to_the_check() -> None:
    ends = {outcome: list(told(outcome, rules=PINGS)) for outcome in Outcome}

    assert ends == (
        {outcome: ["failed"] for outcome in FAILED_RUNS}
        | {OK: ["succeeded"], Outcome.SKIPPED: ["succeeded"], Outcome.MISSED: []}
    )


@given(
    outcome=st.sampled_from(Outcome),
    before=st.lists(st.sampled_from([OK, BAD]), max_size=5),
    events=st.frozensets(st.sampled_from(MESSAGE_EVENTS), min_size=1),
)
def test_nothing_is_told_that_was_not_asked_for(
    outcome: Outcome, before: list[Outcome], events: frozenset[NoticeEvent]
) -> None:
    assert {*told(outcome, *before, rules=NoticeRules(events=events))} <= {*events}


# --- of which jobs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "is_told"), [((), True), (("0a1b",), True), (("digest",), True), (("other",), False)]
)
def test_jobs_are_named_by_id_or_name(jobs: tuple[str, ...], is_told: bool) -> None:
    rules = NoticeRules(
        events=frozenset(MESSAGE_EVENTS) | {NoticeEvent.STARTED}, jobs=frozenset(jobs)
    )
    due = DueJob(job_id="0a1b", job_name="digest", due_ns=7)

    assert bool(told(BAD, rules=rules, job_id="0a1b", job_name="digest")) is is_told
    assert (notice_of_overdue(due, rules) is not None) is is_told
    assert (notice_of_start(execution(5), "digest", rules) is not None) is is_told


def execution(started_ns: int | None) -> Execution:
    return Execution(
        execution_id="e1", job_id="0a1b", source="builtin", status="running", claimed_ns=1,
        started_ns=started_ns, finished_ns=None, error=None, pid=None, process_started_at=None,
        delivery_outcome=None, scheduled_ns=None,
    )  # fmt: skip


def test_a_run_that_waits_for_its_turn_has_not_started() -> None:
    assert notice_of_start(execution(None), "digest", PINGS) is None


# --- budgets ------------------------------------------------------------------------------------


def exceeded(job: str | None = None) -> BudgetState:
    return BudgetState(
        scope=Scope.ALL if job is None else Scope.JOB,
        period=Period.MONTH,
        limit_usd=50.0,
        job_id=job,
        job_name=job,
        used_usd=54.321,
        forecast_usd=None,
        over=True,
        forecast_over=None,
    )


def test_an_exceeded_budget_says_what_was_spent_and_what_may_be() -> None:
    found = notice_of_budget(exceeded(), 7, 9, ALL)

    assert found is not None
    assert message(found) == NoticeMessage(
        title="all jobs: budget exceeded",
        body="1970-01-01 00:00 all jobs cost $54.32 this month, more than the budget of $50.00",
        severity=Severity.WARNING,
    )


def test_a_budget_is_reported_anew_in_another_period() -> None:
    notices = [notice_of_budget(exceeded("digest"), start_ns, 9, ALL) for start_ns in (7, 7, 8)]
    keys = [each.key for each in notices if each is not None]

    assert keys == ["job:digest:month@7", "job:digest:month@7", "job:digest:month@8"]


def test_a_target_of_some_jobs_hears_of_their_budgets_alone() -> None:
    rules = NoticeRules(events=ALL.events, jobs=frozenset({"digest"}))

    assert notice_of_budget(exceeded("digest"), 7, 9, rules) is not None
    assert notice_of_budget(exceeded("backup"), 7, 9, rules) is None
    assert notice_of_budget(exceeded(), 7, 9, rules) is None
    assert notice_of_budget(exceeded(), 7, 9, only(NoticeEvent.FAILED)) is None


# --- messages -----------------------------------------------------------------------------------


def notice(event: NoticeEvent, job: str = "digest", text: str = "failed", at_s: int = 0) -> Notice:
    return Notice(
        event=event, key=f"{job}{at_s}", job_id=job, job_name=job, at_ns=at_s * 10**9, text=text
    )


def message(*notices: Notice, profile: str = "default") -> NoticeMessage:
    return message_of(notices, profile=profile, zone=UTC)


def test_one_notice_is_a_title_and_a_line() -> None:
    assert message(notice(NoticeEvent.FAILED, text="failed: HTTP 500")) == NoticeMessage(
        title="digest: run failed",
        body="1970-01-01 00:00 digest failed: HTTP 500",
        severity=Severity.FAILURE,
    )


def test_a_few_have_a_line_each_in_order_of_time() -> None:
    found = message(
        notice(NoticeEvent.RECOVERED, text="succeeded again", at_s=120),
        notice(NoticeEvent.FAILED, at_s=60),
    )

    assert found.title == "1 run failed, 1 job recovered"
    assert found.body.splitlines() == [
        "1970-01-01 00:01 digest failed",
        "1970-01-01 00:02 digest succeeded again",
    ]


def test_missed_runs_are_counted_as_often_as_the_job_was_due() -> None:
    def missed(times: int, at_s: int) -> Notice:
        one = notice(NoticeEvent.MISSED, "backup", f"was missed {times} times", at_s)
        return replace(one, occurrences=times)

    assert message(missed(3, 0)).title == "backup: 3 runs missed"
    assert message(missed(3, 0), notice(NoticeEvent.RECOVERED, at_s=60)).title == (
        "3 runs missed, 1 job recovered"
    )
    assert message(*(missed(300, n) for n in range(11))).body == "3,300 runs missed: backup (3,300)"


def test_many_are_counted_by_job() -> None:
    failed = [notice(NoticeEvent.FAILED, "backup", at_s=n) for n in range(8)]
    failed += [notice(NoticeEvent.FAILED, "digest", at_s=n) for n in range(4)]

    found = message(*failed)

    assert found.title == "12 runs failed"
    assert found.body == "12 runs failed: backup (8), digest (4)"


def test_many_jobs_are_not_all_named() -> None:
    found = message(*[notice(NoticeEvent.MISSED, f"job{n}") for n in range(MAX_LINES + 5)])

    assert found.body.endswith(" and 5 more")


def test_times_are_those_of_the_home() -> None:
    found = message_of([notice(NoticeEvent.FAILED)], profile="default", zone=ZoneInfo("Asia/Tokyo"))

    assert found.body.startswith("1970-01-01 09:00 ")


def test_another_profile_than_the_default_is_named() -> None:
    assert message(notice(NoticeEvent.FAILED), profile="work").title.endswith(" (work)")


@pytest.mark.parametrize(
    ("events", "severity"),
    [
        ([NoticeEvent.RECOVERED], Severity.SUCCESS),
        ([NoticeEvent.RECOVERED, NoticeEvent.OVER_BUDGET], Severity.WARNING),
        ([NoticeEvent.RECOVERED, NoticeEvent.OVER_BUDGET, NoticeEvent.OVERDUE], Severity.FAILURE),
    ],
)
def test_a_message_is_as_severe_as_its_worst_notice(
    events: list[NoticeEvent], severity: Severity
) -> None:
    assert message(*map(notice, events)).severity is severity
