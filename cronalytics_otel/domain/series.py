"""What a final run adds to the series of the metrics."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from ..model import ModelCall, Observations, Outcome, Run, ScheduleKind
from ..model.series import ONCE, SeriesKey, SeriesKind, SeriesValue, TokenType
from .errors import classify_api_error

BOUNDS: Final[Mapping[SeriesKind, tuple[float, ...]]] = {
    SeriesKind.DURATION: (
        0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400,
    ),
    SeriesKind.LATENESS: (1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400),
    SeriesKind.CALL_TOKENS: tuple(4.0**power for power in range(14)),
    SeriesKind.CALL_DURATION: tuple(0.01 * 2**power for power in range(14)),
}  # fmt: skip
"""The upper bounds of the buckets of each histogram; a value that equals one is in its bucket. The last two
are those of the GenAI conventions. A changed bound would need new series."""

_Key: TypeAlias = tuple[SeriesKind, str, str, tuple[str, ...]]
"""The values of a `SeriesKey`."""

Measured: TypeAlias = tuple[_Key, float]
"""A series with what one run adds to it: the increment of a counter, or a
value of a histogram."""


def measurements(run: Run) -> Iterator[Measured]:
    """Yield what a run adds to each series."""
    if run.schedule_kind is ScheduleKind.ONCE:
        job_id, job_name = ONCE, ONCE
    else:
        job_id, job_name = run.job_id, run.job_name
    outcome = run.outcome
    count = run.missed_count or 1 if outcome is Outcome.MISSED else 1
    yield (SeriesKind.RUNS, job_id, job_name, (outcome,)), count
    if run.error_type is not None:
        yield (SeriesKind.ERRORS, job_id, job_name, (run.error_type,)), count
    if (duration_s := run.duration_s) is not None:
        yield (SeriesKind.DURATION, job_id, job_name, _FAILED if run.failed else _WELL), duration_s
    if (lateness_s := run.lateness_s) is not None:
        yield (SeriesKind.LATENESS, job_id, job_name, ()), lateness_s
    if run.cost_is_unknown:
        yield (SeriesKind.UNPRICED_RUNS, job_id, job_name, (run.model or "",)), 1
    if run.delivery_outcome is not None:
        yield (SeriesKind.DELIVERIES, job_id, job_name, (run.delivery_outcome,)), 1
    for part in run.model_usage:
        usage, cost_usd = part.usage, part.known_cost_usd
        names = (part.model or "", part.provider or "")
        if usage is not None:
            yield (
                (SeriesKind.TOKENS, job_id, job_name, (*names, TokenType.INPUT)),
                usage.input_tokens,
            )
            yield (
                (SeriesKind.TOKENS, job_id, job_name, (*names, TokenType.OUTPUT)),
                usage.output_tokens,
            )
        if cost_usd is not None:
            status = part.cost_status or ""
            yield (SeriesKind.COST, job_id, job_name, (*names, status)), cost_usd
    if run.model_usage:
        return
    # As `Run.usage_by_model`, without its record: a first sync asks this for each run of a long history.
    names = (run.model or "", run.provider or "")
    if run.usage is not None:
        input_tokens, output_tokens = run.usage.input_tokens, run.usage.output_tokens
        yield (SeriesKind.TOKENS, job_id, job_name, (*names, TokenType.INPUT)), input_tokens
        yield (SeriesKind.TOKENS, job_id, job_name, (*names, TokenType.OUTPUT)), output_tokens
    if (cost_usd := run.known_cost_usd) is not None:
        yield (SeriesKind.COST, job_id, job_name, (*names, run.cost_status or "")), cost_usd


_FAILED: Final = ("true",)
_WELL: Final = ("false",)


def call_measurements(observations: Observations) -> Iterator[Measured]:
    """Yield what the observed model calls of one session add: their durations, and the tokens of those
    that were answered."""
    for call in observations.attempts:
        names = (call.model or "", call.provider or "")
        duration_s = max(0, call.ended_ns - call.started_ns) / 1e9
        if not isinstance(call, ModelCall):
            labels = (*names, "", classify_api_error(call.reason, call.status_code, call.message))
            yield (SeriesKind.CALL_DURATION, "", "", labels), duration_s
            continue
        response = call.response_model or ""
        yield (SeriesKind.CALL_DURATION, "", "", (*names, response, "")), duration_s
        if call.usage is not None:
            for token_type, count in (
                (TokenType.INPUT, call.usage.input_tokens),
                (TokenType.OUTPUT, call.usage.output_tokens),
            ):
                yield (SeriesKind.CALL_TOKENS, "", "", (*names, response, token_type)), count


def increments(measured: Iterable[Measured]) -> dict[SeriesKey, SeriesValue]:
    """Return the sum of what is added to each series. A value that is below 0 or not finite adds nothing.

    The series of a job's outcomes begin together: those that no run had are among the result with 0.
    """
    values = defaultdict[_Key, list[float]](list)
    for key, value in measured:
        values[key].append(value)
    sums: dict[SeriesKey, SeriesValue] = {}
    for key in values:
        for each in _beginning_with(key):
            if each not in sums:
                sums[each] = _sum_of(each.kind, values.get(each, []))
    return sums


def _beginning_with(key: _Key) -> list[SeriesKey]:
    kind, job_id, job_name, _ = key
    if kind is not SeriesKind.RUNS:
        return [SeriesKey(*key)]
    return [SeriesKey(kind, job_id, job_name, (outcome,)) for outcome in Outcome]


def _sum_of(kind: SeriesKind, values: list[float]) -> SeriesValue:
    valid = [value for value in values if 0 <= value < math.inf]
    bounds = BOUNDS.get(kind)
    if bounds is None:
        return SeriesValue(value=sum(valid))
    counts = Counter(bucket_of(bounds, value) for value in valid)
    buckets = tuple(counts[place] for place in range(len(bounds) + 1))
    return SeriesValue(value=sum(valid), buckets=buckets)


def bucket_of(bounds: Sequence[float], value: float) -> int:
    """Return the index of the bucket that a value falls into. A value that equals a bound is below it."""
    return bisect_left(bounds, value)
