"""How long the runs of a job usually take, and when a run that is going on hangs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from ..domain.percentiles import percentile
from ..journal import Journal
from ..journal.filters import RunFilter
from ..model import Outcome
from ..model.times import NS

HUNG_FACTOR: Final = 3
"""A run hangs when it has been going on for so many times its job's 95th percentile."""

HUNG_LEAST_S: Final = 600.0
"""No run that is younger hangs: that is Hermes's own limit on an agent in which nothing happens."""

HUNG_UNKNOWN_S: Final = 6 * 3600.0
"""The same for a job whose usual duration is not known."""

USUAL_DAYS: Final = 30
"""The usual duration of a job is the 95th percentile of so many days."""

USUAL_LEAST_RUNS: Final = 5
"""Of fewer runs nothing is usual."""


def is_hung(elapsed_s: float, usual_s: float | None) -> bool:
    """Return whether a run that has been going on for so long hangs."""
    if usual_s is None:
        return elapsed_s > HUNG_UNKNOWN_S
    return elapsed_s > max(HUNG_FACTOR * usual_s, HUNG_LEAST_S)


_SAY_NOTHING: Final = frozenset({Outcome.SKIPPED, Outcome.MISSED, Outcome.ABANDONED})
"""Their runs do not say how long a run takes: a gate is quick, and the end of an abandoned run is a guess."""


def usual_durations_s(journal: Journal, now_ns: int, job_ids: Collection[str]) -> dict[str, float]:
    """Return by job the 95th percentile of the durations of its runs lately; a job with too few is left out."""
    wanted = RunFilter(
        jobs=frozenset(job_ids),
        since_ns=now_ns - USUAL_DAYS * 86_400 * NS,
        outcomes=frozenset(Outcome) - _SAY_NOTHING,
    )
    found = journal.job_runs.durations_ns(wanted)
    return {
        job_id: usual_ns / NS
        for job_id, durations_ns in found.items()
        if len(durations_ns) >= USUAL_LEAST_RUNS
        and (usual_ns := percentile(durations_ns, 95)) is not None
    }


def usual_duration_s(journal: Journal, job_id: str, now_ns: int) -> float | None:
    """Return the same of one job; None of too few runs."""
    return usual_durations_s(journal, now_ns, (job_id,)).get(job_id)
