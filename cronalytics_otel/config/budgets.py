"""The budgets of config.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..model import Budget, Budgets
from .values import InvalidError, Raw, fields_of, kind, mapping, number, report_unknown_keys

_LIMITS: Final = ("run", "day", "month")


def read_budgets(configured: Raw, problems: list[str]) -> Budgets:
    """Return the limits that can be read. A wrong one is reported, and there is no limit in its place."""
    section = mapping(configured, problems)
    report_unknown_keys(section, (*_LIMITS, "jobs"), configured.where, problems)
    by_job = Raw(f"{configured.where}.jobs", section.get("jobs"), configured.env)
    return Budgets(home=_budget(section, configured, problems), jobs=_of_jobs(by_job, problems))


def _of_jobs(by_job: Raw, problems: list[str]) -> dict[str, Budget]:
    jobs: dict[str, Budget] = {}
    for job, value in mapping(by_job, problems).items():
        if not isinstance(job, str):  # YAML has made a number of it, so the job's id is lost
            problems.append(
                f"{by_job.where}: {kind(job)} is no text, put it into quotes; it is not used"
            )
            continue
        from ..redaction import mask  # its rules take a tenth of a second to compile

        entry = Raw(f"{by_job.where}.{mask(repr(job))}", value, by_job.env)
        limits = mapping(entry, problems)
        report_unknown_keys(limits, _LIMITS, entry.where, problems)
        jobs[job.strip()] = _budget(limits, entry, problems)
    return jobs


def _budget(section: Mapping[object, object], of: Raw, problems: list[str]) -> Budget:
    get = fields_of(section, of.where, of.env or {})

    def limit(key: str) -> float | None:
        raw = get(key)
        try:
            return None if raw.found is None else number("US dollars", above=0)(raw.get())
        except InvalidError as error:
            problems.append(f"{raw.where}: {error}; there is no such limit")
            return None

    return Budget(run=limit("run"), day=limit("day"), month=limit("month"))
