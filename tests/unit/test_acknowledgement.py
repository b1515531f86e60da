"""What a receipt means for the runs in a request."""

from __future__ import annotations

import pytest

from cronalytics_otel.export.acknowledgement import (
    MAX_BAD_REQUESTS,
    Consequence,
    Verdict,
    consequence_of,
)


def consequence(
    verdict: Verdict,
    *,
    runs: int = 1,
    bad_requests_in_a_row: int = 1,
    can_omit_content: bool = True,
) -> Consequence:
    return consequence_of(
        verdict,
        runs=runs,
        bad_requests_in_a_row=bad_requests_in_a_row,
        can_omit_content=can_omit_content,
    )


@pytest.mark.parametrize("runs", [1, 2, 256])
@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.ACCEPTED, Consequence.DONE),
        (Verdict.RETRY, Consequence.BACK_OFF),
        (Verdict.DENIED, Consequence.SET_ASIDE_AND_BACK_OFF),
        (Verdict.PARTIAL, Consequence.SET_ASIDE_AND_SHRINK),
    ],
)
def test_what_concerns_the_whole_request_does_not_depend_on_its_size(
    verdict: Verdict, expected: Consequence, runs: int
) -> None:
    assert consequence(verdict, runs=runs) is expected


@pytest.mark.parametrize("verdict", [Verdict.BAD_REQUEST, Verdict.TOO_LARGE])
def test_several_runs_are_halved_to_find_the_one_at_fault(verdict: Verdict) -> None:
    assert consequence(verdict, runs=2) is Consequence.HALVE


def test_one_run_that_is_too_large_goes_without_content_and_then_is_set_aside() -> None:
    assert consequence(Verdict.TOO_LARGE) is Consequence.WITHOUT_CONTENT
    assert consequence(Verdict.TOO_LARGE, can_omit_content=False) is Consequence.SET_ASIDE


def test_one_run_that_is_refused_is_a_suspect() -> None:
    assert consequence(Verdict.BAD_REQUEST) is Consequence.SUSPECT


@pytest.mark.parametrize("runs", [1, 2])
def test_many_refusals_in_a_row_are_the_fault_of_the_server(runs: int) -> None:
    refused = [
        consequence(Verdict.BAD_REQUEST, runs=runs, bad_requests_in_a_row=number)
        for number in (MAX_BAD_REQUESTS - 1, MAX_BAD_REQUESTS)
    ]
    assert refused[0] is not Consequence.BACK_OFF
    assert refused[1] is Consequence.BACK_OFF
