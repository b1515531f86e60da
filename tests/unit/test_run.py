"""What a run says of its own cost and usage. Spans, tables and totals all ask these properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from cronalytics_otel.model import CostStatus, Mode, Outcome, Run, Usage
from tests import strategies
from tests.support.cli import DIGEST

UNKNOWN, PARTIAL, KNOWN, NOTHING = "unknown", "partial", "known", "nothing"


def what_is_known(run: Run) -> str:
    """The one answer that all properties together give."""
    if run.cost_is_unknown:
        return UNKNOWN
    if run.cost_is_partial:
        return PARTIAL
    return NOTHING if run.known_cost_usd is None else KNOWN


@pytest.mark.parametrize(
    ("cost_usd", "status", "known_usd", "answer"),
    [
        (0.5, CostStatus.ACTUAL, 0.5, KNOWN),
        (0.5, CostStatus.ESTIMATED, 0.5, KNOWN),
        (0.5, CostStatus.PARTIAL, 0.5, PARTIAL),
        (0.0, CostStatus.INCLUDED, 0.0, KNOWN),
        (None, CostStatus.INCLUDED, None, NOTHING),
        (None, CostStatus.UNKNOWN, None, UNKNOWN),
        (None, None, None, UNKNOWN),
    ],
)
def test_the_cost_of_an_agent_is_known_partial_or_unknown(
    cost_usd: float | None, status: CostStatus | None, known_usd: float | None, answer: str
) -> None:
    run = replace(DIGEST, cost_usd=cost_usd, cost_status=status)

    assert (run.known_cost_usd, what_is_known(run)) == (known_usd, answer)


def test_a_zero_that_a_host_wrote_for_an_unknown_cost_is_unknown() -> None:
    run = replace(DIGEST, cost_usd=0.0, cost_status=CostStatus.UNKNOWN)

    assert (run.known_cost_usd, what_is_known(run)) == (None, UNKNOWN)


@pytest.mark.parametrize(
    "run",
    [
        replace(DIGEST, mode=Mode.SCRIPT),
        replace(DIGEST, outcome=Outcome.SKIPPED),
        replace(DIGEST, outcome=Outcome.MISSED),
        replace(DIGEST, api_calls=0),
    ],
)
def test_a_run_that_called_no_model_has_no_unknown_cost(run: Run) -> None:
    assert what_is_known(replace(run, cost_usd=None, cost_status=None)) == NOTHING


def test_a_host_that_says_unknown_is_believed_though_no_call_was_counted() -> None:
    run = replace(DIGEST, api_calls=0, cost_usd=None, cost_status=CostStatus.UNKNOWN)

    assert run.cost_is_unknown


def test_tokens_that_nobody_counted_are_unknown_and_not_zero() -> None:
    assert replace(DIGEST, usage=None).total_tokens is None
    assert replace(DIGEST, usage=Usage()).total_tokens == 0
    assert replace(DIGEST, usage=Usage(input_tokens=7, output_tokens=2)).total_tokens == 9


@given(strategies.runs)
def test_an_unknown_cost_has_no_amount_and_a_partial_one_has(run: Run) -> None:
    assert not (run.cost_is_unknown and run.known_cost_usd is not None)
    assert not (run.cost_is_partial and run.known_cost_usd is None)
