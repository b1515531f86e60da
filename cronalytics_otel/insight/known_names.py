"""Which models and skills are known, so that a name that nobody knows is not taken for one without runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches

from ..model import Job
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
    known = {definition.model for definition in _definitions(jobs) if definition.model}
    for _, journal in profiles:
        known |= journal.queries.called_models()
    for name in names:
        if name not in known and not any(
            journal.queries.has_run_of(name) for _, journal in profiles
        ):
            raise UnknownNameError("model", name, known)


def check_skills(profiles: Profiles, jobs: Sequence[KnownJob], names: Collection[str]) -> None:
    """Raise `UnknownNameError` for a skill that no run had and no job has."""
    known = {skill for definition in _definitions(jobs) for skill in definition.skills}
    if not known.issuperset(names):
        known = known.union(*(journal.queries.skills_of_runs() for _, journal in profiles))
    for name in names:
        if name not in known:
            raise UnknownNameError("skill", name, known)


def _definitions(jobs: Iterable[KnownJob]) -> Iterator[Job]:
    for job in jobs:
        yield from (definition for _, definition in job.definitions)
        if job.current is not None:
            yield job.current
