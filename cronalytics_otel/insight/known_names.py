"""Which models and skills are known, so that a name that nobody knows is not taken for one without runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ..journal.figures import Dimension
from ..journal.filters import RunFilter
from .known_jobs import MAX_SUGGESTIONS, KnownJob
from .profiles import Profiles


class UnknownNameError(LookupError):
    """No job and no run has this model or skill."""

    def __init__(self, noun: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"no {noun} is called {name!r}")
        self.noun = noun
        self.name = name
        self.suggestions = tuple(get_close_matches(name, sorted(known), MAX_SUGGESTIONS))
        """The most similar names."""


def check_models(profiles: Profiles, jobs: Sequence[KnownJob], names: Iterable[str]) -> None:
    """Raise `UnknownNameError` for a model that no run had and no job asks for."""
    known = {job.latest.model for job in jobs if job.latest is not None and job.latest.model}
    for _, journal in profiles:
        known |= {model for (model,) in journal.figures.usage(RunFilter(), by=[Dimension.MODEL])}
    for name in names:
        if name not in known and not _has_run(profiles, RunFilter(models=frozenset({name}))):
            raise UnknownNameError("model", name, known)


def check_skills(profiles: Profiles, jobs: Sequence[KnownJob], names: Iterable[str]) -> None:
    """Raise `UnknownNameError` for a skill that no run had and no job has."""
    known = {
        skill for job in jobs for _, definition in job.definitions for skill in definition.skills
    }
    known |= {skill for job in jobs if job.current is not None for skill in job.current.skills}
    for name in names:
        if name not in known and not _has_run(profiles, RunFilter(skills=frozenset({name}))):
            raise UnknownNameError("skill", name, known)


def _has_run(profiles: Profiles, wanted: RunFilter) -> bool:
    return any(next(journal.queries.in_order(wanted), None) is not None for _, journal in profiles)
