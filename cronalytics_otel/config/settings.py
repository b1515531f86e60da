"""Settings: the host's config.yaml, its .env, and the standard OTEL_* variables, read once.

Nothing here raises for what a user wrote: a wrong value is a line in `Settings.problems` that
names the key, says what is wrong, and says what is used instead. No line shows a secret.

Where we follow the Python SDK rather than the letter of the specification: a time-out below 1000 is
in **seconds** (the specification says milliseconds), headers need not be URL-encoded, and a header
or resource attribute that is no `name=value` is skipped alone. So a variable means here what it
means in every other Python program of the same machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from .destinations import MOST_SECONDS, Destination, read_destinations, safe_url
from .values import (
    VARIABLE,
    Fields,
    InvalidError,
    Raw,
    baggage,
    fields_of,
    flag,
    kind,
    mapping,
    number,
    one_of,
    or_default,
    shown,
    tell_unknown,
)

__all__ = ["Content", "Destination", "Settings", "load_settings", "safe_url"]

Content: TypeAlias = Literal["off", "errors", "full"]

PLUGIN_KEY: Final = "cronalytics-otel"
"""Our key under `plugins.entries` of config.yaml."""

DEFAULT_SERVICE_NAME: Final = "hermes-cron"

_KEYS: Final = (
    "destinations",
    "flush_timeout",
    "max_age_days",
    "content",
    "content_jobs",
    "content_max_chars",
)
_HOST_KEYS: Final = frozenset({"llm", "allow_tool_override"})
"""What Hermes itself reads beside our keys (hermes_cli/plugins.py, agent/plugin_llm.py 0.19)."""


_MOST_DAYS: Final = 36_500.0
"""A hundred years; SQLite cannot say in nanoseconds what was more than 292 years ago."""

_HELD_BACK: Final = "defaults are used, and nothing is sent until it can be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user decided. `resource_attributes` is OTEL_RESOURCE_ATTRIBUTES as it was given;
    `timezone` is the IANA name Hermes schedules by, None for the system's own zone."""

    destinations: tuple[Destination, ...]
    disabled: bool = False
    service_name: str = DEFAULT_SERVICE_NAME
    resource_attributes: dict[str, str] = field(default_factory=dict)
    flush_timeout_s: float = 2.0
    max_age_days: float = 90.0
    content: Content = "off"
    content_jobs: dict[str, Content] = field(default_factory=dict)
    """What goes before `content`, by a job's id or name; the id goes before the name."""
    content_max_chars: int = 4096
    timezone: str | None = None
    problems: tuple[str, ...] = ()


def load_settings(home_path: Path, environ: Mapping[str, str]) -> Settings:
    """Read `<home>/config.yaml`, `<home>/.env` and `environ` (over which .env wins).

    A missing file is no problem: Hermes runs without either.
    """
    problems: list[str] = []
    env = _environment(home_path / ".env", environ, problems)
    read = _read_config(home_path / "config.yaml", problems)
    config = read or {}
    options = _options(config, env, problems)
    attributes = env.get("OTEL_RESOURCE_ATTRIBUTES", "")
    resource = dict(baggage("OTEL_RESOURCE_ATTRIBUTES", attributes, problems))
    disabled = Raw("OTEL_SDK_DISABLED", env.get("OTEL_SDK_DISABLED"))
    content, content_jobs = _contents(options("content"), options("content_jobs"), problems)
    return Settings(
        # What cannot be read may name other destinations than the default one.
        destinations=()
        if read is None
        else read_destinations(options("destinations"), env, problems),
        disabled=or_default(disabled, flag, default=False, problems=problems),
        service_name=env.get("OTEL_SERVICE_NAME")
        or resource.get("service.name")
        or DEFAULT_SERVICE_NAME,
        resource_attributes=resource,
        flush_timeout_s=or_default(
            options("flush_timeout"), number("seconds", least=0, most=MOST_SECONDS), 2.0, problems
        ),
        max_age_days=or_default(
            options("max_age_days"), number("days", above=0, most=_MOST_DAYS), 90.0, problems
        ),
        content=content,
        content_jobs=content_jobs,
        content_max_chars=or_default(options("content_max_chars"), _characters, 4096, problems),
        timezone=_timezone(config, env, problems),
        problems=tuple(problems),
    )


def _environment(
    dotenv_path: Path, environ: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    """.env over the real environment, as the host has it, so that a command of its own sees what
    the host sees; without what is empty; os.environ is not touched."""
    env = {name: value for name, value in environ.items() if value.strip()}
    for name, value in _read_dotenv(dotenv_path, problems).items():
        expanded = VARIABLE.sub(lambda match: _variable(match[1], env), value or "")
        if expanded.strip():
            env[name] = expanded
    return env


def _read_dotenv(path: Path, problems: list[str]) -> Mapping[str, str | None]:
    """The file's variables as written: python-dotenv would fill in `${VAR}` from os.environ."""
    from dotenv import dotenv_values

    try:
        if not path.is_file():
            return {}
        try:
            return dotenv_values(path, interpolate=False, encoding="utf-8")
        except UnicodeDecodeError:  # as the host does (hermes_cli/env_loader.py)
            return dotenv_values(path, interpolate=False, encoding="latin-1")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}; its variables are not used")
        return {}


def _variable(expression: str, env: Mapping[str, str]) -> str:
    """`NAME` or `NAME:-default`, as python-dotenv has it."""
    name, _, default = expression.partition(":-")
    return env.get(name, default)


def _read_config(path: Path, problems: list[str]) -> Mapping[object, object] | None:
    """None when there is something that cannot be read."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content: object = yaml.load(path.read_bytes(), Loader=loader)  # noqa: S506 a safe loader
    except FileNotFoundError:
        return {}
    except OSError as error:
        problems.append(f"{path}: {error.strerror}; {_HELD_BACK}")
        return None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The parser's own text may quote the file, and so a secret: only the place is told.
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        problems.append(f"{path}: not valid YAML{place}; {_HELD_BACK}")
        return None
    return mapping(Raw(str(path), content), problems)


def _options(
    config: Mapping[object, object], env: Mapping[str, str], problems: list[str]
) -> Fields:
    """Our own section of config.yaml."""
    plugins = mapping(Raw("config.yaml plugins", config.get("plugins")), problems)
    entries = mapping(Raw("config.yaml plugins.entries", plugins.get("entries")), problems)
    misspelt = PLUGIN_KEY.replace("-", "_")
    if misspelt in entries:
        problems.append(
            f"config.yaml plugins.entries.{misspelt}: not used; did you mean {PLUGIN_KEY}?"
        )
    where = f"config.yaml plugins.entries.{PLUGIN_KEY}"
    section = mapping(Raw(where, entries.get(PLUGIN_KEY)), problems)
    ours = {key: value for key, value in section.items() if key not in _HOST_KEYS}
    tell_unknown(ours, _KEYS, where, problems)
    return fields_of(ours, where, env)


def _content(value: object) -> Content:
    if value is False:  # YAML 1.1 reads a bare `off` as false
        return "off"
    return cast("Content", one_of(value, ("off", "errors", "full")))


def _contents(general: Raw, by_job: Raw, problems: list[str]) -> tuple[Content, dict[str, Content]]:
    """What is sent of all jobs, and of single ones; when in doubt, nothing: a job may stand there
    to keep it at home."""
    content: Content = or_default(general, _content, "off", problems)
    if by_job.found is None:
        return content, {}
    if not isinstance(by_job.found, dict):
        problems.append(
            f"{by_job.where}: expected a mapping of jobs to off, errors or full, not"
            f" {kind(by_job.found)}; off is used for all jobs"
        )
        return "off", {}
    from ..redaction import mask

    jobs: dict[str, Content] = {}
    for job, value in by_job.found.items():
        if not isinstance(job, str):  # YAML has made a number of it: which job, is lost
            problems.append(
                f"{by_job.where}: {kind(job)} is no text, put it into quotes; off is used for all"
                " jobs"
            )
            return "off", {}
        entry = Raw(f"{by_job.where}.{mask(repr(job))}", value, by_job.env)
        jobs[job.strip()] = or_default(entry, _content, "off", problems)
    return content, jobs


def _characters(value: object) -> int:
    count = number("characters", least=1)(value)
    if count != int(count):
        raise InvalidError(f"{shown(value)} is not a whole number")
    return int(count)


def _timezone(
    config: Mapping[object, object], env: Mapping[str, str], problems: list[str]
) -> str | None:
    """Hermes' rule (hermes_time.py): HERMES_TIMEZONE, else `timezone` of config.yaml."""
    raw = Raw("config.yaml timezone", config.get("timezone") or None, env)
    if "HERMES_TIMEZONE" in env:
        raw = Raw("HERMES_TIMEZONE", env["HERMES_TIMEZONE"])
    return or_default(raw, _zone_name, None, problems)


def _zone_name(value: object) -> str | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(str(value).strip()).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidError(f"{shown(value)} is no time zone that is known here") from None
