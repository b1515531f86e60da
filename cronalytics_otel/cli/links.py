"""Links to the trace explorers of a home: to the trace of a run, and to the runs of a job."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..insight.runs import in_order
from ..insight.windows import Window
from ..journal.filters import RunFilter
from ..journal.queries import RunOrder
from ..model import Outcome
from ..telemetry.links import EXPLORERS, METRICS, MOST_LISTED, Question, Search, trace_of
from .errors import command

if TYPE_CHECKING:
    from ..config import ExplorerAddress, ExplorerName, Settings
    from ..insight.profiles import Profile
    from ..model import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What one trace explorer shows of a run or of the runs of a job."""

    profile: str
    job_id: str | None
    """None for all jobs of the profile."""
    job_name: str | None
    run_id: str | None
    """The run whose trace it leads to; None for a question about the job."""
    trace_id: str | None
    explorer: ExplorerName
    question: Question | None
    """None for the trace of a run."""
    skill: str | None
    query: str | None
    """The question in the language of the explorer."""
    url: str | None
    """None if the explorer cannot answer."""
    reason: str | None
    """Why it cannot."""
    instead: str | None
    """The command that can."""
    metric: str | None
    """The metric that can, if there is one."""


def trace_urls(settings: Settings, run: Run) -> dict[ExplorerName, str]:
    """Return where the trace of a run is, in each explorer that the settings name."""
    return {
        address.explorer: EXPLORERS[address.explorer].trace_url(address, trace_of(run))
        for address in settings.links or ()
    }


def links_of_run(addresses: Sequence[ExplorerAddress], run: Run) -> list[Link]:
    trace = trace_of(run)
    return [
        Link(
            profile=run.profile,
            job_id=run.job_id,
            job_name=run.job_name,
            run_id=run.run_id,
            trace_id=trace.trace_id,
            explorer=address.explorer,
            question=None,
            skill=None,
            query=None,
            url=EXPLORERS[address.explorer].trace_url(address, trace),
            reason=None,
            instead=None,
            metric=None,
        )
        for address in addresses
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The runs that links are about: those of one job, or of all jobs of a profile."""

    profile: Profile
    job_id: str | None
    job_name: str | None
    skills: Sequence[str]
    """The skills of the job, or of all jobs."""


def links_of_jobs(
    addresses: Sequence[ExplorerAddress],
    subject: Subject,
    *,
    service_name: str,
    days: int,
    now_ns: int,
    options: Sequence[str],
) -> Iterator[Link]:
    """Yield a link for each question and explorer, by explorer.

    `options` choose the profile in the commands that answer what an explorer cannot.
    """
    searches = list(_searches(subject, service_name, days, now_ns))
    for address in addresses:
        explorer = EXPLORERS[address.explorer]
        for search in searches:
            reason = explorer.reason(search.question)
            yield Link(
                profile=subject.profile.name,
                job_id=subject.job_id,
                job_name=subject.job_name,
                run_id=None,
                trace_id=None,
                explorer=address.explorer,
                question=search.question,
                skill=search.skill or None,
                query=None if reason else explorer.query(search),
                url=None if reason else explorer.search_url(address, search),
                reason=reason,
                instead=_command_for(search, options) if reason else None,
                metric=METRICS.get(search.question) if reason else None,
            )


def _searches(subject: Subject, service_name: str, days: int, now_ns: int) -> Iterator[Search]:
    """Yield the questions in their order; one about the slowest or most expensive runs only if there are any."""
    search = Search(
        question=Question.ALL,
        service_name=service_name,
        profile=subject.profile.name,
        job_id=subject.job_id,
        until_ns=now_ns,
        days=days,
    )
    yield search
    yield replace(search, question=Question.FAILED)
    yield replace(search, question=Question.MISSED)
    slowest = _last_of_the_greatest(subject, days, now_ns, RunOrder.DURATION)
    if slowest is not None:
        took_ns = slowest.ended_ns - slowest.started_ns
        yield replace(search, question=Question.SLOWEST, least_duration_ns=took_ns)
    expensive = _last_of_the_greatest(subject, days, now_ns, RunOrder.COST)
    if expensive is not None:
        cost_usd = expensive.known_cost_usd or 0.0
        yield replace(search, question=Question.MOST_EXPENSIVE, least_cost_usd=cost_usd)
    for skill in subject.skills:
        yield replace(search, question=Question.SKILL, skill=skill)
    yield replace(search, question=Question.COST_PER_DAY)


_TOOK_PLACE: Final = frozenset(Outcome) - {Outcome.MISSED}


def _last_of_the_greatest(subject: Subject, days: int, now_ns: int, order: RunOrder) -> Run | None:
    """Return the least of the slowest or the most expensive runs; None if none took time or cost money."""
    wanted = RunFilter(
        jobs=None if subject.job_id is None else frozenset({subject.job_id}),
        outcomes=_TOOK_PLACE,
        limit=MOST_LISTED,
    )
    in_window = replace(Window.of_days(days, now_ns).of_runs(wanted), limit=MOST_LISTED)
    runs = [run for _, run in in_order([subject.profile], in_window, order)]
    counted = [
        run
        for run in runs
        if (run.duration_s if order is RunOrder.DURATION else run.known_cost_usd)
    ]
    return counted[-1] if counted else None


_COMMANDS: Final = {
    Question.MOST_EXPENSIVE: "runs --sort cost",
    Question.SKILL: "runs",
    Question.COST_PER_DAY: "trends --bars cost",
}
"""The commands that answer what an explorer cannot."""


def _command_for(search: Search, options: Sequence[str]) -> str:
    chosen = ["--job", search.job_id] if search.job_id is not None else []
    skill = ["--skill", search.skill] if search.skill else []
    words = [*chosen, *skill, "--days", str(search.days), *options]
    return command(f"{_COMMANDS[search.question]} {shlex.join(words)}")
