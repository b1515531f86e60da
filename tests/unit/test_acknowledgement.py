"""What a receipt means for the runs in a request."""

from __future__ import annotations

import pytest

from cronalytics_otel.export.acknowledgement import (
    MAX_BAD_REQUESTS,
    Consequence,
    Verdict,
    consequence_of,
    doubt_wait_ns,
    fault_of_http,
    verdict_of_http,
)
from cronalytics_otel.model.times import NS


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


def test_a_server_error_for_several_runs_sends_the_first_alone_and_puts_that_one_in_doubt() -> None:
    assert consequence(Verdict.SERVER_ERROR, runs=2) is Consequence.FIRST_ALONE
    assert consequence(Verdict.SERVER_ERROR) is Consequence.DOUBT


def test_the_waits_of_a_run_in_doubt_are_a_minute_and_an_hour() -> None:
    assert [doubt_wait_ns(tries) for tries in (0, 1)] == [60 * NS, 3600 * NS]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([301, 401, 402, 403, 404, 405, 407, 408, 409, 410, 415, 418, 421, 425, 429, 451], Verdict.RETRY),
        ([501, 502, 503, 504], Verdict.RETRY),
        ([500, 505, 507, 520, 530, 599], Verdict.SERVER_ERROR),
        ([413], Verdict.TOO_LARGE),
        ([400, 422], Verdict.BAD_REQUEST),
    ],
)  # fmt: skip
def test_only_what_concerns_the_content_of_a_request_is_for_good(
    statuses: list[int], verdict: Verdict
) -> None:
    assert {verdict_of_http(status) for status in statuses} == {verdict}
    assert all(
        (fault_of_http(status) is None) == (400 in statuses or 413 in statuses)
        for status in statuses
    )


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
