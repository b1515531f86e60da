"""What may leave of a text: masked, cut, or not at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.model import Message, Outcome, ToolCall
from cronalytics_otel.redaction import MASK, mask
from cronalytics_otel.telemetry.content import (
    _HOST_ID,
    ERROR_TEXT_CHARS,
    ContentMode,
    ContentPolicy,
    _fair_limit,
    cut,
    error_text,
    masked_and_cut,
    messages_json,
    name_text,
    value_text,
    well_formed,
)
from tests.support.secrets import BARE_SECRETS
from tests.support.traces import a_run


def test_a_huge_text_is_shortened_before_it_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a tool read cannot hold up the export."""
    lengths: list[int] = []

    def spy(text: str) -> str:
        lengths.append(len(text))
        return mask(text)

    monkeypatch.setattr("cronalytics_otel.telemetry.content.mask", spy)
    assert len(masked_and_cut("password: x " * 1_000_000, 4_000)) == 4_000
    assert lengths == [4_000 + 4 * 2_048]


def test_a_text_is_masked_before_it_is_cut() -> None:
    """Else the head of a key would be too short to be recognised."""
    secret = BARE_SECRETS["openai"]
    for limit in range(12, 60):
        assert "sk-abc" not in masked_and_cut(f"the key was {secret}", limit)


@given(st.integers(1, 200), st.integers(0, 12_000), st.sampled_from(["openai", "pem", "jwt"]))
def test_no_part_of_a_secret_survives_the_cut(limit: int, at: int, name: str) -> None:
    secret = BARE_SECRETS[name]
    shown = masked_and_cut("x" * at + " " + secret + " " + "y " * 6_000, limit)
    assert len(shown) <= limit
    assert secret[:12] not in shown


def test_a_long_text_keeps_its_head() -> None:
    text = "word " * 10_000
    assert masked_and_cut(text, 400) == text[:399] + "…"


@given(st.text(max_size=50), st.integers(1, 60))
def test_a_cut_text_fits(text: str, limit: int) -> None:
    shown = cut(text, limit)
    assert len(shown) <= limit
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


def test_an_error_text_is_bounded_masked_or_none() -> None:
    assert error_text(None) is None
    assert error_text(" \n") is None
    assert error_text(" HTTP 401: key sk-fake1234 \n") == f"HTTP 401: key {MASK}"
    assert len(error_text("x " * 5_000) or "") == ERROR_TEXT_CHARS


def test_a_name_is_one_bounded_line() -> None:
    assert name_text("nightly\n  digest ") == "nightly digest"
    assert name_text("  ") is None
    assert len(name_text("x" * 1_000) or "") == 128


def test_a_value_is_kept_as_it_is() -> None:
    assert value_text(" nightly  digest") == " nightly  digest"
    assert value_text("\t") is None
    assert value_text(None) is None


@given(st.from_regex(_HOST_ID, fullmatch=True))
def test_the_masks_would_leave_alone_what_passes_for_an_id_of_the_host(text: str) -> None:
    assert mask(text) == text


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert well_formed("a\ud800b") == "a\ufffdb"
    assert well_formed("🚀") == "🚀"


def test_a_nul_becomes_the_replacement_character() -> None:
    assert well_formed("a\0b") == well_formed("a\ufffdb") == "a\ufffdb"


def test_a_nul_that_json_has_escaped_is_replaced_too() -> None:
    """It is a NUL again in a store that reads the JSON."""
    call = ToolCall(call_id="c", name="t", arguments='{"a": "x\\u0000y"}')
    written = messages_json(
        [Message(role="assistant", content="", timestamp_ns=0, tool_calls=(call,))], 1_000
    )

    assert written is not None
    (part,) = json.loads(written)[0]["parts"]
    assert part["arguments"] == {"a": "x\ufffdy"}


@pytest.mark.parametrize(
    ("mode", "of_success", "of_failure"),
    [
        (ContentMode.OFF, False, False),
        (ContentMode.ERRORS, False, True),
        (ContentMode.FULL, True, True),
    ],
)
def test_a_policy_says_whose_content_leaves(
    mode: ContentMode, of_success: bool, of_failure: bool
) -> None:
    policy = ContentPolicy(mode=mode)
    assert policy.includes(a_run()) is of_success
    assert policy.includes(a_run(outcome=Outcome.FAILURE)) is of_failure


@pytest.mark.parametrize("general", ContentMode)
def test_what_a_policy_says_of_a_job_goes_before_what_it_says_of_all(general: ContentMode) -> None:
    jobs = {"payroll": ContentMode.OFF, "digest": ContentMode.FULL, "flaky": ContentMode.ERRORS}
    policy = ContentPolicy(mode=general, jobs=jobs)
    assert not policy.includes(a_run(job_name="payroll", outcome=Outcome.FAILURE))
    assert policy.includes(a_run(job_name=" digest "))
    assert not policy.includes(a_run(job_name="flaky"))
    assert policy.includes(a_run(job_name="flaky", outcome=Outcome.FAILURE))
    assert policy.includes(a_run(job_name="other")) is (general is ContentMode.FULL)


def test_a_job_is_asked_for_by_its_id_before_its_name() -> None:
    """Two jobs may have one name, and a name may be changed."""
    policy = ContentPolicy(jobs={"0123456789ab": ContentMode.OFF, "digest": ContentMode.FULL})
    assert policy.includes(a_run(job_id="ba9876543210", job_name="digest"))
    assert not policy.includes(a_run(job_id="0123456789ab", job_name="digest"))


def test_content_is_off_unless_switched_on() -> None:
    assert ContentPolicy().mode is ContentMode.OFF


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="max_chars must be at least 1, not 0"):
        ContentPolicy(max_chars=0)


def test_messages_have_the_shape_of_the_genai_conventions() -> None:
    messages = (
        Message(role="user", timestamp_ns=1, content="What is the weather?"),
        Message(
            role="assistant",
            timestamp_ns=2,
            content="",
            finish_reason="tool_calls",
            tool_calls=(ToolCall(call_id="c1", name="weather", arguments='{"city": "Rome"}'),),
        ),
        Message(role="tool", timestamp_ns=3, content="sunny", tool_call_id="c1"),
    )
    assert json.loads(messages_json(messages, 1_000) or "") == [
        {"role": "user", "parts": [{"type": "text", "content": "What is the weather?"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "c1", "name": "weather",
                 "arguments": {"city": "Rome"}},
            ],
            "finish_reason": "tool_call",
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1",
                                    "response": "sunny"}]},
    ]  # fmt: skip


def test_no_messages_are_no_attribute() -> None:
    assert messages_json((), 100) is None


def test_the_texts_of_all_messages_share_one_limit() -> None:
    messages = tuple(Message(role="user", timestamp_ns=n, content="x" * 40) for n in range(5))
    shaped = json.loads(messages_json(messages, 100) or "")
    shown = [message["parts"][0]["content"] for message in shaped]
    assert shown == ["x" * 40, "x" * 40, "x" * 19 + "…", "…", "…"]


def test_messages_are_masked() -> None:
    secret = BARE_SECRETS["openai"]
    message = Message(
        role="assistant",
        timestamp_ns=1,
        content=f"I used {secret}",
        tool_calls=(ToolCall(call_id="c", name="t", arguments=f'{{"k": "{secret}"}}'),),
    )
    assert secret not in (messages_json((message,), 1_000) or "")


@given(st.lists(st.integers(0, 50), max_size=8), st.integers(0, 300), st.integers(1, 60))
def test_the_limit_of_a_long_trace_is_the_greatest_that_fits(
    lengths: list[int], total: int, most: int
) -> None:
    def taken(limit: int) -> int:
        return sum(min(length, limit) for length in lengths)

    limit = _fair_limit(lengths, total, most)
    assert 1 <= limit <= most
    assert limit == 1 or taken(limit) <= total
    assert limit == most or taken(limit + 1) > total
