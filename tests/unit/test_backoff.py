"""When a destination is tried, and for how long; the exporter's tests show the same in use."""

from __future__ import annotations

import pytest

from cronalytics_otel.export.backoff import (
    ASKED_MAX_S,
    FULL_TRY_EVERY,
    PROBE_TIMEOUT_S,
    is_probe,
    next_try_ns,
    next_wait_s,
    request_timeout_s,
)
from cronalytics_otel.journal.outbox import DestinationProgress
from cronalytics_otel.model.times import NS

NOW_NS = 1_800_000_000 * NS


def progress(
    *,
    failures: int = 1,
    next_try_ns: int | None = None,
    asked_to_wait: bool = False,
    timed_out: bool = False,
) -> DestinationProgress:
    return DestinationProgress(
        id=1,
        name="a",
        endpoint="http://a",
        failures=failures,
        next_try_ns=next_try_ns,
        asked_to_wait=asked_to_wait,
        timed_out=timed_out,
    )


@pytest.mark.parametrize(
    ("failures", "retry_after_s", "jitter", "expected"),
    [
        (0, None, 1.0, (1.0, False)),
        (3, None, 0.5, (4.0, False)),
        (0, 120.0, 1.5, (120.0, True)),
        (6, 50.0, 1.0, (64.0, False)),
        (0, 1e12, 1.0, (ASKED_MAX_S, True)),
    ],
)
def test_the_wait_is_the_longer_one_of_ours_and_the_servers(
    failures: int, retry_after_s: float | None, jitter: float, expected: tuple[float, bool]
) -> None:
    assert next_wait_s(failures, retry_after_s, jitter) == expected


def test_a_wait_that_is_over_or_impossible_is_none() -> None:
    never_failed, over = progress(), progress(next_try_ns=NOW_NS)
    impossible = progress(next_try_ns=NOW_NS + round((ASKED_MAX_S + 1) * NS))
    for one in (never_failed, over, impossible):
        assert next_try_ns(one, now_ns=NOW_NS, eager=False) is None


def test_an_eager_sync_passes_over_our_own_wait_alone() -> None:
    next_ns = NOW_NS + NS
    own = progress(next_try_ns=next_ns)
    asked = progress(next_try_ns=next_ns, asked_to_wait=True)
    assert next_try_ns(own, now_ns=NOW_NS, eager=False) == next_ns
    assert next_try_ns(own, now_ns=NOW_NS, eager=True) is None
    assert next_try_ns(asked, now_ns=NOW_NS, eager=True) == next_ns


def test_a_silent_destination_is_probed_in_a_hurry_but_for_every_eighth_try() -> None:
    tries = [is_probe(progress(failures=n, timed_out=True), hurried=True) for n in range(1, 17)]
    assert [n for n, probe in enumerate(tries, 1) if not probe] == [
        FULL_TRY_EVERY,
        2 * FULL_TRY_EVERY,
    ]
    assert not is_probe(progress(timed_out=True), hurried=False)
    assert not is_probe(progress(timed_out=False), hurried=True)


def test_a_request_ends_before_the_host_stops_waiting() -> None:
    assert request_timeout_s((None, None), probe=False) is None
    assert request_timeout_s((2.0, None), probe=False) == 1.8
    assert request_timeout_s((0.1, 2.0), probe=False) == 0.05
    assert request_timeout_s((None, None), probe=True) == PROBE_TIMEOUT_S
