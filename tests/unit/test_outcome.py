"""How a run ended, from the host's own texts: each is one that Hermes 0.19 writes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cronalytics_otel.domain import outcome as outcomes
from cronalytics_otel.domain.error_table import ERROR_TABLE
from cronalytics_otel.domain.errors import (
    ErrorType,
    classify,
    exit_code,
    is_of_script,
    reason_of,
    stderr_of,
)
from cronalytics_otel.domain.outcome import (
    ANSWER_FOR_ERROR,
    EMPTY_REPLY,
    MODEL_DECLINED,
    RunEnd,
    failed,
    from_ledger,
    from_output,
    from_session,
    hide_answer_in_error,
    is_silent,
)
from cronalytics_otel.host.silence import asks_for_silence
from cronalytics_otel.model import (
    FAILED_OUTCOMES,
    Execution,
    Job,
    LastMessage,
    Mode,
    Outcome,
    OutcomeSource,
    Output,
    OutputStatus,
    SkipReason,
)

EXCERPT = 200
"""As long as the head and the tail of a message that state_db reads."""


def execution(status: str = "completed", error: str | None = None) -> Execution:
    return Execution(
        execution_id="e1", job_id="j1", source="builtin", status=status, claimed_ns=1,
        started_ns=2, finished_ns=3, error=error, pid=1, process_started_at=1,
        delivery_outcome=None, scheduled_ns=None,
    )  # fmt: skip


def job(mode: Mode = Mode.AGENT, *, has_script: bool = False) -> Job:
    return Job(job_id="j1", name="digest", mode=mode, schedule=None, has_script=has_script)


def output(ending: OutputStatus, error: str | None = None) -> Output:
    return Output(status=ending, name=None, schedule=None, is_script=False, error=error)


def last_message(text: str, role: str = "assistant") -> LastMessage:
    """As `state_db` reads it: SQLite trims it first."""
    trimmed = text.strip(" \t\n\r")
    head, tail = trimmed[:EXCERPT], trimmed[-EXCERPT:]
    silence = asks_for_silence(head, tail)
    return LastMessage(role=role, timestamp_ns=1, head=head, tail=tail, asks_for_silence=silence)


def ledger(status: str = "completed", error: str | None = None, **given: object) -> RunEnd:
    facts: dict[str, object] = {"job": job(), "has_session": True, "output": None, **given}
    return from_ledger(execution(status, error), **facts)  # type: ignore[arg-type]


# The texts of cron/scheduler.py, with the prefix `RuntimeError: ` that run_job gives to agents'.

INTERRUPTED = "Interrupted by gateway shutdown before the run finished (tool subprocess was killed mid-flight)."  # fmt: skip
EMPTY = "Agent completed but produced empty response (model error, timeout, or misconfiguration)"
IDLE = "TimeoutError: Cron job 'digest' idle for 600s (limit 600s) — last activity: tool: terminal"
DRIFT = (
    "RuntimeError: Skipped to prevent unintended spend: global inference config drifted since "
    "this job was created (model 'small' -> 'large'), and this job is unpinned. No inference call "
    "was made. To run on the new config, pin it explicitly: `cronjob action=update job_id=j1`"
)
THREAT = (
    "Blocked: prompt matches threat pattern 'prompt_injection'. Cron prompts must not contain "
    "injection or exfiltration payloads."
)
UNICODE = "Blocked: prompt contains invisible unicode U+200B (possible injection)."


@pytest.mark.parametrize(
    ("text", "error_type", "outcome"),
    [
        # run_one_job
        (INTERRUPTED, ErrorType.INTERRUPTED, Outcome.CANCELLED),
        (EMPTY, ErrorType.EMPTY_RESPONSE, Outcome.FAILURE),
        ("Dispatch claim rejected; execution was not started.", ErrorType.DISPATCH_FAILED, Outcome.FAILURE),
        ("Executor dispatch failed: cannot schedule new futures after shutdown", ErrorType.DISPATCH_FAILED, Outcome.FAILURE),
        ("unknown failure", ErrorType.OTHER, Outcome.FAILURE),
        # run_job: the agent
        (IDLE, ErrorType.TIMEOUT, Outcome.TIMEOUT),
        ("RuntimeError: HTTP 401: Incorrect API key provided", ErrorType.AUTH_FAILED, Outcome.FAILURE),
        ("RuntimeError: HTTP 403: Forbidden", ErrorType.AUTH_FAILED, Outcome.FAILURE),
        ("RuntimeError: HTTP 429: You are sending requests too quickly", ErrorType.RATE_LIMITED, Outcome.FAILURE),
        ("RuntimeError: HTTP 500: upstream exploded", ErrorType.SERVER_ERROR, Outcome.FAILURE),
        ("RuntimeError: HTTP 503 — Service Temporarily Unavailable — Ray 8f2", ErrorType.SERVER_ERROR, Outcome.FAILURE),
        ("RuntimeError: HTTP 529: Overloaded", ErrorType.SERVER_ERROR, Outcome.FAILURE),
        ("RuntimeError: HTTP 404: The model `nope` does not exist", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("RuntimeError: Connection error.", ErrorType.NETWORK_ERROR, Outcome.FAILURE),
        ("RuntimeError: Request timed out.", ErrorType.TIMEOUT, Outcome.TIMEOUT),
        ("RuntimeError: agent reported failure", ErrorType.OTHER, Outcome.FAILURE),
        ("RuntimeError: HTTP 402: Payment required", ErrorType.BUDGET_EXCEEDED, Outcome.BUDGET_EXCEEDED),
        ("RuntimeError: HTTP 429: You exceeded your current quota, please check your plan and billing details.", ErrorType.BUDGET_EXCEEDED, Outcome.BUDGET_EXCEEDED),
        ("RuntimeError: HTTP 400: Your credit balance is too low to access the API.", ErrorType.BUDGET_EXCEEDED, Outcome.BUDGET_EXCEEDED),
        ("RuntimeError: Nous Portal rate limit active — resets in 4m.", ErrorType.RATE_LIMITED, Outcome.FAILURE),
        ("RuntimeError: content_policy_blocked: HTTP 400: flagged", ErrorType.CONTENT_POLICY_BLOCKED, Outcome.FAILURE),
        ("RuntimeError: Context length exceeded (210,000 tokens). Cannot compress further.", ErrorType.CONTEXT_OVERFLOW, Outcome.FAILURE),
        ("RuntimeError: Context length exceeded: max compression attempts (3) reached.", ErrorType.CONTEXT_OVERFLOW, Outcome.FAILURE),
        ("RuntimeError: Context overflow and auto-compaction is disabled (compression.enabled: false).", ErrorType.CONTEXT_OVERFLOW, Outcome.FAILURE),
        ("RuntimeError: Request payload too large (413). Cannot compress further.", ErrorType.CONTEXT_OVERFLOW, Outcome.FAILURE),
        ("RuntimeError: max_tokens exceeds the provider's output cap for this model.", ErrorType.CONTEXT_OVERFLOW, Outcome.FAILURE),
        ("RuntimeError: First response truncated due to output length limit", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Response remained truncated after 4 continuation attempts", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: I reached the iteration limit and couldn't generate a summary.", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Model used all output tokens on reasoning with none left for the response.", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Incomplete REASONING_SCRATCHPAD after 2 retries", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Codex response remained incomplete after 3 continuation attempts", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Stream repeatedly dropped mid tool-call (network); the tool was not executed", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Model generated invalid tool call: nope", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Invalid API response after 3 retries: empty choices", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Invalid API response after 3 retries: upstream timeout", ErrorType.TIMEOUT, Outcome.TIMEOUT),
        ("RuntimeError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", ErrorType.NETWORK_ERROR, Outcome.FAILURE),
        ("PermissionError: [Errno 13] Permission denied: '/h/state.db'", ErrorType.PERMISSION_DENIED, Outcome.FAILURE),
        ("[Errno 13] Permission denied: '/h/cron/output/j1'", ErrorType.PERMISSION_DENIED, Outcome.FAILURE),
        ("RuntimeError: Response truncated due to output length limit", ErrorType.INCOMPLETE_RESPONSE, Outcome.FAILURE),
        ("RuntimeError: Operation interrupted: waiting for model response (3.2s elapsed).", ErrorType.INTERRUPTED, Outcome.CANCELLED),
        ("RuntimeError: Operation interrupted during retry (slow, attempt 1/3).", ErrorType.INTERRUPTED, Outcome.CANCELLED),
        ("RuntimeError: Operation interrupted: handling API error (APITimeoutError: Request timed out.).", ErrorType.INTERRUPTED, Outcome.CANCELLED),
        ("RuntimeError: Cron job 'digest' has no model configured (job.model=None, HERMES_MODEL='', config.yaml model.default missing or empty).", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("RuntimeError: No inference provider configured. Run 'hermes model' to choose a provider", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("RuntimeError: Cron job 'j1' blocked for safety: base_url is not the provider's", ErrorType.SECURITY_CHECK_FAILED, Outcome.FAILURE),
        (DRIFT, ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        (THREAT, ErrorType.SECURITY_CHECK_FAILED, Outcome.FAILURE),
        (UNICODE, ErrorType.SECURITY_CHECK_FAILED, Outcome.FAILURE),
        # run_job: a script
        ("no_agent=True but no script is set for this job", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("Blocked: script path resolves outside the scripts directory (/h/scripts): '../x'", ErrorType.SCRIPT_BLOCKED, Outcome.FAILURE),
        ("Script not found: /h/scripts/gone.sh", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("Script path is not a file: /h/scripts", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("Cannot run .sh/.bash script 'check.sh': bash not found on PATH. On Windows, install Git", ErrorType.INVALID_CONFIG, Outcome.FAILURE),
        ("Script exited with code 3\nstderr:\nboom", ErrorType.SCRIPT_FAILED, Outcome.FAILURE),
        ("Script execution failed: [Errno 8] Exec format error", ErrorType.SCRIPT_FAILED, Outcome.FAILURE),
        ("Script execution failed: [Errno 13] Permission denied: '/usr/bin/bash'", ErrorType.PERMISSION_DENIED, Outcome.FAILURE),
        ("Script timed out after 3600s: /h/scripts/check.sh", ErrorType.TIMEOUT, Outcome.TIMEOUT),
    ],
)  # fmt: skip
def test_each_error_text_of_the_host_has_its_class_and_outcome(
    text: str, error_type: ErrorType, outcome: Outcome
) -> None:
    ended = ledger("failed", text)

    assert (ended.error_type, ended.outcome) == (error_type, outcome)
    assert ended.error_message == text
    assert ended.source is OutcomeSource.LEDGER


@pytest.mark.parametrize(
    ("example", "error_type"),
    [(example, row.error_type) for row in ERROR_TABLE for example in row.examples],
)
def test_each_example_of_the_table_has_its_class(example: str, error_type: ErrorType) -> None:
    assert classify(example) is error_type


def test_each_row_of_the_table_has_examples() -> None:
    assert all(row.examples for row in ERROR_TABLE)


@pytest.mark.parametrize("form", ["HTTP {}: no", "Error code: {} - {{}}", "status_code: {}", "{} Client Error: no", "Client error '{} No' for url", "HTTP Error {}: no"])  # fmt: skip
@pytest.mark.parametrize(
    ("status", "error_type"),
    [
        (400, ErrorType.INVALID_CONFIG),
        (401, ErrorType.AUTH_FAILED),
        (402, ErrorType.BUDGET_EXCEEDED),
        (403, ErrorType.AUTH_FAILED),
        (404, ErrorType.INVALID_CONFIG),
        (413, ErrorType.CONTEXT_OVERFLOW),
        (429, ErrorType.RATE_LIMITED),
    ],
)
def test_a_status_has_one_class_however_a_client_writes_it(
    form: str, status: int, error_type: ErrorType
) -> None:
    assert classify(f"RuntimeError: {form.format(status)}") is error_type


@pytest.mark.parametrize(
    "stderr",
    [
        "read: interrupted by signal",
        "Traceback (most recent call last):\nKeyboardInterrupt",
        "curl: (28) connection timed out",
        "HTTP 500: internal server error",
        "the model produced empty response",
        "429 too many requests",
        "Dispatch claim rejected",
    ],
)
def test_what_a_failing_script_printed_does_not_change_that_the_script_failed(stderr: str) -> None:
    ended = ledger("failed", f"Script exited with code 1\nstderr:\n{stderr}", job=job(Mode.SCRIPT))

    assert (ended.error_type, ended.outcome) == (ErrorType.SCRIPT_FAILED, Outcome.FAILURE)


@pytest.mark.parametrize(
    ("text", "code", "stderr"),
    [
        ("Script exited with code 3", 3, None),
        ("Script exited with code 3\nstderr:\nno disk\nat all", 3, "no disk\nat all"),
        ("Script exited with code -15\nstderr:\nbye\nstdout:\nhalf", -15, "bye"),
        ("Script exited with code 1\nstdout:\nhalf", 1, None),
        ("Script timed out after 5s: /h/x.sh", None, None),
        ("Script not found: /h/x.sh\nstderr:\nx", None, None),
        ("RuntimeError: Script exited with code 3", None, None),
        ("Script exited with code many", None, None),
        (None, None, None),
    ],
)
def test_an_exit_code_and_what_was_written_to_stderr_stand_in_the_host_s_text(
    text: str | None, code: int | None, stderr: str | None
) -> None:
    assert (exit_code(text), stderr_of(text)) == (code, stderr)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("Script exited with code 3", "Script exited with code 3"),
        (
            "Script exited with code 3\nstderr:\nTraceback\n  File x\nKeyError: 'host'\nstdout:\ndiary",
            "Script exited with code 3: KeyError: 'host'",
        ),
        ("Script exited with code 1\nstdout:\ndiary", "Script exited with code 1"),
        ("\n  HTTP 429: slow down \nmore", "HTTP 429: slow down"),
        ("Tool said\nstderr:\nno", "Tool said"),
        ("", ""),
        (None, ""),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: str | None, reason: str) -> None:
    assert reason_of(error) == reason


@given(st.none() | st.text())
def test_any_text_is_asked_for_a_script_without_a_crash(text: str | None) -> None:
    for error in (text, f"Script exited with code {text}", f"Script exited with code 1\nstderr:\n{text}"):  # fmt: skip
        exit_code(error)
        stderr_of(error)
        is_of_script(error)
        assert len(reason_of(error).splitlines()) <= 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("RuntimeError: content_policy_blocked: I would rather not, Ann.", f"RuntimeError: content_policy_blocked: {MODEL_DECLINED}"),
        ("RuntimeError: content_policy_blocked: HTTP 400: flagged", "RuntimeError: content_policy_blocked: HTTP 400: flagged"),
        ("RuntimeError: content_policy_blocked: model declined (content_filter)", "RuntimeError: content_policy_blocked: model declined (content_filter)"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_without_what_the_model_said(error: str, expected: str) -> None:
    ended = failed(error, OutcomeSource.LEDGER)
    assert (ended.error_type, ended.error_message) == (ErrorType.CONTENT_POLICY_BLOCKED, expected)


@pytest.mark.parametrize(
    "text",
    ["no delivery target resolved for deliver=discord", "unknown platform 'pigeon'",
     "platform 'telegram' not configured/enabled"],
)  # fmt: skip
def test_an_answer_without_a_place_to_go_is_a_fault_of_the_settings(text: str) -> None:
    assert classify(text) is ErrorType.INVALID_CONFIG


@pytest.mark.parametrize("name", ["interrupted by noise", "KeyboardInterrupt", "rate limit watch"])
def test_the_name_of_a_job_in_an_error_text_is_no_part_of_the_error(name: str) -> None:
    idle = ledger("failed", IDLE.replace("digest", name))
    assert (idle.error_type, idle.outcome) == (ErrorType.TIMEOUT, Outcome.TIMEOUT)
    no_model = ledger("failed", f"RuntimeError: Cron job '{name}' has no model configured (job.model=None")  # fmt: skip
    assert no_model.error_type is ErrorType.INVALID_CONFIG


@given(st.text())
def test_any_error_text_has_one_class_and_is_kept_whole(text: str) -> None:
    ended = outcomes.failed(text, OutcomeSource.LEDGER)

    assert isinstance(ended.error_type, ErrorType)
    assert ended.error_message == text
    assert ended.outcome in FAILED_OUTCOMES


# The ledger.


def test_a_failure_without_a_text_is_still_a_failure() -> None:
    ended = ledger("failed")
    assert (ended.outcome, ended.error_type, ended.error_message) == (
        Outcome.FAILURE, ErrorType.OTHER, None,
    )  # fmt: skip


def test_a_completed_run_with_a_session_succeeded() -> None:
    ended = ledger()
    assert (ended.outcome, ended.source) == (Outcome.SUCCESS, OutcomeSource.LEDGER)
    assert (ended.error_type, ended.error_message) == (None, None)


def test_a_run_whose_owner_died_is_abandoned_in_the_host_s_words() -> None:
    ended = ledger("unknown", "Scheduler restarted after this execution's owner exited")
    assert (ended.outcome, ended.source) == (Outcome.ABANDONED, OutcomeSource.LEDGER)
    assert ended.error_type is ErrorType.ABANDONED
    assert ended.error_message == "Scheduler restarted after this execution's owner exited"


@pytest.mark.parametrize("status", ["claimed", "running"])
def test_a_run_that_never_ended_and_whose_owner_is_gone_is_abandoned_by_inference(
    status: str,
) -> None:
    ended = ledger(status)
    assert (ended.outcome, ended.source) == (Outcome.ABANDONED, OutcomeSource.INFERRED)


def test_a_completed_script_succeeded_whatever_it_wrote() -> None:
    for ending in (OutputStatus.ANSWERED, OutputStatus.NO_OUTPUT):
        ended = ledger(job=job(Mode.SCRIPT), has_session=False, output=output(ending))
        assert (ended.outcome, ended.source) == (Outcome.SUCCESS, OutcomeSource.LEDGER)


def test_an_agent_job_whose_gate_said_no_was_skipped_by_the_word_of_its_output() -> None:
    ended = ledger(job=job(has_script=True), has_session=False, output=output(OutputStatus.GATED))
    assert (ended.outcome, ended.source) == (Outcome.SKIPPED, OutcomeSource.LEDGER)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (OutputStatus.GATED, SkipReason.WAKE_AGENT_FALSE),
        (OutputStatus.NOTHING, SkipReason.NO_OUTPUT),
    ],
)
def test_a_skipped_run_says_which_no_its_gate_gave(
    ending: OutputStatus, reason: SkipReason
) -> None:
    ended = ledger(job=job(has_script=True), has_session=False, output=output(ending))
    assert (ended.outcome, ended.skip_reason) == (Outcome.SKIPPED, reason)


def test_without_its_output_a_gated_run_is_inferred() -> None:
    ended = ledger(job=job(has_script=True), has_session=False)
    assert ended.skip_reason is None
    assert (ended.outcome, ended.source) == (Outcome.SKIPPED, OutcomeSource.INFERRED)


def test_an_agent_without_a_gate_and_without_a_session_still_succeeded() -> None:
    """The host runs on without its session store when state.db cannot be opened in time."""
    for known in (None, job()):
        ended = ledger(job=known, has_session=False)
        assert (ended.outcome, ended.source) == (Outcome.SUCCESS, OutcomeSource.LEDGER)


# Without a ledger.


def session(
    last: LastMessage | None = None,
    *,
    saved: Output | None = None,
    status: tuple[str, str | None] | None = None,
    has_end: bool = True,
) -> RunEnd:
    return from_session(last_message=last, output=saved, job_status=status, has_end=has_end)


def test_a_failed_output_file_tells_the_error_of_a_run_that_no_ledger_knows() -> None:
    ended = session(
        last_message("hm"), saved=output(OutputStatus.FAILED, "RuntimeError: HTTP 401: no")
    )
    assert (ended.outcome, ended.source) == (Outcome.FAILURE, OutcomeSource.JOB)
    assert ended.error_type is ErrorType.AUTH_FAILED


def test_the_job_s_last_status_tells_of_its_latest_run() -> None:
    assert session(status=("ok", None)).outcome is Outcome.SUCCESS
    failed = session(last_message("fine"), status=("error", "TimeoutError: Cron job 'x' idle for 600s (limit 600s)"))  # fmt: skip
    assert (failed.outcome, failed.source) == (Outcome.TIMEOUT, OutcomeSource.JOB)


def test_a_failed_delivery_is_no_failed_run() -> None:
    """Newer hosts write `delivery_failed`."""
    assert (
        session(last_message("fine"), status=("delivery_failed", None)).outcome is Outcome.SUCCESS
    )


def test_a_session_with_an_answer_succeeded() -> None:
    ended = session(last_message("All good."))
    assert (ended.outcome, ended.source) == (Outcome.SUCCESS, OutcomeSource.SESSION)


def test_a_session_with_an_empty_answer_failed() -> None:
    ended = session(last_message("  \n "))
    assert (ended.outcome, ended.error_type) == (Outcome.FAILURE, ErrorType.EMPTY_RESPONSE)


@pytest.mark.parametrize("role", ["user", "tool", "system"])
def test_a_session_that_ended_before_an_answer_failed(role: str) -> None:
    ended = session(last_message("hello", role))
    assert (ended.outcome, ended.error_type) == (Outcome.FAILURE, ErrorType.INCOMPLETE_RESPONSE)
    assert ended.error_message


def test_a_session_without_a_message_failed() -> None:
    assert session().outcome is Outcome.FAILURE


def test_a_session_that_never_ended_is_abandoned_by_inference() -> None:
    ended = session(last_message("I begin"), has_end=False)
    assert (ended.outcome, ended.source) == (Outcome.ABANDONED, OutcomeSource.INFERRED)


def test_before_0_18_a_last_answer_is_the_end_though_the_host_never_wrote_one() -> None:
    final = last_message("All good.")._replace(ends_turn=True)
    last_word = final._replace(ends_run=True)
    ended = from_session(last_message=last_word, output=None, job_status=None, has_end=False)
    assert (ended.outcome, ended.source) == (Outcome.SUCCESS, OutcomeSource.SESSION)
    for last in (
        last_message("I look into it."),
        last_message("(empty)")._replace(ends_turn=True, ends_run=True),
    ):
        ended = from_session(last_message=last, output=None, job_status=None, has_end=False)
        assert ended.outcome is Outcome.ABANDONED
    assert session(final, has_end=False).outcome is Outcome.ABANDONED


def test_an_answer_in_the_file_is_the_host_s_word_for_a_success() -> None:
    """It goes before the last message, which a host before 0.18 may not have written."""
    ended = session(last_message("Do it.", "user"), saved=output(OutputStatus.ANSWERED))
    assert (ended.outcome, ended.source) == (Outcome.SUCCESS, OutcomeSource.JOB)


@pytest.mark.parametrize("status", [None, ("ok", None)])
def test_an_empty_reply_failed_although_a_host_before_0_18_calls_it_fine(
    status: tuple[str, str | None] | None,
) -> None:
    for last in (last_message("Do it.", "user"), last_message("(empty)"), None):
        ended = session(last, saved=output(OutputStatus.EMPTY), status=status)
        assert (ended.outcome, ended.error_type) == (Outcome.FAILURE, ErrorType.EMPTY_RESPONSE)
        assert (ended.source, ended.error_message) == (OutcomeSource.JOB, EMPTY_REPLY)


def test_an_answer_that_only_ends_like_an_empty_reply_is_an_answer() -> None:
    ended = session(last_message("The file says:\n\n## Response\n\n(empty)"), saved=output(OutputStatus.EMPTY), status=("ok", None))  # fmt: skip
    assert ended.outcome is Outcome.SUCCESS


# The answer in the place of the error.

SUMMARY = "I looked at five hosts. Two of them timed out, for the others see the table."


def raised(error: str, last: LastMessage | None) -> RunEnd:
    ended = session(last, status=("error", error))
    return hide_answer_in_error(ended, last)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (SUMMARY, SUMMARY),
        ("Done", "Done"),
        ("The", "The\n\n⚠️ The agent stopped: it had no turn left."),
        (SUMMARY * 9, SUMMARY * 9 + "\n\n⚠️ File-mutation verifier: 1 file was not changed."),
        (SUMMARY * 9, (SUMMARY * 9)[:500]),
        ("key=[REDACTED] " + SUMMARY, "key=sk-1234567890 " + SUMMARY),
        (SUMMARY, f"  {SUMMARY}\n"),
    ],
)
def test_an_error_that_is_what_the_agent_said_tells_nothing_of_it(answer: str, error: str) -> None:
    ended = raised(f"RuntimeError: {error}", last_message(answer))
    assert (ended.outcome, ended.source) == (Outcome.FAILURE, OutcomeSource.JOB)
    assert ended.error_type is ErrorType.INCOMPLETE_RESPONSE
    assert ended.error_message == ANSWER_FOR_ERROR


def test_before_0_18_any_run_that_failed_with_a_last_answer_raised_it() -> None:
    """Whatever became of the text on its way: plugins may change it."""
    error = "RuntimeError: another text altogether"
    final = last_message("Short.")._replace(ends_turn=True)
    assert raised(error, final).error_message == error
    assert raised(error, final._replace(raised_if_failed=True)).error_message == ANSWER_FOR_ERROR
    limited = raised(error, last_message("Short.")._replace(raised_if_failed=True))
    assert limited.error_message == ANSWER_FOR_ERROR


@pytest.mark.parametrize(
    ("error", "last"),
    [
        ("RuntimeError: HTTP 500: upstream exploded", last_message("I look into it.")),
        ("RuntimeError: Error code: 500", last_message("Error")),
        (f"RuntimeError: {SUMMARY}", last_message(SUMMARY, "tool")),
        (f"RuntimeError: {SUMMARY}", None),
        ("RuntimeError: (empty)", last_message("(empty)")),
        ("[Errno 28] No space left on device", last_message(SUMMARY)._replace(ends_turn=True)),
        ("TimeoutError: Cron job 'x' idle for 600s (limit 600s)", last_message(SUMMARY)._replace(ends_turn=True)),
        (EMPTY, last_message(SUMMARY)._replace(ends_turn=True)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before_0_18", [False, True])
def test_an_error_of_the_host_stays_as_it_is(
    error: str, last: LastMessage | None, before_0_18: bool
) -> None:
    if last is not None and before_0_18:
        last = last._replace(raised_if_failed=last.ends_turn)
    ended = raised(error, last)
    assert ended == session(last, status=("error", error))


def test_an_error_that_the_host_itself_wrote_in_the_place_of_an_answer_is_one() -> None:
    text = (
        "I apologize, but I encountered repeated errors: Error during OpenAI-compatible API call "
        "#9: HTTP 503: overloaded"
    )
    ended = raised(f"RuntimeError: {text}", last_message(text))
    assert (ended.error_type, ended.error_message) == (ErrorType.SERVER_ERROR, f"RuntimeError: {text}")  # fmt: skip


# An output file alone.


@pytest.mark.parametrize(
    ("ending", "mode", "status", "expected", "error_type"),
    [
        (OutputStatus.ANSWERED, Mode.SCRIPT, None, Outcome.SUCCESS, None),
        (OutputStatus.NO_OUTPUT, Mode.SCRIPT, ("ok", None), Outcome.SUCCESS, None),
        (OutputStatus.GATED, Mode.AGENT, None, Outcome.SKIPPED, None),
        (OutputStatus.GATED, Mode.SCRIPT, None, Outcome.SUCCESS, None),
        (OutputStatus.GATED, Mode.SCRIPT, ("error", "no script is set"), Outcome.FAILURE, ErrorType.INVALID_CONFIG),
        (OutputStatus.FAILED, Mode.SCRIPT, None, Outcome.TIMEOUT, ErrorType.TIMEOUT),
        (OutputStatus.EMPTY, Mode.AGENT, ("ok", None), Outcome.FAILURE, ErrorType.EMPTY_RESPONSE),
    ],
)  # fmt: skip
def test_a_run_that_left_a_file_alone_ended_as_the_file_and_the_job_say(
    ending: OutputStatus,
    mode: Mode,
    status: tuple[str, str | None] | None,
    expected: Outcome,
    error_type: ErrorType | None,
) -> None:
    error = "Script timed out after 3600s: check.sh" if ending is OutputStatus.FAILED else None
    ended = from_output(output(ending, error), job=job(mode=mode), job_status=status)
    assert (ended.outcome, ended.error_type, ended.source) == (
        expected,
        error_type,
        OutcomeSource.JOB,
    )


def test_a_deleted_job_s_gate_is_known_by_the_file() -> None:
    ended = from_output(output(OutputStatus.GATED), job=None, job_status=None)
    assert ended.outcome is Outcome.SKIPPED


# Silence.


def host_is_silent(text: str) -> bool:
    """cron/scheduler.py `_is_cron_silence_response`, 0.19.0, word for word."""
    stripped = text.strip()
    if not stripped:
        return False

    def is_token(line: str) -> bool:
        tokens = {"[SILENT]", "SILENT", "NO_REPLY", "NO REPLY"}
        return " ".join(line.strip().upper().split()) in tokens

    if is_token(stripped):
        return True
    lines = [line for line in stripped.splitlines() if line.strip()]
    if lines and (is_token(lines[0]) or is_token(lines[-1])):
        return True
    return stripped.upper().startswith("[SILENT]")


words = st.sampled_from(
    ["[SILENT]", "silent", "No Reply", "NO_REPLY", "[silent] nothing new", "NO", "REPLY", " ", "\n",
     "\n\n", "\t", "\u2028", "Report:", "I stay [SILENT] here", "Silent retry succeeded", "x" * 300,
     "é"]
)  # fmt: skip


@given(st.lists(words, max_size=6).map(" ".join) | st.lists(words, max_size=6).map("".join))
@example("2 deals filtered\n\n[SILENT]")
@example("NO\nREPLY")
@example("Done." + " " * 300)
@example("Done.\n" + "x" * 300 + " SILENT")
@example(" " * 300 + "[SILENT]")
@example("\n" * 300 + "All good.")
def test_silence_is_the_host_s_own_rule(text: str) -> None:
    expected = host_is_silent(text) if text.strip() else None
    assert is_silent(last_message(text)) == expected


def test_only_an_answer_can_be_silent() -> None:
    assert is_silent(None) is None
    assert is_silent(last_message("[SILENT]", role="user")) is None
    assert is_silent(last_message("   ")) is None
