"""The host's ways of writing a time, read into epoch nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

NS = 1_000_000_000
_MAX_NS = 2**63 - 1
"""What SQLite and OTLP hold: from 1677 to 2262. A time beyond is no time that a run can have."""
_MAX_MICROS = _MAX_NS // 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """The home's time zone, for cron expressions and for the stamps of output files."""

    info: tzinfo
    name: str | None
    """IANA name, if it is known."""


def ns_of(moment: datetime) -> int:
    """Exact to the microsecond; a float of seconds would not be."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS + delta.microseconds * 1_000


def iso_to_ns(text: object, zone: tzinfo | None = None) -> int | None:
    """ISO 8601 with offset (ledger, jobs.json) to epoch ns; None for anything else.

    Old homes have naive times: they are taken in `zone`, the home's, else the server's own.
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        try:
            moment = moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()
        except (OverflowError, ValueError):
            return None
    return _bounded(ns_of(moment))


def iso_offset_s(text: object) -> int | None:
    """Return the offset from UTC that stands in an ISO 8601 time; None where there is none."""
    if not isinstance(text, str):
        return None
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        return None
    return None if offset is None else round(offset.total_seconds())


def epoch_to_ns(seconds: object) -> int | None:
    """state.db's REAL seconds to epoch ns; a double holds them to a fraction of a microsecond."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return None
    micros = seconds * 1_000_000
    return round(micros) * 1_000 if -_MAX_MICROS <= micros <= _MAX_MICROS else None


def stamp_ns(stamp: datetime, zone: tzinfo) -> tuple[int, ...]:
    """A wall clock's naive stamp to epoch ns, the earlier first: two times in the hour that autumn
    repeats. Raises OverflowError beyond the calendar."""
    return tuple(sorted({ns_of(stamp.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)}))


def wall_clock_ns(text: str, form: str, zone: tzinfo) -> tuple[int, ...]:
    """As `stamp_ns`, of a text; none for what does not have the form (of `strptime`)."""
    try:
        return stamp_ns(datetime.strptime(text, form), zone)  # noqa: DTZ007 - the zone is beside it
    except (OverflowError, ValueError):
        return ()


def _bounded(ns: int) -> int | None:
    return ns if -_MAX_NS <= ns <= _MAX_NS else None


def to_datetime(ns: int, zone: tzinfo = UTC) -> datetime:
    """Aware, to the microsecond."""
    whole, rest = divmod(ns, NS)
    return datetime.fromtimestamp(whole, zone).replace(microsecond=rest // 1_000)
