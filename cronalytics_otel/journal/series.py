"""The series of the metrics: they change only in the transaction that makes runs final.

Nothing else touches them: no rebuilt day table, no other time zone, no deleted run. So a counter never
goes down.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..model.series import ONCE, OTHER, Series, SeriesKey, SeriesKind, SeriesValue
from ..model.times import NS
from .database import Connection, unreadable
from .facts import CURRENT_JOBS, GONE_JOBS, METRICS_COLLECTED_NS, Facts

MAX_SERIES: Final = 1_600
"""Series of one kind that have a job of their own: the eight outcomes of 200 jobs. Whatever comes beyond
that is counted under `other`."""

GONE_JOBS_SENT_NS: Final = 7 * 86_400 * NS
"""How long the series of a deleted job are still sent."""

CLOCK_SET_BACK_NS: Final = 3_600 * NS
"""A last collection further ahead than that was made by a clock that was wrong."""

_TIME_STEP_NS: Final = 1_000_000
"""The least time between two collections: what backends tell apart."""

_SHARED_JOBS: Final = frozenset({"", ONCE, OTHER})

_OPEN_LABELS: Final[Mapping[SeriesKind, int]] = {
    SeriesKind.COST: 2,
    SeriesKind.TOKENS: 2,
    SeriesKind.UNPRICED_RUNS: 1,
    SeriesKind.CALL_TOKENS: 3,
    SeriesKind.CALL_DURATION: 3,
}
"""How many of the labels of a kind, from the first, name a model or a provider: those may have any value."""


class SeriesTable:
    """The table of series."""

    def __init__(self, connection: Connection, facts: Facts) -> None:
        self._connection = connection
        self._facts = facts

    def add(self, increments: Mapping[SeriesKey, SeriesValue], now_ns: int) -> None:
        """Add to the series, and begin those that are new; call it in the transaction that adds the runs.

        A series beyond `MAX_SERIES` is counted under `other`, and stays there.
        """
        start_ns = self._facts.get(METRICS_COLLECTED_NS)
        room: dict[SeriesKind, int] = {}
        of_others: list[tuple[SeriesKey, SeriesValue]] = []
        for key, added in increments.items():
            row = self._row(key)
            if row is None:
                in_other = not self._has_room(key, room)
                self._insert(key, added, in_other=in_other, start_ns=start_ns, now_ns=now_ns)
            else:
                in_other = bool(row[1])
                if not in_other:
                    self._update(row, added, now_ns)
            if in_other:
                of_others.append((_in_other(key), added))
        for key, added in of_others:
            row = self._row(key)
            if row is None:
                self._insert(key, added, in_other=False, start_ns=start_ns, now_ns=now_ns)
            else:
                self._update(row, added, now_ns)

    def _row(self, key: SeriesKey) -> Any:
        return self._connection.execute(
            "SELECT id, in_other, value, buckets FROM metric_series "
            "WHERE kind = ? AND job_id = ? AND job_name = ? AND labels = ?",
            (key.kind.value, key.job_id, key.job_name, json.dumps(key.labels)),
        ).fetchone()

    def _has_room(self, key: SeriesKey, room: dict[SeriesKind, int]) -> bool:
        if key.job_id in (ONCE, OTHER):
            return True
        if key.kind not in room:
            (count,) = self._connection.execute(
                "SELECT count(*) FROM metric_series WHERE kind = ? AND in_other = 0 "
                "AND job_id NOT IN (?, ?)",
                (key.kind.value, ONCE, OTHER),
            ).fetchone()
            room[key.kind] = MAX_SERIES - count
        room[key.kind] -= 1
        return room[key.kind] >= 0

    def _insert(
        self,
        key: SeriesKey,
        added: SeriesValue,
        *,
        in_other: bool,
        start_ns: int | None,
        now_ns: int,
    ) -> None:
        total = SeriesValue(value=0.0) if in_other else added
        self._connection.execute(
            "INSERT INTO metric_series (kind, job_id, job_name, labels, in_other, start_ns, value, "
            "buckets, added_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (key.kind.value, key.job_id, key.job_name, json.dumps(key.labels), in_other, start_ns,
             total.value, buckets_text(total.buckets), now_ns),
        )  # fmt: skip

    def _update(self, row: Any, added: SeriesValue, now_ns: int) -> None:
        series_id, _, value, buckets = row
        summed = tuple(map(sum, zip(read_buckets(buckets), added.buckets, strict=True)))
        self._connection.execute(
            "UPDATE metric_series SET value = ?, buckets = ?, added_ns = ? WHERE id = ?",
            (value + added.value, buckets_text(summed), now_ns, series_id),
        )

    # Collecting.

    def begin_collection(self, now_ns: int) -> int:
        """Return the time of the points of a collection that begins now; call it in `atomic()`.

        It is later than that of any collection before, also when the clock was set back; only a clock
        that was wrong by more than `CLOCK_SET_BACK_NS` is not followed, and then the series start anew.
        """
        last_ns = self._facts.get(METRICS_COLLECTED_NS)
        time_ns = now_ns
        if last_ns is not None and now_ns < last_ns + _TIME_STEP_NS:
            if last_ns - now_ns <= CLOCK_SET_BACK_NS:
                time_ns = last_ns + _TIME_STEP_NS
            else:
                self._connection.execute(
                    "UPDATE metric_series SET start_ns = ?1 WHERE start_ns > ?1", (now_ns,)
                )
        self._connection.execute(
            "UPDATE metric_series SET start_ns = ? WHERE start_ns IS NULL", (time_ns,)
        )
        self._facts.set(METRICS_COLLECTED_NS, time_ns)
        self._forget_gone(now_ns)
        return time_ns

    def all(self) -> list[Series]:
        """Return the series that are sent, by kind.

        Raises `JournalError` for a row that this version cannot read.
        """
        rows = self._connection.execute(
            "SELECT id, kind, job_id, job_name, labels, start_ns, value, buckets FROM metric_series "
            "WHERE in_other = 0 ORDER BY kind, id"
        ).fetchall()
        try:
            return list(_series(rows))
        except (ValueError, TypeError) as error:
            raise unreadable("a series", error) from error

    def _forget_gone(self, now_ns: int) -> None:
        """Delete the series of jobs that are gone for more than `GONE_JOBS_SENT_NS`.

        A job that was never in jobs.json counts as gone since its last run.
        """
        known = self._facts.read()
        if CURRENT_JOBS.name not in known.texts:  # jobs.json was never read
            return
        current = {job.job_id for job in known.get(CURRENT_JOBS)}
        gone = known.get(GONE_JOBS)
        rows = self._connection.execute(
            "SELECT job_id, max(added_ns) FROM metric_series GROUP BY job_id"
        ).fetchall()
        forgotten = [
            (job_id,)
            for job_id, added_ns in rows
            if job_id not in _SHARED_JOBS
            and job_id not in current
            and now_ns - max(added_ns, gone.get(job_id, 0)) > GONE_JOBS_SENT_NS
        ]
        if forgotten:
            self._connection.executemany(
                "DELETE FROM metric_delta WHERE series_id IN "
                "(SELECT id FROM metric_series WHERE job_id = ?)",
                forgotten,
            )
            self._connection.executemany("DELETE FROM metric_series WHERE job_id = ?", forgotten)


def _in_other(key: SeriesKey) -> SeriesKey:
    """Return the series that counts for one beyond the limit."""
    count = _OPEN_LABELS.get(key.kind, 0)
    labels = (OTHER,) * count + key.labels[count:]
    job = (OTHER, OTHER) if key.job_id else ("", "")
    return SeriesKey(key.kind, *job, labels)


def _series(rows: list[Any]) -> Iterator[Series]:
    labels_of: dict[str, tuple[str, ...]] = {}
    kinds = {kind.value: kind for kind in SeriesKind}
    for series_id, kind, job_id, job_name, labels, start_ns, value, buckets in rows:
        if kind not in kinds:  # a newer version has added it
            continue
        if labels not in labels_of:
            labels_of[labels] = tuple(json.loads(labels))
        yield Series(
            id=series_id,
            key=SeriesKey(kinds[kind], job_id, job_name, labels_of[labels]),
            start_ns=start_ns,
            total=SeriesValue(value=value, buckets=read_buckets(buckets)),
        )


def buckets_text(buckets: tuple[int, ...]) -> str | None:
    return json.dumps(buckets) if buckets else None


def read_buckets(text: str | None) -> tuple[int, ...]:
    return () if text is None else tuple(json.loads(text))
