"""A job as its owner scheduled it, and its schedule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    AGENT = "agent"
    SCRIPT = "script"


class ScheduleKind(StrEnum):
    CRON = "cron"
    INTERVAL = "interval"
    ONCE = "once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job is due. Just one of `cron`, `interval_s`, `once_at_ns` is set, by kind."""

    kind: ScheduleKind
    expression: str
    """As the owner wrote it (host `schedule.display` or `expr`)."""
    cron: str | None = None
    interval_s: float | None = None
    once_at_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the host's jobs.json had it when we looked."""

    job_id: str
    name: str
    mode: Mode
    schedule: Schedule | None
    skills: tuple[str, ...] = ()
    model: str | None = None
    """The model that its owner asked for; None for the host's default."""
    provider: str | None = None
    prompt_hash: str | None = None
    """What tells one prompt from another without its text; None without a prompt."""
    deliver: str | None = None
    """jobs.json `deliver`: `local`, or platforms with an optional chat; `origin` for a job that was
    made on no platform."""
    has_script: bool = False
    context_from: tuple[str, ...] = ()
    """Ids of the jobs whose newest output the agent is given."""
    enabled: bool = True
    """False while it is paused or switched off."""
    paused_ns: int | None = None
    created_ns: int | None = None
    next_run_ns: int | None = None
    last_run_ns: int | None = None
    """jobs.json `last_run_at`: when the latest run *finished*."""
    last_status: str | None = None
    last_error: str | None = None
    last_delivery_error: str | None = None
    runs_left: int | None = None
    """Of a job that ends after a number of runs (host `repeat`)."""

    @property
    def is_one_shot(self) -> bool:
        return self.schedule is not None and self.schedule.kind is ScheduleKind.ONCE

    @property
    def due(self) -> DueJob | None:
        """When it is due next; None for a job that is not enabled or that does not recur.

        A one-shot stays due for its time while it runs, so that time proves nothing.
        """
        if self.next_run_ns is None or not self.enabled or self.is_one_shot:
            return None
        return DueJob(job_id=self.job_id, job_name=self.name, due_ns=self.next_run_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """When an enabled job that recurs is due next."""

    job_id: str
    job_name: str
    due_ns: int
