"""The targets of notices, from `notify` in config.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from ..model import MESSAGE_EVENTS, PING_EVENTS, NoticeEvent
from ..model.notice import MAX_FAILING_AFTER
from .values import (
    FieldReader,
    InvalidError,
    Raw,
    fields_of,
    kind,
    mapping,
    number,
    one_of,
    or_default,
    report_unknown_keys,
    shown,
)

DEFAULT_FAILING_AFTER: Final = 3
JOB: Final = "{job}"
"""Stands for the job in the URL of a ping."""

_KEYS: Final = ("url", "ping", "events", "jobs", "failing_after")
_IS_APPRISE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTarget:
    """A place that notices are sent to: as messages by Apprise, or as pings.

    No repr shows the URL, which holds keys.
    """

    name: str
    url: str = field(repr=False)
    """Of Apprise, or the URL of a check that is pinged, with `{job}` where it has one for each job."""
    is_ping: bool = False
    events: frozenset[NoticeEvent] = frozenset(MESSAGE_EVENTS)
    jobs: frozenset[str] = frozenset()
    """Ids and names. Empty means all jobs."""
    failing_after: int = DEFAULT_FAILING_AFTER

    @property
    def safe_address(self) -> str:
        """The URL for logs and screens. Apprise puts keys anywhere, so only its scheme is shown."""
        parts = urlsplit(self.url)
        if not self.is_ping:
            return f"{self.url.partition('://')[0]}://***"
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***"

    def check_url(self, job_id: str, job_name: str, end: str = "") -> str:
        """Return the URL of the check that belongs to a job, with `end` behind its path."""
        parts = urlsplit(self.url.replace(JOB, slug(job_name) or quote(job_id, safe="")))
        return urlunsplit(parts._replace(path=parts.path.rstrip("/") + end, fragment=""))


def slug(job_name: str) -> str:
    """Return a job's name as it may stand in a URL: `Nightly digest!` becomes `nightly-digest`."""
    return _NOT_IN_SLUG.sub("-", job_name.lower()).strip("-")


def read_notify(
    configured: Raw, env: Mapping[str, str], problems: list[str]
) -> tuple[NotifyTarget, ...]:
    """Return the targets that can be used as they were meant. Any other one is reported and left out."""
    found = []
    for name, entry in mapping(configured, problems).items():
        where = f"{configured.where}.{name}"
        if not isinstance(name, str) or not isinstance(entry, dict):
            problems.append(
                f"{where}: expected a name (as text) and a mapping with a url or a ping, not"
                f" {kind(entry)}; this target is left out"
            )
            continue
        report_unknown_keys(entry, _KEYS, where, problems)
        fields = fields_of(entry, where, env)
        try:
            found.append(_target(name, where, fields, problems))
        except InvalidError as error:
            problems.append(f"{error}; target {name!r} is left out")
    return tuple(found)


def _target(name: str, where: str, fields: FieldReader, problems: list[str]) -> NotifyTarget:
    url, ping = fields("url"), fields("ping")
    if (url.found is None) == (ping.found is None):
        raise InvalidError(f"{where}: give either a url of Apprise or a ping")
    jobs = _jobs(fields("jobs"))
    failing_after: int = or_default(
        fields("failing_after"), _failures, DEFAULT_FAILING_AFTER, problems
    )
    if ping.found is not None:
        problems.extend(
            f"{fields(key).where}: a ping reports every run; it is not used"
            for key in ("events", "failing_after")
            if fields(key).found is not None
        )
        return NotifyTarget(
            name=name,
            url=_ping_url(ping, jobs),
            is_ping=True,
            events=frozenset(PING_EVENTS),
            jobs=jobs,
        )
    return NotifyTarget(
        name=name,
        url=_apprise_url(url),
        events=_events(fields("events")),
        jobs=jobs,
        failing_after=failing_after,
    )


def _apprise_url(raw: Raw) -> str:
    """Return a URL of Apprise. Whether Apprise knows its scheme shows when it is used."""
    text = _text(raw)
    if not _IS_APPRISE.fullmatch(text):
        raise InvalidError(f"{raw.where}: not a URL of Apprise (scheme://…, without blanks)")
    return text


def _ping_url(raw: Raw, jobs: frozenset[str]) -> str:
    text = _text(raw)
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidError(
            f"{raw.where}: not a URL that begins with http:// or https:// and a host"
        )
    if JOB in text and JOB not in parts.path + parts.query:
        raise InvalidError(f"{raw.where}: {JOB} must stand in the path or the query")
    if JOB not in text and len(jobs) != 1:
        raise InvalidError(
            f"{raw.where}: a check belongs to one job: name one in jobs, or put {JOB} into the URL"
        )
    return text


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number
    except ValueError:
        return None
    return None if re.search(r"[\s\x00-\x1f\x7f]", url) else parts


def _text(raw: Raw) -> str:
    try:
        value = raw.get()
    except InvalidError as error:
        raise InvalidError(f"{raw.where}: {error}") from error
    if not isinstance(value, str):
        raise InvalidError(f"{raw.where}: expected a URL, not {kind(value)}")
    return value.strip()


def _events(raw: Raw) -> frozenset[NoticeEvent]:
    """Return the events that are wanted. A wrong one leaves the target out: it would miss what it is for."""
    if raw.found is None:
        return frozenset(MESSAGE_EVENTS)
    names = raw.found if isinstance(raw.found, list) else [raw.found]
    allowed = tuple(event.value for event in MESSAGE_EVENTS)
    try:
        events = frozenset(NoticeEvent(one_of(name, allowed)) for name in names)
    except InvalidError as error:
        raise InvalidError(f"{raw.where}: {error}") from error
    if not events:
        raise InvalidError(f"{raw.where}: no event is named")
    return events


def _jobs(raw: Raw) -> frozenset[str]:
    """Return the ids and names of the jobs. In doubt the target is left out, and not told of all jobs."""
    if raw.found is None:
        return frozenset()
    jobs = set()
    for name in raw.found if isinstance(raw.found, list) else [raw.found]:
        if not isinstance(name, str):  # YAML has made a number of it, so the job's id is lost
            raise InvalidError(f"{raw.where}: {kind(name)} is no text, put it into quotes")
        jobs.add(name.strip())
    jobs.discard("")
    if not jobs:
        raise InvalidError(f"{raw.where}: no job is named")
    return frozenset(jobs)


def _failures(value: object) -> int:
    count = number("failures", minimum=2, maximum=MAX_FAILING_AFTER)(value)
    if count != int(count):
        raise InvalidError(f"{shown(value)} is not a whole number")
    return int(count)
