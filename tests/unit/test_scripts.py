"""A run's script and what other jobs gave it: exit codes, times by the wall clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.domain import scripts
from cronalytics_otel.domain.outcome import RunEnd
from cronalytics_otel.model import (
    Execution,
    FedOutput,
    Feed,
    Job,
    Mode,
    ModelUsage,
    Outcome,
    OutcomeSource,
    Prompt,
    Session,
    Usage,
)
from cronalytics_otel.model.times import NS, ns_of

BERLIN = ZoneInfo("Europe/Berlin")
RAN = Prompt(script_ran=True)
FAILED = Prompt(script_ran=True, script_error="Script exited with code 3\nstderr:\nboom")
JOB = Job(job_id="j", name="j", mode=Mode.AGENT, schedule=None)


def utc(hour: int, minute: int, second: float = 0.0) -> int:
    """On 2026-10-25, when Berlin's clock goes from 03:00 back to 02:00, at 01:00 UTC."""
    return ns_of(datetime(2026, 10, 25, hour, minute, tzinfo=UTC)) + round(second * NS)


def execution(began_ns: int) -> Execution:
    return Execution(
        execution_id="e", job_id="j", source="builtin", status="completed", claimed_ns=began_ns,
        started_ns=began_ns, finished_ns=began_ns + 60 * NS, error=None, pid=1,
        process_started_at=1, delivery_outcome=None, scheduled_ns=None,
    )  # fmt: skip


def session(started_ns: int, stamp: str) -> Session:
    nothing = ModelUsage(
        model=None, provider=None, usage=Usage(), api_calls=0, cost_usd=None, cost_status=None
    )
    return Session(
        session_id=f"cron_j_{stamp}", job_id="j", parent_id=None, source="cron", is_subagent=False,
        started_ns=started_ns, ended_ns=None, title=None, tool_calls=0, spending=nothing,
        wall_clock=stamp.replace("_", ""),
    )  # fmt: skip


def ended(outcome: Outcome, error: str | None = None) -> RunEnd:
    return RunEnd(outcome=outcome, source=OutcomeSource.LEDGER, error_message=error)


@pytest.mark.parametrize(
    ("prompt", "outcome", "mode", "code"),
    [
        (RAN, ended(Outcome.SUCCESS), Mode.AGENT, 0),
        (RAN, ended(Outcome.FAILURE, "RuntimeError: HTTP 500"), Mode.AGENT, 0),
        (FAILED, ended(Outcome.FAILURE, "RuntimeError: HTTP 500"), Mode.AGENT, 3),
        (Prompt(script_ran=True, script_error="Script not found: /x"), ended(Outcome.FAILURE), Mode.AGENT, None),
        (None, ended(Outcome.SKIPPED), Mode.AGENT, 0),
        (None, ended(Outcome.SUCCESS), Mode.SCRIPT, 0),
        (None, ended(Outcome.FAILURE, "Script exited with code -9"), Mode.SCRIPT, -9),
        (None, ended(Outcome.TIMEOUT, "Script timed out after 5s: /x"), Mode.SCRIPT, None),
        (None, ended(Outcome.ABANDONED, "gone"), Mode.SCRIPT, None),
        (Prompt(), ended(Outcome.SUCCESS), Mode.AGENT, None),
        (None, ended(Outcome.SUCCESS), None, None),
    ],
)  # fmt: skip
def test_an_exit_code_is_what_the_host_tells_or_what_its_rules_leave(
    prompt: Prompt | None, outcome: RunEnd, mode: Mode | None, code: int | None
) -> None:
    assert scripts.exit_code(prompt, outcome, mode) == code


def test_the_script_was_done_when_the_session_was_named() -> None:
    began = utc(9, 0, 0.4)
    at = scripts.ended_ns(RAN, execution(began), session(utc(9, 1, 13), "20261025_100110"), BERLIN)
    assert at == utc(9, 1, 10)


def test_a_script_of_a_moment_did_not_end_before_it_began() -> None:
    began = utc(9, 0, 0.4)
    at = scripts.ended_ns(RAN, execution(began), session(utc(9, 0, 3), "20261025_100000"), BERLIN)
    assert at == began


@pytest.mark.parametrize("hour", [0, 1])
def test_in_the_hour_that_autumn_repeats_the_stamp_is_the_one_near_the_session(hour: int) -> None:
    """Both 00:30 and 01:30 UTC are 02:30 in Berlin."""
    from_session = session(utc(hour, 30, 22), "20261025_023020")
    assert scripts.ended_ns(RAN, execution(utc(hour, 30)), from_session, BERLIN) == utc(
        hour, 30, 20
    )


def test_a_stamp_that_is_not_within_the_run_tells_nothing() -> None:
    """The home's time zone was changed since."""
    from_session = session(utc(9, 1), "20261025_100010")
    assert scripts.ended_ns(RAN, execution(utc(9, 0)), from_session, BERLIN) == utc(9, 0, 10)
    assert scripts.ended_ns(RAN, execution(utc(9, 0)), from_session, ZoneInfo("UTC")) is None
    assert scripts.ended_ns(RAN, execution(utc(9, 0)), from_session, ZoneInfo("Asia/Tokyo")) is None


def test_without_a_script_or_a_known_start_there_is_no_end_of_a_script() -> None:
    from_session = session(utc(9, 1), "20261025_100010")
    assert scripts.ended_ns(Prompt(), execution(utc(9, 0)), from_session, BERLIN) is None
    assert scripts.ended_ns(None, execution(utc(9, 0)), from_session, BERLIN) is None
    assert scripts.ended_ns(RAN, None, from_session, BERLIN) is None
    assert scripts.ended_ns(RAN, execution(utc(9, 0)), None, BERLIN) is None


def test_an_output_was_saved_before_the_session_that_it_fed_began() -> None:
    """02:30 was twice: the second is still to come for a session at 00:45 UTC."""
    prompt = Prompt(fed=(FedOutput("a", "2026-10-25 02:30:00"), FedOutput("b", "2026-10-25 02:50:00")))  # fmt: skip
    early = scripts.fed_by(prompt, session(utc(0, 45), "20261025_024500"), BERLIN)
    assert early == (Feed(job_id="a", saved_ns=utc(0, 30)),)
    late = scripts.fed_by(prompt, session(utc(9, 0), "20261025_100000"), BERLIN)
    assert late == (Feed(job_id="a", saved_ns=utc(1, 30)), Feed(job_id="b", saved_ns=utc(1, 50)))
    assert scripts.fed_by(prompt, None, BERLIN) == ()


def test_a_job_without_a_script_has_none_whatever_it_was_fed() -> None:
    prompt = replace(FAILED, fed=(FedOutput("a", "2026-10-25 02:30:00"),))
    assert scripts.own_prompt(prompt, JOB) == Prompt(fed=prompt.fed)
    assert scripts.own_prompt(prompt, replace(JOB, has_script=True)) == prompt
    assert scripts.own_prompt(prompt, None) == prompt
    assert scripts.own_prompt(FAILED, JOB) == FAILED
