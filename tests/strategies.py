"""Hypothesis strategies for runs and conversations, with clocks that do what they want."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from cronalytics_otel.domain.errors import ErrorType
from cronalytics_otel.model import (
    ApiError,
    Approval,
    Conversation,
    CostStatus,
    DeliveryOutcome,
    Feed,
    Message,
    Mode,
    ModelCall,
    ModelUsage,
    Observations,
    Outcome,
    OutcomeSource,
    Run,
    ScheduleKind,
    SkipReason,
    ToolCall,
    ToolResult,
    Trigger,
    Usage,
)

_T = TypeVar("_T")

BEGAN_NS = 1_795_258_800_000_000_000
"""2026-11-21T11:00:00Z, about when these runs happen."""

texts = st.text(
    # Lone surrogates included: JSON can hold them, and a job's name comes from JSON.
    alphabet=st.one_of(st.characters(), st.characters(categories=["Cs"])),
    max_size=20,
)
names = st.one_of(
    st.sampled_from(["nightly digest", "", " ", "terminal", "delegate_task", "é\nñ", "x" * 600]),
    texts,
)
times = st.one_of(
    st.integers(BEGAN_NS, BEGAN_NS + 60_000_000_000),
    st.integers(BEGAN_NS, BEGAN_NS + 100),
    st.integers(-(2**70), 2**70),
    st.just(0),
)
counts = st.integers(0, 10**9)
usages = st.builds(
    Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_read_tokens=counts,
    cache_write_tokens=counts,
    reasoning_tokens=counts,
)
call_ids = st.sampled_from(["call_1", "call_2", "call_3", ""])


def _optional(strategy: SearchStrategy[_T]) -> SearchStrategy[_T | None]:
    return st.one_of(st.none(), strategy)


tool_calls = st.builds(ToolCall, call_id=call_ids, name=names, arguments=_optional(texts))
messages = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool", "system", "surprise"]),
    timestamp_ns=times,
    content=_optional(texts),
    tool_call_id=_optional(call_ids),
    tool_calls=st.lists(tool_calls, max_size=3).map(tuple),
    finish_reason=_optional(st.sampled_from(["stop", "tool_calls", "length", ""])),
    at_turn_limit=st.booleans(),
)


def _conversations(
    children: SearchStrategy[tuple[Conversation, ...]],
) -> SearchStrategy[Conversation]:
    return st.builds(
        Conversation,
        # Few ids, so that a session sometimes comes twice.
        session_id=st.one_of(st.sampled_from(["s1", "s2", "s3", ""]), texts),
        started_ns=times,
        ended_ns=_optional(times),
        model=_optional(names),
        provider=_optional(names),
        server_address=_optional(names),
        usage=_optional(usages),
        cost_usd=_optional(st.floats(0, 1e6)),
        api_calls=st.integers(0, 4),
        is_subagent=st.booleans(),
        times_are_known=st.booleans(),
        messages=st.lists(messages, max_size=8).map(tuple),
        children=children,
    )


conversations = st.recursive(
    _conversations(st.just(())),
    lambda below: _conversations(st.lists(below, max_size=3).map(tuple)),
    max_leaves=6,
)

model_calls = st.builds(
    ModelCall,
    started_ns=times,
    ended_ns=times,
    model=_optional(names),
    provider=_optional(names),
    server_address=_optional(names),
    response_model=_optional(names),
    finish_reason=_optional(texts),
    usage=_optional(usages),
)
api_errors = st.builds(
    ApiError,
    started_ns=times,
    ended_ns=times,
    model=_optional(names),
    provider=_optional(names),
    server_address=_optional(names),
    status_code=_optional(counts),
    attempt=_optional(counts),
    max_attempts=_optional(counts),
    retryable=_optional(st.booleans()),
    reason=_optional(st.one_of(st.sampled_from(["auth", "timeout"]), texts)),
    exception_type=_optional(names),
    message=_optional(texts),
)
approvals = st.builds(
    Approval,
    at_ns=times,
    choice=_optional(texts),
    surface=_optional(texts),
    waited_s=_optional(st.floats(0, 1e6)),
)
tool_runs = st.builds(
    ToolResult,
    call_id=call_ids,
    name=names,
    started_ns=times,
    ended_ns=times,
    failed=st.booleans(),
    error_type=_optional(st.one_of(st.sampled_from(["tool_error", "plugin_block"]), texts)),
    message=_optional(texts),
    approval=_optional(approvals),
)
observations = st.dictionaries(
    st.sampled_from(["s1", "s2", "s3", ""]),
    st.builds(
        Observations,
        attempts=st.lists(model_calls | api_errors, max_size=8).map(tuple),
        tools=st.lists(tool_runs, max_size=4).map(tuple),
    ),
    max_size=3,
)
"""What hooks told, by session."""

model_usages = st.builds(
    ModelUsage,
    model=_optional(names),
    provider=_optional(names),
    usage=usages,
    api_calls=_optional(counts),
    cost_usd=_optional(st.floats(0, 100)),
    cost_status=_optional(st.sampled_from(CostStatus)),
)

runs = st.builds(
    Run,
    profile=texts,
    job_id=names,
    job_name=names,
    mode=_optional(st.sampled_from(Mode)),
    started_ns=times,
    ended_ns=times,
    outcome=st.sampled_from(Outcome),
    outcome_source=st.sampled_from(OutcomeSource),
    execution_id=_optional(names),
    session_id=_optional(names),
    trigger=_optional(st.sampled_from(Trigger)),
    schedule_kind=_optional(st.sampled_from(ScheduleKind)),
    schedule_expression=_optional(
        st.one_of(st.sampled_from(["0 9 * * 1-5", "*/5 * * * * *", "every 30m", "@daily"]), texts)
    ),
    schedule_timezone=_optional(names),
    skills=st.lists(names, max_size=3).map(tuple),
    scheduled_ns=_optional(times),
    claimed_ns=_optional(times),
    error_type=_optional(st.one_of(st.sampled_from(ErrorType), texts)),
    error_message=_optional(
        st.one_of(
            st.builds("Script exited with code 3\nstderr:\n{}\nstdout:\n{}".format, texts, texts),
            texts,
        )
    ),
    model=_optional(names),
    provider=_optional(names),
    declared_model=_optional(names),
    usage=_optional(usages),
    cost_usd=_optional(st.one_of(st.just(0), st.floats(0, 1e6))),
    cost_status=_optional(st.sampled_from(CostStatus)),
    api_calls=_optional(counts),
    tool_calls=_optional(counts),
    subagents=_optional(counts),
    silent=_optional(st.booleans()),
    delivery_outcome=_optional(st.sampled_from(DeliveryOutcome)),
    delivery_target=_optional(st.one_of(st.sampled_from(["telegram:-1001", "local"]), texts)),
    delivery_error=_optional(texts),
    script_exit_code=_optional(st.integers(-255, 255)),
    script_ended_ns=_optional(times),
    skip_reason=_optional(st.sampled_from(SkipReason)),
    fed_by=st.lists(st.builds(Feed, job_id=names, saved_ns=times), max_size=2).map(tuple),
    missed_count=_optional(counts),
    scheduler_down=_optional(st.booleans()),
    model_usage=st.lists(model_usages, max_size=2).map(tuple),
    over_budget=_optional(st.booleans()),
)

HISTORY_BEGAN_NS = 1_792_540_800_000_000_000
"""2026-10-21T00:00:00Z: in the weeks after it, clocks are set back in Europe and in America."""


@st.composite
def _history_runs(draw: st.DrawFn) -> Run:
    """A run as the harvest could make it; its execution id is not unique."""
    started_ns = HISTORY_BEGAN_NS + draw(st.integers(0, 60 * 24 * 40)) * 60_000_000_000
    cost = st.none() | st.sampled_from([0.0, 0.25, 1.5])
    status = st.none() | st.sampled_from(CostStatus)
    parts = draw(st.lists(st.tuples(st.sampled_from(["small", "large"]), cost, status), max_size=2))
    usage = draw(
        _optional(
            st.builds(Usage, input_tokens=st.integers(0, 99), output_tokens=st.integers(0, 9))
        )
    )
    outcome = draw(st.sampled_from(Outcome))
    execution_id = draw(st.sampled_from(["output_a", "0f"]))
    # The start of a run that left an output file alone is not known: the file's time stands for both.
    took_s = 0 if execution_id == "output_a" else draw(st.integers(0, 3600))
    return Run(
        profile="default",
        job_id=draw(st.sampled_from(["a", "b", "c"])),
        job_name=draw(st.sampled_from(["first", "second"])),
        mode=draw(_optional(st.sampled_from(Mode))),
        started_ns=started_ns,
        ended_ns=started_ns + took_s * 1_000_000_000,
        outcome=outcome,
        outcome_source=draw(st.sampled_from(OutcomeSource)),
        execution_id=execution_id,
        session_id=None,
        trigger=draw(_optional(st.sampled_from(Trigger))),
        skills=tuple(draw(st.lists(st.sampled_from(["web", "mail"]), unique=True))),
        scheduled_ns=draw(_optional(st.just(started_ns - 7_000_000_000))),
        error_type=draw(_optional(st.sampled_from(["timeout", "auth_failed"]))),
        model=draw(_optional(st.sampled_from(["small", "large"]))),
        provider=draw(_optional(st.just("openai"))),
        usage=usage,
        cost_usd=draw(cost),
        cost_status=draw(status),
        api_calls=draw(_optional(st.integers(0, 3))),
        model_usage=tuple(
            ModelUsage(
                model=model,
                provider=None,
                usage=Usage(input_tokens=5, output_tokens=1),
                api_calls=1,
                cost_usd=cost_usd,
                cost_status=cost_status,
            )
            for model, cost_usd, cost_status in parts
        ),
        delivery_outcome=draw(_optional(st.sampled_from(DeliveryOutcome))),
        missed_count=draw(st.integers(1, 9)) if outcome is Outcome.MISSED else None,
    )


histories = st.lists(_history_runs(), max_size=12).map(
    lambda found: [
        replace(run, execution_id=f"{run.execution_id}_{n}") for n, run in enumerate(found)
    ]
)
"""Lists of runs of three jobs in forty days, each with an execution id of its own."""
