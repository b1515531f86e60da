"""Job definitions: `cron/jobs.json`, in every shape that homes have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from hashlib import sha256
from pathlib import Path

from ..model import Job, Mode, Schedule, ScheduleKind
from ..model.times import iso_to_ns
from .sqlite import HostDataError

_CRON_FIELDS = (5, 6)
_MAX_MINUTES = 1e9
_UNITS = {"m": 1, "h": 60, "d": 1440}
_EVERY = re.compile(r"every\s+(\d{1,9})\s*(m|mins?|minutes?|h|hrs?|hours?|d|days?)", re.IGNORECASE)
"""The host's own words for an interval (cron/jobs.py, `parse_duration`)."""


def read_text(path: Path) -> str | None:
    """Return the file's text; None when there is no file. Raises `HostDataError` when it is unreadable.

    As the host does, it passes over a byte-order mark.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise HostDataError(f"{path} cannot be read: {error}") from error


def parse(text: str, path: Path, zone: tzinfo | None) -> list[Job]:
    """Return every job that can be understood. One that cannot is passed over, and its siblings are not.

    Raises `HostDataError` when the text is no JSON: half-written, for instance. As the host does, it
    accepts control characters in texts.
    """
    try:
        document = json.loads(text, strict=False)
    except RecursionError as error:
        raise HostDataError(
            f"{path} is nested too deeply to be read: mend or restore it"
        ) from error
    except ValueError as error:
        raise HostDataError(
            f"{path} is no valid JSON ({error}): half-written files are read at the next sync"
        ) from error
    return [job for raw in _entries(document) if (job := _job(raw, zone)) is not None]


def _entries(document: object) -> Iterator[Mapping[str, object]]:
    """Give the jobs of the host's `{"jobs": […]}`, and of old homes' bare list or mapping by id."""
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
    if not isinstance(job_id, str) or not job_id:
        return None
    job_id = _encodable(job_id)
    return Job(
        job_id=job_id,
        name=_own_name(raw) or job_id,
        mode=Mode.SCRIPT if raw.get("no_agent") else Mode.AGENT,
        schedule=_schedule(raw, zone),
        skills=_skills(raw),
        model=_text(raw.get("model")),
        provider=_text(raw.get("provider")),
        prompt_hash=_prompt_hash(raw.get("prompt")),
        deliver=_deliver(raw.get("deliver"), raw.get("origin")),
        has_script=bool(raw.get("script")),
        context_from=_context_from(raw.get("context_from")),
        enabled=bool(raw.get("enabled", True)) and raw.get("state") != "paused",
        paused_ns=iso_to_ns(raw.get("paused_at"), zone),
        created_ns=iso_to_ns(raw.get("created_at"), zone),
        next_run_ns=iso_to_ns(raw.get("next_run_at"), zone),
        last_run_ns=iso_to_ns(raw.get("last_run_at"), zone),
        last_status=_text(raw.get("last_status")),
        last_error=_text(raw.get("last_error")),
        last_delivery_error=_without_chats(_text(raw.get("last_delivery_error"))),
        runs_left=_runs_left(raw.get("repeat")),
    )


_HASH_CHARS = 12


def _prompt_hash(prompt: object) -> str | None:
    """Return the beginning of the prompt's SHA-256: enough to see that it changed."""
    if not isinstance(prompt, str) or not prompt.strip():
        return None
    return sha256(prompt.encode("utf-8", "replace")).hexdigest()[:_HASH_CHARS]


_BORROWED_CHARS = 50
"""Hermes takes so much of its prompt for the name of a job that was given none."""


def _own_name(raw: Mapping[str, object]) -> str | None:
    """Return the name that its owner gave it; None where Hermes took the prompt's beginning: content."""
    name, prompt = _text(raw.get("name")), raw.get("prompt")
    borrowed = isinstance(prompt, str) and _text(prompt[:_BORROWED_CHARS]) == name
    return None if borrowed else name


_CHAT = re.compile(r"\b(to|for) ([a-z][\w-]*):(?!//)\S+")
_THREAD = re.compile(r"\bthread_id \S+ for\b")


def _without_chats(error: str | None) -> str | None:
    """Return the host's text of a failed delivery without the chat, which stands beside its platform."""
    if error is None:
        return None
    return _CHAT.sub(r"\1 \2", _THREAD.sub("thread_id for", error))


def _runs_left(repeat: object) -> int | None:
    if not isinstance(repeat, dict):
        return None
    times, completed = repeat.get("times"), repeat.get("completed")
    if not isinstance(times, int) or times <= 0:
        return None
    return max(0, times - (completed if isinstance(completed, int) else 0))


def _schedule(raw: Mapping[str, object], zone: tzinfo | None) -> Schedule | None:
    value = raw.get("schedule")
    if isinstance(value, str):
        return read_schedule(value, zone)
    if not isinstance(value, dict):
        return None
    display = _text(value.get("display")) or _text(raw.get("schedule_display"))
    kind = value.get("kind")
    if kind == "cron":
        return _cron(value)
    if kind == "interval":
        return _interval(value, display)
    if kind == "once":
        return _once(value, display, zone)
    return None


def _cron(value: Mapping[str, object]) -> Schedule | None:
    expr = _text(value.get("expr"))
    return Schedule(kind=ScheduleKind.CRON, expression=expr, cron=expr) if expr else None


def _interval(value: Mapping[str, object], display: str | None) -> Schedule | None:
    minutes = value.get("minutes")
    if not isinstance(minutes, (int, float)) or not 0 < minutes < _MAX_MINUTES:
        return None
    return Schedule(
        kind=ScheduleKind.INTERVAL,
        expression=display or f"every {minutes}m",
        interval_s=minutes * 60.0,
    )


def _once(value: Mapping[str, object], display: str | None, zone: tzinfo | None) -> Schedule | None:
    at_ns = iso_to_ns(value.get("run_at"), zone)
    if at_ns is None:
        return None
    return Schedule(
        kind=ScheduleKind.ONCE, expression=display or str(value.get("run_at")), once_at_ns=at_ns
    )


def read_schedule(text: str, zone: tzinfo | None) -> Schedule | None:
    """Read an owner's words, which old homes have alone: `every 30m`, a cron expression, or a time.

    None for anything else. A cron expression may still be invalid.
    """
    every = _EVERY.fullmatch(text.strip())
    if every is not None:
        minutes = int(every[1]) * _UNITS[every[2][0].lower()]
        return Schedule(kind=ScheduleKind.INTERVAL, expression=text, interval_s=minutes * 60.0)
    if len(text.split()) in _CRON_FIELDS:
        return Schedule(kind=ScheduleKind.CRON, expression=text, cron=text)
    at_ns = iso_to_ns(text, zone)
    if at_ns is not None:
        return Schedule(kind=ScheduleKind.ONCE, expression=text, once_at_ns=at_ns)
    return None


def _skills(raw: Mapping[str, object]) -> tuple[str, ...]:
    """Return `skills`, else the older `skill`; in order, each once."""
    many, one = raw.get("skills"), raw.get("skill")
    names = many if isinstance(many, list) and many else [one]
    return tuple(dict.fromkeys(name for name in map(_text, names) if name))


def _context_from(value: object) -> tuple[str, ...]:
    """Return the job ids of a list, or the one that stands alone."""
    ids = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(job_id for job_id in map(_text, ids) if job_id))


def _deliver(value: object, origin: object) -> str:
    """Return `deliver`, with `origin` replaced by the platform that the job was made on, if there is one."""
    if isinstance(value, list):
        value = ",".join(str(part) for part in value)
    text = _text(value) or "local"
    platform = _platform(origin)
    if platform is None:
        return text
    parts = (part.strip() for part in text.split(","))
    return ",".join(platform if part == "origin" else part for part in parts)


def _platform(origin: object) -> str | None:
    if not isinstance(origin, dict) or not origin.get("chat_id"):
        return None
    return _text(origin.get("platform"))


def _text(value: object) -> str | None:
    """Return a text that is not empty, without what JSON can hold and nothing else can: half a surrogate
    pair."""
    return _encodable(value).strip() or None if isinstance(value, str) else None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
