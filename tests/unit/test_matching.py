"""Which session belongs to which execution, and what adds up to a run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cronalytics_otel.domain.assembly import assemble, name_beside
from cronalytics_otel.domain.evidence import Evidence
from cronalytics_otel.domain.matching import Matcher
from cronalytics_otel.domain.outcome import EMPTY_REPLY
from cronalytics_otel.domain.spending import total_cost
from cronalytics_otel.host.silence import asks_for_silence
from cronalytics_otel.model import (
    CostStatus,
    DeliveryOutcome,
    Execution,
    Job,
    LastMessage,
    Mode,
    ModelUsage,
    Outcome,
    OutcomeSource,
    Output,
    OutputStatus,
    Run,
    Schedule,
    ScheduleKind,
    Session,
    Trigger,
    Usage,
)
from cronalytics_otel.model.times import NS

T0 = 1_777_885_200
"""2026-05-04T09:00:00Z in seconds; the times below are seconds after it."""


def at(seconds: float) -> int:
    return T0 * NS + round(seconds * NS)


def execution(
    name: str, began: float, finished: float | None, *, job: str = "j", **columns: object
) -> Execution:
    row = Execution(
        execution_id=name, job_id=job, source="builtin",
        status="completed" if finished is not None else "running", claimed_ns=at(began - 0.004),
        started_ns=at(began), finished_ns=None if finished is None else at(finished), error=None,
        pid=None, process_started_at=None, delivery_outcome=None, scheduled_ns=None,
    )  # fmt: skip
    return replace(row, **columns)  # type: ignore[arg-type]


NOTHING = ModelUsage(
    model=None, provider=None, usage=Usage(), api_calls=0, cost_usd=None, cost_status=None
)


def session(
    name: str, began: float, ended: float | None, *, job: str | None = "j", **columns: object
) -> Session:
    row = Session(
        session_id=name, job_id=job, parent_id=None, is_subagent=False, source="cron", started_ns=at(began),
        ended_ns=None if ended is None else at(ended), title=None, tool_calls=0, model_usage=NOTHING,
        wall_clock="".join(name.split("_")[-2:]) if name.startswith("cron_") else None,
    )  # fmt: skip
    return row._replace(**columns)  # type: ignore[arg-type]


def pair(executions: Sequence[Execution], sessions: Sequence[Session]) -> dict[str, str]:
    """As the harvest does: by start in the order the sessions come, then by end what is left."""
    matcher = Matcher(executions, UTC)
    found: dict[str, str] = {}
    left = []
    for one in sessions:
        match = matcher.by_start(one)
        if match is None:
            left.append(one)
        else:
            found[one.session_id] = match.execution_id
    for one in left:
        match = matcher.by_end(one)
        if match is not None:
            found[one.session_id] = match.execution_id
    return found


# Pairing.


def test_a_session_belongs_to_the_execution_that_was_running_when_it_began() -> None:
    executions = [execution("e1", 0, 20), execution("e2", 60, 80), execution("e3", 120, 140)]
    sessions = [session("s3", 128, 139.9), session("s1", 2.5, 19.9)]

    assert pair(executions, sessions) == {"s1": "e1", "s3": "e3"}


def test_sessions_of_other_jobs_are_no_match() -> None:
    assert pair([execution("e1", 0, 20, job="a")], [session("s1", 2, 19, job="b")]) == {}


def test_an_execution_that_still_runs_has_its_session() -> None:
    assert pair([execution("e1", 0, None)], [session("s1", 2.5, None)]) == {"s1": "e1"}


def test_a_session_after_the_end_of_every_execution_has_none() -> None:
    assert pair([execution("e1", 0, 20)], [session("s1", 90, 100)]) == {}


def test_a_session_before_every_execution_has_none() -> None:
    assert pair([execution("e1", 600, 620)], [session("s1", 0, 10)]) == {}


def test_two_sessions_never_share_an_execution() -> None:
    found = pair([execution("e1", 0, 20)], [session("s1", 2, 19), session("s2", 3, 18)])
    assert len(found) == 1


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_executions_at_once_a_session_has_the_one_that_was_over_after_it(
    turned: bool,
) -> None:
    """A person's `hermes cron run` beside the scheduler's: each must get its own outcome."""
    executions = [execution("long", 0, 100), execution("short", 10, 40)]
    sessions = [session("of long", 12, 99.9), session("of short", 14, 39.9)]

    found = pair(executions, sessions[::-1] if turned else sessions)
    assert found == {"of long": "long", "of short": "short"}


def test_an_execution_without_a_session_does_not_take_that_of_the_next() -> None:
    """A gated run, and a second later the next one of the same job."""
    executions = [execution("gated", 0, 0.4), execution("next", 0.9, None)]
    assert pair(executions, [session("s", 1.2, None)]) == {"s": "next"}
    # The next one is not in what was read of the ledger yet.
    assert pair(executions[:1], [session("s", 1.2, 19)]) == {}


def test_a_clock_that_was_set_back_is_met_by_the_ends() -> None:
    """The claim was an hour later by the clock of then than the session's start."""
    executions = [execution("e1", 3600, 20), execution("e0", -7200, -7100)]
    assert pair(executions, [session("s1", 2, 19.9)]) == {"s1": "e1"}


def test_the_nearest_end_wins_when_clocks_were_set_back() -> None:
    executions = [execution("e1", 3600, 20), execution("e2", 3700, 26)]
    found = pair(executions, [session("s2", 9, 25.9), session("s1", 2, 19.9)])
    assert found == {"s1": "e1", "s2": "e2"}


def test_of_executions_that_overlap_a_session_is_of_none_that_began_after_its_agent_was_called() -> (
    None
):
    """Before the first one's session was written, the second had begun, and it is over."""
    executions = [execution("e1", 0, None), execution("e2", 4, 30)]
    called = "cron_j_20260504_090000"
    assert pair(executions, [session(called, 6, None)]) == {called: "e1"}
    ended = [replace(executions[0], finished_ns=at(40), status="failed"), executions[1]]
    assert pair(ended, [session(called, 6, None)]) == {called: "e1"}


def test_a_session_that_goes_on_is_of_an_execution_that_goes_on() -> None:
    """A script before the agent: both executions had begun when the agent was called."""
    executions = [execution("e1", 0, None), execution("e2", 4, 70)]
    called = "cron_j_20260504_090100"
    assert pair(executions, [session(called, 62, None)]) == {called: "e1"}


def test_a_time_zone_that_was_another_then_keeps_no_session_from_its_execution() -> None:
    executions = [execution("e1", 0, 30), execution("e2", 4, 40)]
    called = "cron_j_20260504_020000"
    assert pair(executions, [session(called, 6, 29)]) == {called: "e1"}


def test_a_session_that_has_not_ended_is_never_matched_by_its_end() -> None:
    assert Matcher([execution("e1", 3600, 20)], UTC).by_end(session("s1", 2, None)) is None


spans = st.tuples(st.integers(0, 400), st.integers(5, 60))
"""(pause before, duration) of runs of one job that follow one another."""


@given(
    st.lists(spans, min_size=1, max_size=8),
    st.data(),
    st.floats(0.05, 0.9),
)
def test_runs_one_after_the_other_are_paired_right_in_any_order(
    runs: list[tuple[int, int]], data: st.DataObject, lag: float
) -> None:
    """Some executions have no session, some are still at work, sessions come in any order."""
    executions, sessions, truth = [], [], {}
    clock = 0.0
    for n, (pause, duration) in enumerate(runs):
        clock += pause + 3
        last = n == len(runs) - 1
        running = last and data.draw(st.booleans(), label="still running")
        executions.append(execution(f"e{n}", clock, None if running else clock + duration))
        if data.draw(st.booleans(), label="has a session"):
            began = clock + duration * lag * 0.9
            ended = None if running else clock + duration - 0.006
            sessions.append(session(f"s{n}", began, ended))
            truth[f"s{n}"] = f"e{n}"
        clock += duration
    order = data.draw(st.permutations(executions)), data.draw(st.permutations(sessions))

    assert pair(*order) == truth


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30)), max_size=7), st.randoms())
def test_pairing_is_one_to_one_whatever_overlaps(
    runs: list[tuple[int, int]], order: random.Random
) -> None:
    executions = [execution(f"e{n}", b, b + d) for n, (b, d) in enumerate(runs)]
    sessions = [session(f"s{n}", b + d / 3, b + d) for n, (b, d) in enumerate(runs)]
    order.shuffle(executions)
    order.shuffle(sessions)

    found = pair(executions, sessions)
    assert len(set(found.values())) == len(found)


@given(
    st.lists(st.tuples(st.integers(0, 200), st.integers(15, 90)), min_size=1, max_size=6),
    st.randoms(),
)
def test_executions_that_overlap_are_paired_by_both_ends(
    runs: list[tuple[int, int]], order: random.Random
) -> None:
    """Ends at least ten seconds apart: each session ends just before its own execution does."""
    ends = sorted(b + d for b, d in runs)
    assume(all(later - sooner > 10 for sooner, later in pairwise(ends)))
    executions = [execution(f"e{n}", b, b + d) for n, (b, d) in enumerate(runs)]
    sessions = [session(f"s{n}", b + 8, b + d - 0.006) for n, (b, d) in enumerate(runs)]
    order.shuffle(executions)
    order.shuffle(sessions)

    assert pair(executions, sessions) == {f"s{n}": f"e{n}" for n in range(len(runs))}


def test_the_execution_before_another_is_the_one_of_its_job_that_began_last() -> None:
    rows = [execution("e1", 0, 20), execution("x", 50, 51, job="k"), execution("e2", 60, 80)]
    matcher = Matcher(rows, UTC)

    assert matcher.before(rows[2]) is rows[0]
    assert matcher.before(rows[0]) is None
    assert matcher.before(execution("new", 90, None)) is rows[2]
    assert matcher.before(execution("new", 90, None, job="unheard of")) is None


# Tokens.


def spending(**columns: object) -> ModelUsage:
    return replace(NOTHING, **columns)  # type: ignore[arg-type]


counts = st.integers(0, 10**9)
usages = st.builds(
    Usage, input_tokens=counts, output_tokens=counts, cache_read_tokens=counts,
    cache_write_tokens=counts, reasoning_tokens=counts,
)  # fmt: skip
costs = st.one_of(
    st.just((None, None)),
    st.just((None, CostStatus.UNKNOWN)),
    st.tuples(
        st.floats(0, 1e3),
        st.sampled_from([CostStatus.ESTIMATED, CostStatus.ACTUAL, CostStatus.INCLUDED]),
    ),
)
spendings = st.builds(
    lambda usage, cost: spending(usage=usage, cost_usd=cost[0], cost_status=cost[1]), usages, costs
)


@given(st.lists(usages, min_size=1))
def test_the_usage_of_a_run_is_the_sum_of_its_parts_by_kind(parts: list[Usage]) -> None:
    total = Usage.sum(parts)
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        name = f"{kind}_tokens"
        assert getattr(total, name) == sum(getattr(p, name) for p in parts)
    assert total.total_tokens == sum(p.total_tokens for p in parts)


# Cost.


@given(st.lists(spendings))
def test_a_cost_is_unknown_partial_or_the_whole_sum_and_never_a_zero_for_unknown(
    parts: list[ModelUsage],
) -> None:
    cost, status = total_cost(parts)
    known = [p.cost_usd for p in parts if p.cost_usd is not None]
    unpriced = [p for p in parts if p.cost_usd is None and (p.cost_status or p.total_tokens)]

    if not known:
        assert cost is None
        assert status is (CostStatus.UNKNOWN if unpriced else None)
    else:
        assert cost == pytest.approx(sum(known))
        assert (status is CostStatus.PARTIAL) == bool(unpriced)


@given(st.lists(spendings), st.randoms())
def test_the_order_of_the_parts_does_not_change_the_cost(
    parts: list[ModelUsage], order: random.Random
) -> None:
    cost, status = total_cost(parts)
    shuffled = parts[:]
    order.shuffle(shuffled)
    again, same = total_cost(shuffled)
    assert same is status
    assert again == (None if cost is None else pytest.approx(cost))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], (None, None)),
        ([(None, None)], (None, None)),
        ([(None, "unknown")], (None, "unknown")),
        ([(0.0, "included")], (0.0, "included")),
        ([(0.0, "estimated")], (0.0, "estimated")),
        ([(0.5, "actual"), (0.25, "actual")], (0.75, "actual")),
        ([(0.5, "actual"), (0.25, "estimated")], (0.75, "estimated")),
        ([(0.5, "estimated"), (0.0, "included")], (0.5, "estimated")),
        ([(0.5, "estimated"), (None, "unknown")], (0.5, "partial")),
        ([(0.5, "estimated"), (None, None)], (0.5, "estimated")),
        ([(0.0, "included"), (None, "unknown")], (0.0, "partial")),
    ],
)
def test_what_is_known_of_the_parts_says_what_is_known_of_the_sum(
    parts: list[tuple[float | None, str | None]], expected: tuple[float | None, str | None]
) -> None:
    spent = [spending(cost_usd=c, cost_status=CostStatus(s) if s else None) for c, s in parts]
    assert total_cost(spent) == expected


def test_tokens_without_a_price_make_a_sum_a_lower_bound() -> None:
    """An auxiliary call has no cost status in the host: its tokens alone tell."""
    spent = [spending(cost_usd=0.5, cost_status=CostStatus.ESTIMATED), spending(usage=Usage(input_tokens=7))]  # fmt: skip
    assert total_cost(spent) == (0.5, CostStatus.PARTIAL)


# A run from its facts.


JOB = Job(
    job_id="j", name="digest", mode=Mode.AGENT, deliver="telegram:-100",
    schedule=Schedule(kind=ScheduleKind.INTERVAL, expression="every 30m", interval_s=1800.0),
    skills=("news",), created_ns=at(-1800),
)  # fmt: skip


def facts(**given: object) -> Evidence:
    base: dict[str, object] = {
        "profile": "default", "job_id": "j", "definition": JOB, "latest_definition": JOB,
        "execution": execution("e1", 0, 20), "session": session("s1", 2.5, 19.99), **given,
    }  # fmt: skip
    return Evidence(**base)  # type: ignore[arg-type]


def run(**given: object) -> Run:
    return assemble(facts(**given), UTC, "UTC")


def test_the_ledger_s_times_are_the_run_s_and_not_the_session_s() -> None:
    found = run()
    assert (found.started_ns, found.ended_ns, found.claimed_ns) == (at(0), at(20), at(-0.004))
    assert found.duration_s == pytest.approx(20)
    assert found.queue_s == pytest.approx(0.004)
    assert (found.execution_id, found.session_id, found.run_id) == ("e1", "s1", "e1")


def test_a_run_without_an_execution_has_the_session_s_times_and_no_trigger() -> None:
    found = run(execution=None)
    assert (found.started_ns, found.ended_ns, found.claimed_ns) == (at(2.5), at(19.99), None)
    assert (found.trigger, found.scheduled_ns, found.run_id) == (None, None, "s1")


def test_a_run_that_never_ended_ends_with_its_last_activity() -> None:
    died = execution("e1", 0, None)
    found = run(execution=died, session=session("s1", 2.5, None), last_activity_ns=at(12))
    assert (found.outcome, found.ended_ns) == (Outcome.ABANDONED, at(12))
    assert run(execution=died, session=None).ended_ns == at(0)


def test_a_clock_that_was_set_back_gives_no_negative_duration() -> None:
    found = run(execution=execution("e1", 3600, 20))
    assert found.duration_s == 0


def test_a_job_s_definition_gives_name_schedule_and_skills() -> None:
    found = run()
    assert (found.job_name, found.mode, found.skills) == ("digest", Mode.AGENT, ("news",))
    assert (found.schedule_kind, found.schedule_expression) == (ScheduleKind.INTERVAL, "every 30m")
    assert found.schedule_timezone == "UTC"
    assert found.delivery_target == "telegram"


def test_without_a_definition_the_session_s_title_names_the_job() -> None:
    titled = session("s1", 2.5, 19.9, title="news · 2 a day · May 04 09:00 #2")
    found = run(definition=None, session=titled, name_then=name_beside(titled, None))
    assert (found.job_name, found.mode) == ("news · 2 a day", Mode.AGENT)
    assert (found.schedule_kind, found.schedule_timezone) == (None, None)


def test_without_either_the_output_file_names_it_and_else_the_id() -> None:
    saved = Output(status=OutputStatus.ANSWERED, name="disk", schedule="0 9 * * *", is_script=True, error=None)  # fmt: skip
    found = run(definition=None, session=None, output=saved, name_then=name_beside(None, saved))
    assert (found.job_name, found.mode) == ("disk", Mode.SCRIPT)
    assert (found.schedule_kind, found.schedule_expression) == (ScheduleKind.CRON, "0 9 * * *")
    nothing = run(definition=None, session=None)
    assert (nothing.job_name, nothing.mode, nothing.schedule_kind) == ("j", None, None)


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        ("every 30m", ScheduleKind.INTERVAL),
        ("once in 5m", ScheduleKind.ONCE),
        ("once at 2026-05-04 09:00", ScheduleKind.ONCE),
        ("*/5 * * * *", ScheduleKind.CRON),
    ],
)
def test_the_words_of_an_output_file_say_the_kind_of_schedule(
    shown: str, kind: ScheduleKind
) -> None:
    saved = Output(
        status=OutputStatus.ANSWERED, name="x", schedule=shown, is_script=False, error=None
    )
    assert run(definition=None, session=None, output=saved).schedule_kind is kind


def test_a_run_without_a_session_has_no_usage_rather_than_zero() -> None:
    found = run(session=None, definition=replace(JOB, mode=Mode.SCRIPT))
    assert (found.usage, found.cost_usd, found.cost_status) == (None, None, None)
    assert (found.api_calls, found.tool_calls, found.subagents) == (None, None, None)
    assert (found.model, found.provider) == (None, None)


def spent(model: str, tokens: int, cost: float | None, calls: int = 1) -> ModelUsage:
    status = CostStatus.UNKNOWN if cost is None else CostStatus.ESTIMATED
    return ModelUsage(
        model=model, provider="acme", usage=Usage(input_tokens=tokens), api_calls=calls,
        cost_usd=cost, cost_status=status,
    )  # fmt: skip


def test_subagents_and_auxiliary_calls_are_counted_once_each() -> None:
    root = session("s1", 2.5, 19.9, model_usage=spent("big", 100, 1.0, 3), tool_calls=2)
    child = session("c1", 5, 9, job=None, is_subagent=True, model_usage=spent("small", 10, 0.1), tool_calls=1)  # fmt: skip
    rows = {
        "s1": [("", spent("big", 100, 1.0, 3)), ("compression", spent("mini", 7, 0.01))],
        "c1": [("", spent("small", 10, 0.1)), ("vision", spent("mini", 3, 0.02))],
        "someone else": [("vision", spent("mini", 1000, 5.0))],
    }
    found = run(session=root, descendants=[child], usage_rows=rows)

    assert found.usage == Usage(input_tokens=120)
    assert found.cost_usd == pytest.approx(1.13)
    assert found.cost_status is CostStatus.ESTIMATED
    assert (found.tool_calls, found.subagents) == (3, 1)
    assert found.api_calls == 4  # auxiliary ones are in tokens and cost alone
    assert (found.model, found.provider) == ("big", "acme")


def test_what_a_subagent_took_that_the_host_never_wrote_down_makes_the_cost_a_lower_bound() -> None:
    root = session("s1", 2.5, 19.9, model_usage=spent("big", 100, 1.0))
    child = session("c1", 5, None, job=None, is_subagent=True)
    found = run(session=root, descendants=[child])
    assert (found.cost_usd, found.cost_status) == (1.0, CostStatus.PARTIAL)


def test_the_model_of_a_run_is_the_one_with_the_most_tokens() -> None:
    root = session("s1", 2.5, 19.9, model_usage=spent("first", 100, None))
    rows = {"s1": [("", spent("first", 30, None)), ("", spent("second", 70, None))]}
    assert run(session=root, usage_rows=rows).model == "second"


@pytest.mark.parametrize("status", list(CostStatus))
def test_what_a_session_of_several_models_cost_is_told_by_its_rows(status: CostStatus) -> None:
    """The session's own status is that of its last call."""
    last = replace(spent("gpt", 150, None), cost_status=status)
    rows = {"s1": [("", spent("opus", 100, 0.5)), ("", spent("gpt", 50, None))]}
    found = run(session=session("s1", 2.5, 19.9, model_usage=last), usage_rows=rows)
    assert (found.cost_usd, found.cost_status) == (0.5, CostStatus.PARTIAL)
    assert found.usage == Usage(input_tokens=150)


def test_a_run_that_used_no_tokens_has_the_model_of_its_session() -> None:
    root = session("s1", 2.5, 19.9, model_usage=spending(model="big"))
    child = session("c1", 5, 9, is_subagent=True, model_usage=spending(model="small"))
    assert run(session=root, descendants=[child]).model == "big"


def test_a_continuation_is_no_subagent_and_its_tokens_count() -> None:
    root = session("s1", 2.5, 10, model_usage=spent("big", 100, None))
    rest = session("s2", 10, 19.9, job=None, model_usage=spent("big", 50, None))
    found = run(session=root, descendants=[rest])
    assert (found.subagents, found.usage) == (0, Usage(input_tokens=150))


# Silence of a continued session, and delivery.


def last_message(text: str, role: str = "assistant") -> LastMessage:
    silence = asks_for_silence(text, text)
    return LastMessage(
        role=role, timestamp_ns=at(19), head=text, tail=text, asks_for_silence=silence
    )


def test_a_silent_answer_is_a_success_that_was_not_delivered() -> None:
    found = run(session=session("s1", 2.5, 19.9, last_message=last_message("[SILENT]")))
    assert (found.outcome, found.silent) == (Outcome.SUCCESS, True)
    assert found.delivery_outcome is DeliveryOutcome.SUPPRESSED


def test_the_last_word_of_a_compressed_session_is_its_continuation_s() -> None:
    root = session("s1", 2.5, 10, last_message=last_message("result", "tool"))
    rest = session("s2", 10, 19.9, job=None, parent_id="s1", last_message=last_message("[SILENT]"))
    assert run(session=root, descendants=[rest]).silent is True


def test_a_compressed_session_without_a_ledger_ends_as_its_continuation_does() -> None:
    """A host before 0.18: the row of the id that we know ended when it was compressed."""
    root = session("s1", 2.5, 10, last_message=last_message("result", "tool"))
    rest = session("s2", 10, 19.9, job=None, parent_id="s1", last_message=last_message("All good."))
    found = run(execution=None, session=root, descendants=[rest])
    assert (found.outcome, found.ended_ns) == (Outcome.SUCCESS, at(19.9))


def test_a_script_is_silent_by_the_word_of_its_output() -> None:
    script = replace(JOB, mode=Mode.SCRIPT)
    for ending, silent in ((OutputStatus.NO_OUTPUT, True), (OutputStatus.ANSWERED, False)):
        saved = Output(status=ending, name="x", schedule=None, is_script=True, error=None)
        assert run(session=None, definition=script, output=saved).silent is silent
    assert run(session=None, definition=script).silent is None


def test_a_failed_run_is_neither_silent_nor_loud() -> None:
    failed = execution("e1", 0, 20, status="failed", error="boom")
    assert run(execution=failed).silent is None


def later(job: Job = JOB, *, finished: float = 19.999, error: str | None = None) -> Job:
    """As jobs.json has the job after the run."""
    return replace(job, last_run_ns=at(finished), last_status="ok", last_delivery_error=error)


def test_an_answer_went_out_when_the_job_s_record_of_this_run_shows_no_delivery_error() -> None:
    found = run(
        latest_definition=later(),
        session=session("s1", 2.5, 19.9, last_message=last_message("News")),
    )
    assert (found.delivery_outcome, found.delivery_error) == (DeliveryOutcome.DELIVERED, None)


def test_a_delivery_error_of_this_run_is_told() -> None:
    found = run(latest_definition=later(error="chat not found"))
    assert found.delivery_outcome is DeliveryOutcome.FAILED
    assert found.delivery_error == "chat not found"


def test_the_record_of_another_run_tells_nothing_of_this_one() -> None:
    found = run(latest_definition=later(finished=1900, error="chat not found"))
    assert (found.delivery_outcome, found.delivery_error) == (None, None)


def test_the_record_of_a_run_seconds_later_is_not_this_one_s() -> None:
    """The host writes it before it ends the execution: one from after that end is the next run's."""
    found = run(latest_definition=later(finished=25, error="chat not found"))
    assert (found.delivery_outcome, found.delivery_error) == (None, None)


def test_a_job_that_delivers_nowhere_has_no_delivery() -> None:
    local = replace(JOB, deliver="local")
    assert (
        run(definition=local, latest_definition=later(local)).delivery_outcome
        is DeliveryOutcome.NOT_CONFIGURED
    )


def test_whether_a_job_of_no_origin_was_delivered_to_its_origin_is_not_known() -> None:
    """cron/scheduler.py: to the home channels, and without any of those nowhere, and no error."""
    origin = replace(JOB, deliver="origin")
    assert run(definition=origin, latest_definition=later(origin)).delivery_outcome is None
    failed = later(origin, error="chat not found")
    assert (
        run(definition=origin, latest_definition=failed).delivery_outcome is DeliveryOutcome.FAILED
    )


def test_an_empty_reply_was_not_delivered() -> None:
    """cron/scheduler.py: `should_deliver = bool(final_response.strip())`, and only then is the run
    marked as failed."""
    error = (
        "Agent completed but produced empty response (model error, timeout, or misconfiguration)"
    )
    failed = execution("e1", 0, 20, status="failed", error=error)
    found = run(execution=failed, latest_definition=later())
    assert found.delivery_outcome is not DeliveryOutcome.DELIVERED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("ok", DeliveryOutcome.DELIVERED), ("error", DeliveryOutcome.SUPPRESSED), (None, None)],
)
def test_before_0_18_the_host_s_notice_of_an_empty_reply_was_delivered(
    status: str | None, outcome: DeliveryOutcome | None
) -> None:
    """Where there is no notice, it marks the run as failed, and delivers nothing."""
    empty = Output(status=OutputStatus.EMPTY, name="x", schedule=None, is_script=False, error=None)
    found = run(
        execution=None,
        session=session("s1", 2.5, 19.9, last_message=last_message("(empty)")),
        output=empty,
        latest_definition=replace(later(), last_status=status, last_error=EMPTY_REPLY)
        if status
        else JOB,
        delivers_notice_of_empty_reply=True,
    )
    assert (found.error_type, found.delivery_outcome) == ("empty_response", outcome)


def test_a_skipped_run_delivered_nothing() -> None:
    gated = Output(status=OutputStatus.GATED, name="x", schedule=None, is_script=False, error=None)
    found = run(session=None, output=gated, latest_definition=later())
    assert (found.outcome, found.delivery_outcome) == (Outcome.SKIPPED, DeliveryOutcome.SUPPRESSED)


def test_a_newer_host_s_own_word_on_delivery_wins() -> None:
    with_delivery = execution("e1", 0, 20, delivery_outcome=DeliveryOutcome.QUEUED)
    assert (
        run(execution=with_delivery, latest_definition=later()).delivery_outcome
        is DeliveryOutcome.QUEUED
    )


@pytest.mark.parametrize(
    ("deliver", "target"),
    [
        ("local", "local"), ("telegram:-100:7", "telegram"), ("origin", "origin"),
        ("telegram:1, discord:2,telegram:3", "telegram,discord"), (":", None),
    ],
)  # fmt: skip
def test_a_target_is_the_platforms_without_the_chats(deliver: str, target: str | None) -> None:
    assert run(definition=replace(JOB, deliver=deliver)).delivery_target == target


# Origin.


def test_a_run_by_hand_was_due_at_no_time() -> None:
    found = run(execution=execution("e1", 0, 20, source="direct"), host_due_ns=at(-5))
    assert (found.trigger, found.scheduled_ns, found.lateness_s) == (Trigger.MANUAL, None, None)


def test_the_host_s_own_due_time_gives_the_lateness() -> None:
    found = run(host_due_ns=at(-30))
    assert found.trigger is Trigger.SCHEDULE
    assert found.lateness_s == pytest.approx(30)
    late = run(host_due_ns=at(-3600))
    assert late.trigger is Trigger.CATCH_UP


def test_a_newer_host_s_scheduled_instant_wins() -> None:
    with_due_time = execution("e1", 0, 20, scheduled_ns=at(-7))
    assert run(execution=with_due_time, host_due_ns=at(-30)).scheduled_ns == at(-7)


def test_without_them_an_interval_counts_from_the_run_before() -> None:
    assert run(counted_from_ns=at(-1810)).scheduled_ns == at(-10)
    assert run().scheduled_ns == at(0)  # the first run: from the job's creation


def test_a_run_of_a_session_alone_has_the_word_of_its_job() -> None:
    now = replace(JOB, last_run_ns=at(20), last_status="error", last_error="boom")
    found = run(execution=None, latest_definition=now)
    assert (found.outcome, found.outcome_source) == (Outcome.FAILURE, OutcomeSource.JOB)
    assert found.error_message == "boom"
