"""The picture of a trace, from plain spans."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.cli.formats import UNKNOWN
from cronalytics_otel.cli.waterfall import draw
from cronalytics_otel.model import AttributeValue, Span, SpanEvent, SpanKind
from cronalytics_otel.telemetry import semconv as sc

SECOND = 1_000_000_000


def span(
    span_id: int,
    parent_id: int | None,
    name: str,
    start_s: float,
    end_s: float,
    error: str | None = None,
    attributes: dict[str, AttributeValue] | None = None,
) -> Span:
    return Span(
        trace_id=1,
        span_id=span_id,
        parent_id=parent_id,
        name=name,
        kind=SpanKind.INTERNAL,
        start_ns=round(start_s * SECOND),
        end_ns=round(end_s * SECOND),
        attributes=attributes or {},
        error=error,
    )


def lines(spans: list[Span], width: int | None) -> list[str]:
    return [line.plain.rstrip() for line in draw(spans, width)]


def test_bars_stand_on_one_scale_and_meet_where_steps_meet() -> None:
    spans = [
        span(1, None, "cron job", 0, 8),
        span(2, 1, "first", 0, 2),
        span(3, 1, "second", 2, 7),
        span(4, 1, "last", 7, 8),
    ]

    assert lines(spans, 33) == [
        "          0          8.0 s",
        "cron job  ████████████████  8.0 s",
        "├ first   ████              2.0 s",
        "├ second      ██████████    5.0 s",
        "└ last                  ██  1.0 s",
    ]


def test_the_start_of_a_run_is_drawn_as_waiting() -> None:
    spans = [
        span(1, None, "cron job", 0, 8),
        span(2, 1, "startup", 0, 5),
        span(3, 1, "invoke_agent hermes", 5, 8),
    ]

    _, root, startup, agent = draw(spans, 60)

    assert [str(part.style) for part in startup.spans if "█" in startup.plain[slice(*part[:2])]] == ["muted"]  # fmt: skip
    assert "bar" in {str(part.style) for part in agent.spans}
    assert "bar" in {str(part.style) for part in root.spans}


def test_missed_runs_have_no_length_and_no_bar() -> None:
    missed: dict[str, AttributeValue] = {sc.HERMES_CRON_RUN_OUTCOME: "missed"}

    (line,) = lines([span(1, None, "missed job", 9, 9, "Should have run", missed)], 80)
    assert line.split() == ["✗", "missed", "job", UNKNOWN]


def test_the_order_is_that_of_time_whatever_the_order_given() -> None:
    spans = [
        span(1, None, "root", 0, 4),
        span(4, 1, "late", 3, 4),
        span(5, 4, "in late", 3, 4),
        span(2, 1, "early", 1, 2),
        span(3, 2, "in early", 1, 2),
    ]

    assert [line.split("  ")[0] for line in lines(spans, None)[1:]] == [
        "root",
        "├ early",
        "│ └ in early",
        "└ late",
        "",
    ]


def test_the_shortest_step_can_be_seen() -> None:
    spans = [span(1, None, "root", 0, 3600), span(2, 1, "blink", 3600, 3600)]

    assert lines(spans, 40)[2].split() == ["└", "blink", "▐", "0", "ms"]


def test_a_run_that_took_no_time_is_drawn() -> None:
    assert "▌" in lines([span(1, None, "root", 5, 5)], 60)[1]


def test_where_no_time_is_known_none_is_drawn() -> None:
    """A run that left an output file alone."""
    alone = {"hermes.cron.run.time_source": "output"}
    spans = [span(1, None, "root", 5, 5, attributes=dict(alone)), span(2, 1, "script", 5, 5)]

    assert [line.split() for line in lines(spans, 60)] == [
        ["root", UNKNOWN],
        ["└", "script", UNKNOWN],
    ]


def test_steps_that_were_written_down_late_have_no_length() -> None:
    late = {"hermes.cron.trace.partial": "untimed"}
    spans = [span(1, None, "root", 0, 5, attributes=dict(late)), span(2, 1, "chat", 5, 5)]

    assert [line.split()[-2:] for line in lines(spans, 60)[1:]] == [["5.0", "s"], ["▐", UNKNOWN]]


def test_a_step_whose_parent_is_not_there_stands_at_the_top() -> None:
    spans = [span(1, None, "root", 0, 2), span(9, 77, "orphan", 1, 2)]

    assert [line.split()[0] for line in lines(spans, 60)[1:]] == ["root", "orphan"]


def test_errors_are_marked_and_told_once() -> None:
    spans = [
        span(1, None, "cron job", 0, 2, "HTTP 500"),
        span(2, 1, "invoke_agent", 0, 2, "HTTP 500"),
        span(3, 2, "execute_tool", 0, 1, "exit status 3: no such file or directory\nand more"),
        span(4, 2, "chat", 1, 2),
    ]

    assert lines(spans, 50) == [
        "                    0                 2.0 s",
        "✗ cron job          ███████████████████████  2.0 s",
        "└ ✗ invoke_agent    ███████████████████████  2.0 s",
        "  ├ ✗ execute_tool  ███████████▌             1.0 s",
        "  │   exit status 3: no such file or directory",
        "  └ chat                       ▐███████████  1.0 s",
    ]
    assert "  │   exit status 3: no such file or directory" in lines(spans, None)
    assert "  │   exit status 3: no such file or d…" in lines(spans, 39)


def test_a_step_without_a_result_says_so() -> None:
    unfinished = span(
        2, 1, "execute_tool x", 0, 1, attributes={sc.HERMES_CRON_STEP_UNFINISHED: True}
    )

    assert "└ execute_tool x (no result)" in lines([span(1, None, "root", 0, 1), unfinished], 80)[2]


def test_tokens_and_cost_stand_where_they_are_known() -> None:
    spans = [
        span(
            1, None, "cron job", 0, 1,
            attributes={
                sc.HERMES_CRON_USAGE_TOTAL_TOKENS: 2100,
                sc.HERMES_CRON_COST_TOTAL: 0.0043,
                sc.HERMES_CRON_COST_STATUS: "partial",
            },
        ),
        span(
            2, 1, "chat", 0, 1,
            attributes={sc.GEN_AI_USAGE_INPUT_TOKENS: 1000, sc.GEN_AI_USAGE_OUTPUT_TOKENS: 50},
        ),
    ]  # fmt: skip

    assert [line[line.index("1.0 s") :] for line in lines(spans, 80)[1:]] == [
        "1.0 s  2,100 tok  ≥$0.0043",
        "1.0 s  1,050 tok",
    ]


def test_deep_nesting_leaves_room_for_names() -> None:
    spans = [span(1, None, "root", 0, 1)]
    spans += [span(n, n - 1, f"step {n}", 0, 1) for n in range(2, 40)]

    assert "└ step 39" in lines(spans, 80)[-1]


def test_a_name_cannot_drive_the_terminal() -> None:
    (_, line) = lines([span(1, None, "a\x1b[2Jb\nc", 0, 1)], 60)

    assert line.startswith("a [2Jb  ")


def test_no_spans_are_no_lines() -> None:
    assert lines([], 80) == []


names = st.text(st.characters(codec="utf-8"), max_size=30)


@given(
    width=st.integers(30, 200),
    steps=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 10**12), st.integers(0, 10**12), names),
        min_size=1,
        max_size=30,
    ),
)
def test_every_span_has_its_line_and_none_is_wider_than_the_terminal(
    width: int, steps: list[tuple[int, int, int, str]]
) -> None:
    spans = [
        span(n, parent if 0 < parent < n else None, f"x{name}", 0, 0)._replace(
            start_ns=start, end_ns=start + length
        )
        for n, (parent, start, length, name) in enumerate(steps, 1)
    ]

    drawn = draw(spans, width)

    assert max(line.cell_len for line in drawn) <= width
    assert len(drawn) - len(spans) in (0, 1)  # the scale


@pytest.mark.parametrize("width", [1, 5, 12])
def test_the_narrowest_terminal_is_no_crash(width: int) -> None:
    assert len(lines([span(1, None, "root", 0, 1)], width)) == 1


def test_what_happened_in_a_step_stands_below_it_with_its_time() -> None:
    events = (
        SpanEvent(
            name=sc.EVENT_EXCEPTION,
            time_ns=3 * SECOND,
            attributes={
                sc.ERROR_TYPE: "rate_limited",
                sc.HTTP_RESPONSE_STATUS_CODE: 429,
                sc.EXCEPTION_MESSAGE: "slow down",
                sc.HERMES_CRON_RETRY_ATTEMPT: 0,
                sc.HERMES_CRON_RETRY_LIMIT: 3,
            },
        ),
        SpanEvent(
            name=sc.EVENT_MODEL_FALLBACK,
            time_ns=4 * SECOND,
            attributes={
                sc.HERMES_CRON_FALLBACK_FROM_MODEL: "opus",
                sc.HERMES_CRON_FALLBACK_TO_MODEL: "gpt",
            },
        ),
        SpanEvent(
            name=sc.EVENT_TOOL_APPROVAL,
            time_ns=5 * SECOND,
            attributes={sc.HERMES_CRON_APPROVAL_SURFACE: "smart"},
        ),
    )
    chat = span(2, 1, "chat gpt", 2, 6)._replace(events=events)

    assert lines([span(1, None, "cron job", 1, 9), chat], None)[3:] == [
        "    2.0 s: attempt 1 of 3 failed: rate_limited, HTTP 429. slow down",
        "    3.0 s: fell back from opus to gpt",
        "    4.0 s: needed consent (smart): no answer",
    ]


def test_an_event_that_tells_little_is_told_as_far_as_it_is_known() -> None:
    event = SpanEvent(name=sc.EVENT_EXCEPTION, time_ns=SECOND, attributes={sc.ERROR_TYPE: "_OTHER"})
    agent = span(1, None, "agent", 0, 2)._replace(events=(event,))

    assert lines([agent], 60)[2] == "  1.0 s: attempt failed: _OTHER"


def test_an_answer_that_took_several_says_so() -> None:
    chat = span(1, None, "chat gpt", 0, 2, attributes={sc.HERMES_CRON_STEP_API_CALLS: 4})

    assert lines([chat], 60)[1].startswith("chat gpt (4 answers)")
