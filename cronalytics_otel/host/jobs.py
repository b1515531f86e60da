"""Job definitions: `cron/jobs.json`, in every shape that homes hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from pathlib import Path

from ..model import Job, Mode, Schedule, ScheduleKind
from .sqlite import HostDataError
from .times import iso_to_ns

_CRON_FIELDS = (5, 6)
_MINUTES_OF = {"m": 1, "min": 1, "minute": 1, "minutes": 1, "h": 60, "hour": 60, "hours": 60,
               "d": 1440, "day": 1440, "days": 1440}  # fmt: skip


def read_text(path: Path) -> str | None:
    """The file's text, None when there is none. Raises `HostDataError` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise HostDataError(f"{path} cannot be read: {error}") from error


def parse(text: str, path: Path, zone: tzinfo | None) -> list[Job]:
    """Every job that can be understood; jobs that cannot are passed over, not their siblings.

    Raises `HostDataError` when the text is no JSON: half-written, say. It is then met again.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise HostDataError(
            f"{path} is no valid JSON ({error}): half-written files are read at the next sync"
        ) from error
    return [job for raw in _entries(document) if (job := _job(raw, zone)) is not None]


def _entries(document: object) -> Iterator[Mapping[str, object]]:
    """The host's `{"jobs": […]}`, and old homes' bare list or mapping by id."""
    if isinstance(document, dict) and isinstance(document.get("jobs"), (list, dict)):
        document = document["jobs"]
    if isinstance(document, list):
        yield from (entry for entry in document if isinstance(entry, dict))
    elif isinstance(document, dict):
        for key, entry in document.items():
            if isinstance(entry, dict):
                yield {"id": key, **entry}


def _job(raw: Mapping[str, object], zone: tzinfo | None) -> Job | None:
    job_id = raw.get("id") or raw.get("job_id")
    if not isinstance(job_id, str):
        return None
    return Job(
        job_id=job_id,
        name=_text(raw.get("name")) or job_id,
        mode=Mode.SCRIPT if raw.get("no_agent") else Mode.AGENT,
        schedule=_schedule(raw, zone),
        skills=_skills(raw),
        model=_text(raw.get("model")),
        provider=_text(raw.get("provider")),
        deliver=_deliver(raw.get("deliver")),
        has_script=bool(raw.get("script")),
        enabled=raw.get("enabled") is not False and raw.get("state") != "paused",
        created_ns=iso_to_ns(raw.get("created_at"), zone),
        next_run_ns=iso_to_ns(raw.get("next_run_at"), zone),
        last_run_ns=iso_to_ns(raw.get("last_run_at"), zone),
        last_status=_text(raw.get("last_status")),
        last_error=_text(raw.get("last_error")),
        last_delivery_error=_text(raw.get("last_delivery_error")),
    )


def _schedule(raw: Mapping[str, object], zone: tzinfo | None) -> Schedule | None:
    value = raw.get("schedule")
    if isinstance(value, str):
        return _plain_schedule(value, zone)
    if not isinstance(value, dict):
        return None
    display = _text(value.get("display")) or _text(raw.get("schedule_display"))
    kind = value.get("kind")
    if kind == "cron" and (expr := _text(value.get("expr"))):
        return Schedule(kind=ScheduleKind.CRON, expression=expr, cron=expr)
    if kind == "interval" and isinstance(minutes := value.get("minutes"), (int, float)):
        return Schedule(
            kind=ScheduleKind.INTERVAL,
            expression=display or f"every {minutes}m",
            interval_s=minutes * 60.0,
        )
    if kind == "once" and (at_ns := iso_to_ns(value.get("run_at"), zone)) is not None:
        return Schedule(
            kind=ScheduleKind.ONCE,
            expression=display or str(value.get("run_at")),
            once_at_ns=at_ns,
        )
    return None


def _plain_schedule(text: str, zone: tzinfo | None) -> Schedule | None:
    """Old homes have the owner's words alone: `every 30m`, a cron expression, or a time."""
    words = text.split()
    if len(words) == 2 and words[0].lower() == "every" and (minutes := _minutes(words[1])):
        return Schedule(kind=ScheduleKind.INTERVAL, expression=text, interval_s=minutes * 60.0)
    if len(words) in _CRON_FIELDS:
        return Schedule(kind=ScheduleKind.CRON, expression=text, cron=text)
    at_ns = iso_to_ns(text, zone)
    if at_ns is not None:
        return Schedule(kind=ScheduleKind.ONCE, expression=text, once_at_ns=at_ns)
    return None


def _minutes(text: str) -> int:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = _MINUTES_OF.get(text[len(number) :].lower(), 0)
    return int(number) * unit if number.isdigit() else 0


def _skills(raw: Mapping[str, object]) -> tuple[str, ...]:
    """`skills`, else the older `skill`; in order, each once."""
    many, one = raw.get("skills"), raw.get("skill")
    names = many if isinstance(many, list) and many else [one]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and name))


def _deliver(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(str(part) for part in value)
    return _text(value) or "local"


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
