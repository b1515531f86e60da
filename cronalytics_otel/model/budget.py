"""Budgets: what the owner of a home wants to spend at most."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits in US dollars; None is no limit."""

    run: float | None = None
    """Of any single run."""
    day: float | None = None
    """Of all runs that end on one day, in the home's time zone."""
    month: float | None = None
    """Of all runs that end in one calendar month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """The limits of a home, and those of single jobs, by id or name."""

    home: Budget = field(default_factory=Budget)
    jobs: dict[str, Budget] = field(default_factory=dict)

    def of_job(self, job_id: str, job_name: str) -> Budget:
        """Return the job's own budget; one that is given by id wins over one by name."""
        return self.jobs.get(job_id) or self.jobs.get(job_name) or Budget()

    def run_limit_usd(self, job_id: str, job_name: str) -> float | None:
        """Return what a run of the job may cost: the job's own limit, else the home's."""
        own = self.of_job(job_id, job_name).run
        return self.home.run if own is None else own
