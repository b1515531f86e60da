"""The user's settings: the host's config.yaml, its .env, and the standard OTEL_* variables.

Nothing here raises for what a user wrote. A wrong value becomes a line in `Settings.problems` that
names the key, says what is wrong, and says what is used instead. No line shows a secret.

In three points the Python SDK is followed, and not the letter of the specification: a time-out below
1000 is in **seconds** (the specification says milliseconds), headers need not be URL-encoded, and a
header or resource attribute that is not `name=value` is skipped alone. So a variable means here what
it means in every other Python program on the same machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from ..model import Budgets
from .budgets import read_budgets
from .destinations import MAX_SECONDS, Destination, Destinations, read_destinations
from .endpoints import safe_url
from .links import ExplorerAddress, read_links
from .notify import NotifyTarget, read_notify
from .values import (
    VARIABLE,
    FieldReader,
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
    report_unknown_keys,
    shown,
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
    "journal_days",
    "content",
    "content_jobs",
    "content_max_chars",
    "budgets",
    "genai_metrics",
    "notify",
    "links",
)
_HOST_KEYS: Final = frozenset({"llm", "allow_tool_override"})
"""The keys beside ours that Hermes itself reads (hermes_cli/plugins.py, agent/plugin_llm.py 0.19)."""

_MAX_DAYS: Final = 36_500.0
"""A hundred years. SQLite cannot hold more than 292 years in nanoseconds."""

_HELD_BACK: Final = "defaults are used, and nothing is sent until it can be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user decided.

    `resource_attributes` is OTEL_RESOURCE_ATTRIBUTES as it was given. `timezone` is the IANA name of
    the zone in which Hermes schedules; None for the system's own.
    """

    destinations: tuple[Destination, ...]
    """Where traces go."""
    metric_destinations: tuple[Destination, ...] = ()
    """Where metrics go."""
    metric_interval_s: float = 60.0
    metric_timeout_s: float = 30.0
    genai_metrics: bool = False
    """Whether to send the GenAI client metrics of the calls that were observed live."""
    disabled: bool = False
    service_name: str = DEFAULT_SERVICE_NAME
    resource_attributes: dict[str, str] = field(default_factory=dict)
    flush_timeout_s: float = 2.0
    max_age_days: float = 90.0
    journal_days: int | None = None
    """How long the journal keeps runs; None for ever."""
    content: Content = "off"
    content_jobs: dict[str, Content] = field(default_factory=dict)
    """Overrides `content` for single jobs, by id or name. The id wins over the name."""
    content_max_chars: int = 4096
    budgets: Budgets = field(default_factory=Budgets)
    notify: tuple[NotifyTarget, ...] = ()
    """The targets of notices."""
    links: tuple[ExplorerAddress, ...] | None = None
    """The trace explorers to which links lead; None without the setting."""
    timezone: str | None = None
    problems: tuple[str, ...] = ()


def load_settings(home_path: Path, environ: Mapping[str, str]) -> Settings:
    """Read `<home>/config.yaml`, `<home>/.env` and `environ`. A variable of .env wins over `environ`.

    Either file may be missing: Hermes runs without them.
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
    # A config.yaml that cannot be read may name other destinations than the default one.
    destinations = (
        Destinations()
        if read is None
        else read_destinations(options("destinations"), env, problems)
    )
    return Settings(
        destinations=destinations.traces,
        metric_destinations=destinations.metrics,
        metric_interval_s=_milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL", 60.0, problems),
        metric_timeout_s=_milliseconds(env, "OTEL_METRIC_EXPORT_TIMEOUT", 30.0, problems),
        genai_metrics=or_default(options("genai_metrics"), flag, default=False, problems=problems),
        disabled=or_default(disabled, flag, default=False, problems=problems),
        service_name=env.get("OTEL_SERVICE_NAME")
        or resource.get("service.name")
        or DEFAULT_SERVICE_NAME,
        resource_attributes=resource,
        flush_timeout_s=or_default(
            options("flush_timeout"),
            number("seconds", minimum=0, maximum=MAX_SECONDS),
            2.0,
            problems,
        ),
        max_age_days=or_default(
            options("max_age_days"), number("days", above=0, maximum=_MAX_DAYS), 90.0, problems
        ),
        journal_days=or_default(
            options("journal_days"), partial(_whole, unit="days"), None, problems
        ),
        content=content,
        content_jobs=content_jobs,
        content_max_chars=or_default(
            options("content_max_chars"), partial(_whole, unit="characters"), 4096, problems
        ),
        budgets=read_budgets(options("budgets"), problems),
        notify=read_notify(options("notify"), env, problems),
        links=read_links(options("links"), env, problems),
        timezone=_timezone(config, env, problems),
        problems=tuple(problems),
    )


def _milliseconds(
    env: Mapping[str, str], name: str, default_s: float, problems: list[str]
) -> float:
    """Return the seconds of a variable that is in milliseconds."""
    parse = number("milliseconds", above=0, maximum=_MAX_DAYS * 86_400_000)
    return or_default(Raw(name, env.get(name)), parse, default_s * 1_000, problems) / 1_000


def _environment(
    dotenv_path: Path, environ: Mapping[str, str], problems: list[str]
) -> dict[str, str]:
    """Return the variables of .env over those of the real environment, as the host does, so that a
    command sees what the host sees. Empty ones are left out. os.environ is not touched."""
    env = {name: value for name, value in environ.items() if value.strip()}
    for name, value in _read_dotenv(dotenv_path, problems).items():
        expanded = VARIABLE.sub(lambda match: _variable(match[1], env), value or "")
        if expanded.strip():
            env[name] = expanded
    return env


def _read_dotenv(path: Path, problems: list[str]) -> Mapping[str, str | None]:
    """Return the file's variables as they are written: python-dotenv would fill in `${VAR}` from
    os.environ."""
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
    """Return the value of `NAME` or `NAME:-default`, as python-dotenv does."""
    name, _, default = expression.partition(":-")
    return env.get(name, default)


def _read_config(path: Path, problems: list[str]) -> Mapping[object, object] | None:
    """Return the file's content: empty when there is no file, None when it cannot be read."""
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
        # The parser's own text may quote the file, and so a secret. Only the place is shown.
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        problems.append(f"{path}: not valid YAML{place}; {_HELD_BACK}")
        return None
    return mapping(Raw(str(path), content), problems)


def _options(
    config: Mapping[object, object], env: Mapping[str, str], problems: list[str]
) -> FieldReader:
    """Return our own section of config.yaml."""
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
    report_unknown_keys(ours, _KEYS, where, problems)
    return fields_of(ours, where, env)


def _content(value: object) -> Content:
    if value is False:  # YAML 1.1 reads a bare `off` as false
        return "off"
    return cast("Content", one_of(value, ("off", "errors", "full")))


def _contents(general: Raw, by_job: Raw, problems: list[str]) -> tuple[Content, dict[str, Content]]:
    """Return how much content is sent, for all jobs and for single ones.

    In doubt it is none: a job may be named there so that its content stays at home.
    """
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
        if not isinstance(job, str):  # YAML has made a number of it, so the job's id is lost
            problems.append(
                f"{by_job.where}: {kind(job)} is no text, put it into quotes; off is used for all"
                " jobs"
            )
            return "off", {}
        entry = Raw(f"{by_job.where}.{mask(repr(job))}", value, by_job.env)
        jobs[job.strip()] = or_default(entry, _content, "off", problems)
    return content, jobs


def _whole(value: object, unit: str) -> int:
    """Return a whole number from 1 on."""
    count = number(unit, minimum=1, maximum=_MAX_DAYS if unit == "days" else math.inf)(value)
    if count != int(count):
        raise InvalidError(f"{shown(value)} is not a whole number")
    return int(count)


def _timezone(
    config: Mapping[object, object], env: Mapping[str, str], problems: list[str]
) -> str | None:
    """Return the zone by Hermes's rule (hermes_time.py): HERMES_TIMEZONE, else `timezone` of
    config.yaml."""
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
