"""How far each destination has the metrics, and the requests that it has not acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Final

from ..model.destination_fault import DestinationFault
from ..model.series import Series, SeriesValue
from ..model.temporality import Temporality
from .database import Connection
from .outbox import SET_ANSWERING, SET_FAILED, fault_from
from .series import buckets_text, read_buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDestination:
    """How far a destination has the metrics. Times are epoch ns; all but `requested_ns` and the times of
    failures are those of points."""

    id: int
    name: str
    endpoint: str
    """Without secrets."""
    active: bool
    """Whether it is still in the settings."""
    temporality: Temporality
    requested_ns: int | None
    """When the newest request was made, by the clock."""
    request_ns: int | None
    request_points: int
    """Points in the newest request."""
    request_waits: bool
    """Whether the newest request holds deltas, and has no receipt yet."""
    received_ns: int | None
    """The time of the points that it accepted last; None before its first receipt."""
    received_series_id: int | None
    """It has a point of every series up to this one; None before its first receipt."""
    received_run_id: int
    """What it accepted last includes all runs up to this one."""
    last_receipt_ns: int | None
    delivered_points: int
    refused_points: int
    refused_reason: str | None
    """Why it refused points of its newest answer; None if it took all of them."""
    not_served: bool
    """Whether it has no endpoint for metrics, so that it is asked once a day."""
    failures: int
    """In a row."""
    failing_since_ns: int | None
    next_try_ns: int | None
    asked_to_wait: bool
    timed_out: bool
    last_error: str | None
    fault: DestinationFault | None
    """What its last answer shows to be wrong."""

    @property
    def fails(self) -> bool:
        """Whether it is in use, serves metrics, and its last request failed."""
        return self.active and self.failures > 0 and not self.not_served


_COMPUTED: Final = {"request_waits": "request IS NOT NULL"}
_NAMES: Final = tuple(field.name for field in fields(MetricDestination))
_COLUMNS: Final = ", ".join(_COMPUTED.get(name, name) for name in _NAMES)
_ANSWERING: Final = f"{SET_ANSWERING}, not_served = 0"
_RECEIVED: Final = (
    "received_ns = request_ns, received_series_id = request_series_id, "
    "received_run_id = request_run_id, request = NULL"
)


class MetricDestinations:
    """The table of the destinations of metrics, and of what those with delta temporality have."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def set(self, wanted: Mapping[str, tuple[str, Temporality]]) -> None:
        """Store the settings' destinations: by name the endpoint without secrets, and the temporality."""
        known = self._connection.execute(
            "SELECT name, endpoint, temporality FROM metric_destination WHERE active = 1"
        ).fetchall()
        if {name: (endpoint, kind) for name, endpoint, kind in known} == dict(wanted):
            return
        before = {one.name: one for one in self.all()}
        self._connection.execute("UPDATE metric_destination SET active = 0 WHERE active = 1")
        for name, (endpoint, temporality) in wanted.items():
            self._connection.execute(
                "INSERT INTO metric_destination (name, endpoint, active, temporality) "
                "VALUES (?, ?, 1, ?) ON CONFLICT (name) DO UPDATE SET active = 1",
                (name, endpoint, temporality.value),
            )
            if name in before:
                self._change(before[name], endpoint, temporality)

    def _change(self, known: MetricDestination, endpoint: str, temporality: Temporality) -> None:
        if known.endpoint != endpoint:  # the former server's answers do not bind another one
            self._connection.execute(
                f"UPDATE metric_destination SET endpoint = ?, {_ANSWERING}, "  # noqa: S608
                "last_receipt_ns = NULL WHERE id = ?",
                (endpoint, known.id),
            )
        if known.temporality is temporality:
            return
        self._connection.execute(
            "UPDATE metric_destination SET temporality = ?, request = NULL WHERE id = ?",
            (temporality.value, known.id),
        )
        self._connection.execute("DELETE FROM metric_delta WHERE destination_id = ?", (known.id,))
        if temporality is Temporality.DELTA and known.received_ns is not None:  # it has the sums
            self._connection.execute(
                "INSERT INTO metric_delta SELECT ?, id, value, buckets, value, buckets "
                "FROM metric_series WHERE in_other = 0",
                (known.id,),
            )

    def all(self) -> list[MetricDestination]:
        """Return each destination that was ever in the settings."""
        return self._select("1")

    def active(self) -> list[MetricDestination]:
        """Return the destinations in the settings."""
        return self._select("active = 1")

    def named(self, name: str) -> MetricDestination | None:
        """Return the destination with this name."""
        return next((one for one in self.all() if one.name == name), None)

    def get(self, destination_id: int) -> MetricDestination:
        """Return the destination with this id."""
        return next(one for one in self.all() if one.id == destination_id)

    def _select(self, where: str) -> list[MetricDestination]:
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM metric_destination WHERE {where} ORDER BY name"  # noqa: S608
        ).fetchall()
        found = (dict(zip(_NAMES, row, strict=True)) for row in rows)
        return [
            MetricDestination(
                **{
                    **values,
                    "temporality": Temporality(values["temporality"]),
                    "fault": fault_from(values["fault"]),
                    **{name: bool(values[name]) for name in _FLAGS},
                }
            )
            for values in found
        ]

    def newest_run_id(self) -> int:
        """Return the id of the newest run; 0 without any."""
        (newest,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchone()
        return int(newest)

    def lacking(self, destination: MetricDestination) -> tuple[int, int | None]:
        """Return how many runs the destination's metrics lack, and when the first of them ended."""
        runs, ended_ns = self._connection.execute(
            "SELECT count(*), (SELECT ended_ns FROM run WHERE id > ?1 ORDER BY id LIMIT 1) "
            "FROM run WHERE id > ?1",
            (destination.received_run_id,),
        ).fetchone()
        return runs, ended_ns

    # Requests.

    def requested(
        self,
        destination_id: int,
        *,
        now_ns: int,
        time_ns: int,
        points: int,
        series_id: int,
        run_id: int,
    ) -> None:
        """Record a request that is about to be made: when, and what is in it."""
        self._connection.execute(
            "UPDATE metric_destination SET requested_ns = ?, request_ns = ?, request_points = ?, "
            "request_series_id = ?, request_run_id = ? WHERE id = ?",
            (now_ns, time_ns, points, series_id, run_id, destination_id),
        )

    def requested_again(self, destination_id: int, now_ns: int) -> None:
        """Record that the request that waits is about to be made again."""
        self._connection.execute(
            "UPDATE metric_destination SET requested_ns = ? WHERE id = ?", (now_ns, destination_id)
        )

    def keep_request(self, destination_id: int, request: bytes, series: Iterable[Series]) -> None:
        """Keep a request of deltas until its receipt comes: `series` are all that it brings up to date."""
        self._connection.execute(
            "UPDATE metric_destination SET request = ? WHERE id = ?", (request, destination_id)
        )
        self._connection.executemany(
            "INSERT INTO metric_delta VALUES (?1, ?2, 0, NULL, ?3, ?4) "
            "ON CONFLICT (destination_id, series_id) "
            "DO UPDATE SET requested_value = ?3, requested_buckets = ?4",
            [
                (destination_id, one.id, one.total.value, buckets_text(one.total.buckets))
                for one in series
            ],
        )

    def kept_request(self, destination_id: int) -> bytes | None:
        """Return the request of deltas that has no receipt yet."""
        (request,) = self._connection.execute(
            "SELECT request FROM metric_destination WHERE id = ?", (destination_id,)
        ).fetchone()
        return None if request is None else bytes(request)

    def received(self, destination_id: int) -> dict[int, SeriesValue]:
        """Return by the id of the series what a destination with delta temporality has of it."""
        rows = self._connection.execute(
            "SELECT series_id, received_value, received_buckets FROM metric_delta "
            "WHERE destination_id = ?",
            (destination_id,),
        ).fetchall()
        return {
            series_id: SeriesValue(value=value, buckets=read_buckets(buckets))
            for series_id, value, buckets in rows
        }

    # Receipts.

    def accepted(
        self, destination_id: int, *, now_ns: int, refused_points: int = 0, reason: str = ""
    ) -> None:
        """Record that the newest request was accepted, but for some points that were refused."""
        self._connection.execute(
            f"UPDATE metric_destination SET {_ANSWERING}, {_RECEIVED}, last_receipt_ns = ?, "  # noqa: S608
            "refused_reason = NULL, delivered_points = delivered_points + request_points - ? WHERE id = ?",
            (now_ns, refused_points, destination_id),
        )
        self._count_refused(destination_id, refused_points, reason)
        self._connection.execute(
            "UPDATE metric_delta SET received_value = requested_value, "
            "received_buckets = requested_buckets WHERE destination_id = ? "
            "AND (received_value <> requested_value OR received_buckets IS NOT requested_buckets)",
            (destination_id,),
        )

    def refused(self, destination_id: int, points: int, reason: str) -> None:
        """Record that a request was refused for what it contains. Nothing is lost: the next one has
        it."""
        self._count_refused(destination_id, points, reason)
        self._connection.execute(
            "UPDATE metric_destination SET request = NULL WHERE id = ?", (destination_id,)
        )
        self._connection.execute(
            "UPDATE metric_delta SET requested_value = received_value, "
            "requested_buckets = received_buckets WHERE destination_id = ?",
            (destination_id,),
        )

    def failed(
        self,
        destination_id: int,
        error: str,
        *,
        now_ns: int,
        next_try_ns: int,
        asked_to_wait: bool,
        timed_out: bool,
        not_served: bool,
        fault: DestinationFault | None = None,
    ) -> None:
        """Record that a request failed, and when the destination may be tried again."""
        self._connection.execute(
            f"UPDATE metric_destination SET {SET_FAILED}, not_served = ? WHERE id = ?",  # noqa: S608
            (
                error,
                next_try_ns,
                asked_to_wait,
                timed_out,
                fault,
                now_ns,
                not_served,
                destination_id,
            ),
        )

    def ask_again(self) -> None:
        """Forget that destinations do not serve metrics, so that they are asked again."""
        self._connection.execute(
            f"UPDATE metric_destination SET {_ANSWERING} WHERE not_served = 1"  # noqa: S608
        )

    def _count_refused(self, destination_id: int, points: int, reason: str) -> None:
        if points:
            self._connection.execute(
                "UPDATE metric_destination SET refused_points = refused_points + ?, "
                "refused_reason = ? WHERE id = ?",
                (points, reason, destination_id),
            )


_FLAGS: Final = ("active", "request_waits", "not_served", "asked_to_wait", "timed_out")


def additions(
    series: Iterable[Series], received: Mapping[int, SeriesValue]
) -> list[tuple[Series, SeriesValue]]:
    """Return the series that have grown, each with what was added since the destination received it."""
    found = []
    for one in series:
        before = received.get(one.id, SeriesValue(value=0.0))
        buckets = tuple(
            now - then
            for now, then in zip(
                one.total.buckets, before.buckets or (0,) * len(one.total.buckets), strict=True
            )
        )
        added = SeriesValue(value=one.total.value - before.value, buckets=buckets)
        if added.value > 0 or any(buckets):
            found.append((one, added))
    return found
