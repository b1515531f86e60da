"""Sums over runs, by day and by the runs themselves: the answers to how many, how long and how much.

The two day tables hold what the runs of each day took together. They follow from the table of runs, in
the transaction that makes a run final, and may be rebuilt at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from ..model import Amounts, CostStatus, Mode, ModelAmounts, Outcome, Usage
from ..model.figures import AMOUNT_NAMES
from ..model.run import OUTPUT_ID
from ..model.times import Zone
from . import calendar
from .database import Connection
from .facts import FIGURES_ZONE, FIRST_DAY_WITH_RUNS, Facts
from .filters import Conditions, RunFilter, conditions, job_conditions, run_conditions

Key: TypeAlias = tuple[Any, ...]
"""The values of the dimensions of a group, in the order in which they were asked for. The day is a
number of days since 1970-01-01; '' stands for an unknown text."""


class Dimension(StrEnum):
    """What sums can be grouped by."""

    DAY = "day"
    JOB = "job_id"
    MODE = "mode"
    """Of runs only."""
    OUTCOME = "outcome"
    """Of runs only."""
    TRIGGER = "trigger"
    """Of runs only."""
    MODEL = "model"
    """Of usage only, as the next two."""
    PROVIDER = "provider"
    COST_STATUS = "cost_status"


_USAGE_NAMES: Final = tuple(field.name for field in fields(Usage))
_MODEL_NAMES: Final = ("runs", "api_calls", "cost_usd")

_HAS_RUN: Final = f"outcome <> '{Outcome.MISSED}'"
_LEFT_OUTPUT_ONLY: Final = (
    f"(session_id IS NULL AND substr(execution_id, 1, {len(OUTPUT_ID)}) IS '{OUTPUT_ID}')"
)
_KNOWN_COST: Final = f"CASE WHEN cost_status IS '{CostStatus.UNKNOWN}' THEN NULL ELSE cost_usd END"
_CALLED_NO_MODEL: Final = (
    f"(mode IS '{Mode.SCRIPT}' OR outcome IN ('{Outcome.SKIPPED}', '{Outcome.MISSED}')"
    " OR api_calls IS 0)"
)
_COST_IS_UNKNOWN: Final = (
    f"({_KNOWN_COST} IS NULL AND (coalesce(cost_status, '') IN ('{CostStatus.UNKNOWN}',"
    f" '{CostStatus.PARTIAL}')"
    f" OR (cost_status IS NOT '{CostStatus.INCLUDED}' AND NOT {_CALLED_NO_MODEL})))"
)
COST_OF_RUN: Final = f"CASE WHEN NOT {_COST_IS_UNKNOWN} THEN coalesce({_KNOWN_COST}, 0.0) END"
"""The cost of a row of `run`: NULL where nothing is known of it, 0 for a run that called no model."""

DURATION_OF_RUN: Final = (
    f"CASE WHEN {_HAS_RUN} AND NOT {_LEFT_OUTPUT_ONLY} THEN ended_ns - started_ns END"
)
"""In nanoseconds; NULL where it is unknown."""

_AMOUNTS: Final = {
    "runs": "1",
    "occurrences": "coalesce(missed_count, 1)",
    "timed_runs": f"{_HAS_RUN} AND NOT {_LEFT_OUTPUT_ONLY}",
    "duration_s": f"CASE WHEN {_HAS_RUN} AND NOT {_LEFT_OUTPUT_ONLY}"
    " THEN (ended_ns - started_ns) / 1e9 ELSE 0.0 END",
    "priced_runs": f"{_HAS_RUN} AND NOT {_COST_IS_UNKNOWN}",
    "cost_usd": f"coalesce({_KNOWN_COST}, 0.0)",
    "cost_usd_squared": f"coalesce(({_KNOWN_COST}) * ({_KNOWN_COST}), 0.0)",
    "unpriced_runs": f"{_HAS_RUN} AND {_COST_IS_UNKNOWN}",
    "partial_runs": f"{_HAS_RUN} AND cost_status IS '{CostStatus.PARTIAL}' AND cost_usd IS NOT NULL",
    **{name: f"coalesce({name}, 0)" for name in _USAGE_NAMES},
}
"""Each number of a row of `day_runs` as an expression on a row of `run`. The same rules are properties of
`Run`; a test holds the two equal."""

_RUN_DIMENSIONS: Final = {
    Dimension.JOB: "job_id",
    Dimension.OUTCOME: "outcome",
    Dimension.TRIGGER: "coalesce(trigger, '')",
    Dimension.MODE: "coalesce(mode, '')",
    Dimension.DAY: "local_day(ended_ns)",
}
_USAGE_DIMENSIONS: Final = {
    Dimension.JOB: "job_id",
    Dimension.MODEL: "model",
    Dimension.PROVIDER: "provider",
    Dimension.COST_STATUS: "cost_status",
    Dimension.DAY: "day",
}


class _Table(NamedTuple):
    """A day table with the table of its groups, and how their rows follow from the runs."""

    name: str
    groups: str
    dimensions: dict[Dimension, str]
    """By dimension, its expression on a row of the source. The day is in the day table, the others are in
    the table of groups."""
    sums: dict[str, str]
    """By column, the expression of the number that is summed."""
    source: Callable[[str], str]
    """Returns the FROM clause for the runs that a condition holds for. The parameters of the condition
    occur `repeats` times."""
    repeats: int

    @property
    def of_groups(self) -> dict[Dimension, str]:
        """The dimensions of a group, as `dimensions`."""
        return {name: of for name, of in self.dimensions.items() if name is not Dimension.DAY}


def _usage_source(where: str) -> str:
    """Return each model's part in the runs as rows: from the run where it had one model alone, else from
    the list of parts."""
    tokens = ", ".join(
        f"coalesce(json_extract(value, '$.usage.{name}'), 0) AS {name}" for name in _USAGE_NAMES
    )
    return (
        "(SELECT local_day(ended_ns) AS day, job_id, coalesce(model, '') AS model, "  # noqa: S608
        "coalesce(provider, '') AS provider, coalesce(cost_status, '') AS cost_status, "
        f"coalesce(api_calls, 0) AS api_calls, coalesce({_KNOWN_COST}, 0.0) AS cost_usd, "
        f"{', '.join(_USAGE_NAMES)} FROM run "
        f"WHERE {where} AND model_usage IS NULL AND input_tokens IS NOT NULL "
        f"AND NOT ({_CALLED_NO_MODEL} AND input_tokens + output_tokens = 0 AND {_KNOWN_COST} IS NULL) "
        "UNION ALL SELECT local_day(ended_ns), job_id, coalesce(json_extract(value, '$.model'), ''), "
        "coalesce(json_extract(value, '$.provider'), ''), "
        "coalesce(json_extract(value, '$.cost_status'), ''), "
        "coalesce(json_extract(value, '$.api_calls'), 0), "
        f"CASE WHEN json_extract(value, '$.cost_status') IS '{CostStatus.UNKNOWN}' THEN 0.0 "
        f"ELSE coalesce(json_extract(value, '$.cost_usd'), 0.0) END, {tokens} "
        f"FROM run, json_each(model_usage) WHERE {where} AND model_usage IS NOT NULL)"
    )


_RUNS: Final = _Table(
    "day_runs",
    "run_group",
    _RUN_DIMENSIONS,
    _AMOUNTS,
    lambda where: f"run WHERE {where}",
    repeats=1,
)
_USAGE: Final = _Table(
    "day_usage",
    "usage_group",
    _USAGE_DIMENSIONS,
    {"runs": "1", **{name: name for name in (*_MODEL_NAMES[1:], *_USAGE_NAMES)}},
    _usage_source,
    repeats=2,
)


class Figures:
    """The sums. A window is half open: a run belongs to it by its end."""

    def __init__(self, connection: Connection, facts: Facts) -> None:
        self._connection = connection
        self._facts = facts
        self._zone_name: str | None = None
        self._zone: tzinfo = UTC

    # Keeping the day tables.

    def add(self, after_id: int) -> None:
        """Add the runs with a greater id to the day tables; call it in the transaction that adds them."""
        self._use_stored_zone()
        for table in (_RUNS, _USAGE):
            self._fold(table, "run.id > ?", [after_id])

    def use_zone(self, zone: Zone, now_ns: int) -> None:
        """Use the home's zone for the days. Another zone than before rebuilds the day tables."""
        name = calendar.zone_text(zone, now_ns)
        if name != self._facts.get(FIGURES_ZONE):
            self.rebuild(name)

    def rebuild(self, zone_name: str | None = None) -> None:
        """Compute the day tables anew, as days of the zone as it is or of another one.

        Days whose runs were deleted stay as they are. With another zone, the border between them and the runs
        that are kept may lie within a day: that day gets the kept runs added, and stays from then on.
        """
        first_day = self._facts.get(FIRST_DAY_WITH_RUNS)
        since_ns = None if first_day is None else self.midnight_ns(first_day)
        with self._connection.atomic():
            self._facts.set(FIGURES_ZONE, zone_name or self._facts.get(FIGURES_ZONE))
            self._use_stored_zone()
            for table in (_RUNS, _USAGE):
                self._connection.execute(
                    f"DELETE FROM {table.name} WHERE day >= coalesce(?, day)",  # noqa: S608
                    (first_day,),
                )
                self._fold(table, "ended_ns >= coalesce(?, ended_ns)", [since_ns])
            if first_day is not None and since_ns is not None:
                whole = calendar.first_whole_day(since_ns, self._zone)
                self._facts.set(FIRST_DAY_WITH_RUNS, max(first_day, whole))

    def _fold(self, table: _Table, where: str, values: Sequence[object]) -> None:
        source, parameters = table.source(where), [*values] * table.repeats
        of_groups = table.of_groups
        names = ", ".join(of_groups)
        self._connection.execute(
            f"INSERT OR IGNORE INTO {table.groups} ({names}) "  # noqa: S608 - our own names
            f"SELECT DISTINCT {', '.join(of_groups.values())} FROM {source}",
            parameters,
        )
        expressions = [f"{of} AS {name}" for name, of in table.dimensions.items()]
        expressions += [f"sum({of}) AS {name}" for name, of in table.sums.items()]
        by = ", ".join(str(n + 1) for n in range(len(table.dimensions)))
        sums = ", ".join(table.sums)
        self._connection.execute(
            f"INSERT INTO {table.name} (group_id, day, {sums}) SELECT {table.groups}.id, day, {sums} "  # noqa: S608
            f"FROM (SELECT {', '.join(expressions)} FROM {source} GROUP BY {by}) "
            f"JOIN {table.groups} USING ({names}) "
            # SQLite needs the condition to tell the upsert from a join.
            "WHERE true ON CONFLICT (group_id, day) DO UPDATE SET "
            f"{', '.join(f'{name} = {name} + excluded.{name}' for name in table.sums)}",
            parameters,
        )

    # Days.

    @property
    def zone(self) -> tzinfo:
        """The zone of the home's calendar."""
        self._use_stored_zone()
        return self._zone

    def day_of(self, at_ns: int) -> int:
        """Return the day of a time on the home's calendar, as days since 1970-01-01."""
        return calendar.day_of(at_ns, self.zone)

    def midnight_ns(self, day: int, *, fold: int = 0) -> int:
        """Return when a day begins; the later time of two (`fold` 1) where the clocks go back over it."""
        return calendar.midnight_ns(day, self.zone, fold=fold)

    def _use_stored_zone(self) -> None:
        name = self._facts.get(FIGURES_ZONE)
        if name == self._zone_name:
            return
        self._zone_name = name
        self._zone = calendar.zone_of(name)
        self._connection.create_function(
            "local_day", 1, calendar.local_day_in(self._zone), deterministic=True
        )

    # Questions.

    def runs(self, wanted: RunFilter, *, by: Sequence[Dimension] = ()) -> dict[Key, Amounts]:
        """Return what the runs that match took, by group; no group for none."""
        found = self._sums(
            _RUNS, wanted, by, from_runs=wanted.needs_runs, day_conditions=conditions(wanted)
        )
        numbers = len(AMOUNT_NAMES)
        return {
            key: Amounts(
                usage=Usage(**dict(zip(_USAGE_NAMES, sums[numbers:], strict=True))),
                **dict(zip(AMOUNT_NAMES, sums[:numbers], strict=True)),
            )
            for key, sums in found
        }

    def usage(self, wanted: RunFilter, *, by: Sequence[Dimension] = ()) -> dict[Key, ModelAmounts]:
        """Return what the models took in the runs that match, by group; no group for none."""
        found = self._sums(
            _USAGE,
            wanted,
            by,
            from_runs=wanted.needs_runs or wanted.asks_how_it_ran,
            day_conditions=job_conditions(wanted),
        )
        numbers = len(_MODEL_NAMES)
        return {
            key: ModelAmounts(
                usage=Usage(**dict(zip(_USAGE_NAMES, sums[numbers:], strict=True))),
                **dict(zip(_MODEL_NAMES, sums[:numbers], strict=True)),
            )
            for key, sums in found
        }

    def _sums(
        self,
        table: _Table,
        wanted: RunFilter,
        by: Sequence[Dimension],
        *,
        from_runs: bool,
        day_conditions: Conditions,
    ) -> list[tuple[Key, Key]]:
        """Return group and sums, from the days that lie wholly in the window and the runs of its edges."""
        if wanted.job is not None:
            raise ValueError("sums are asked for by the ids of jobs, not by their names")
        self._use_stored_zone()
        selects, values = list[str](), list[object]()
        if from_runs:
            self._add_runs(table, by, run_conditions(wanted), selects, values)
        else:
            self._add_days(table, wanted, by, day_conditions, selects, values)
        sums = ", ".join(f"sum({name})" for name in table.sums)
        groups = ", ".join(by)
        rows = self._connection.execute(
            f"SELECT {groups}{', ' if by else ''}{sums} FROM ({' UNION ALL '.join(selects)}) "  # noqa: S608
            + (f"GROUP BY {groups}" if by else "HAVING count(*) > 0"),
            values,
        ).fetchall()
        return [(row[: len(by)], row[len(by) :]) for row in rows]

    def _add_days(
        self,
        table: _Table,
        wanted: RunFilter,
        by: Sequence[Dimension],
        day_conditions: Conditions,
        selects: list[str],
        values: list[object],
    ) -> None:
        clauses, of_clauses = list(day_conditions[0]), list(day_conditions[1])
        first, last = self._whole_days(wanted)
        edges = run_conditions(wanted)
        if first is not None and last is not None and first >= last:  # no whole day
            self._add_runs(table, by, edges, selects, values)
            return
        if first is not None:
            clauses.append("day >= ?")
            of_clauses.append(first)
            before, limits = self._ends("<", first, self.midnight_ns(first, fold=1))
            edge = ([*edges[0], *before], [*edges[1], *limits])
            self._add_runs(table, by, edge, selects, values)
        if last is not None:
            clauses.append("day < ?")
            of_clauses.append(last)
            after, limits = self._ends(">=", last, self.midnight_ns(last))
            edge = ([*edges[0], *after], [*edges[1], *limits])
            self._add_runs(table, by, edge, selects, values)
        # For each group one look into the index, and then its days in a row.
        source = (
            f"FROM {table.groups} CROSS JOIN {table.name} ON group_id = {table.groups}.id "
            f"WHERE {' AND '.join(clauses)}"
        )
        if Dimension.DAY in by:
            selects.append(f"SELECT {', '.join((*by, *table.sums))} {source}")
        else:
            # The days come in the order of the groups: SQLite adds them up without sorting.
            sums = [f"sum({name}) AS {name}" for name in table.sums]
            selects.append(f"SELECT {', '.join((*by, *sums))} {source} GROUP BY {table.groups}.id")
        values += of_clauses

    def _ends(self, comparison: str, day: int, at_ns: int) -> Conditions:
        """Return the conditions for runs that end before or after the beginning of a day.

        Where the clocks change at midnight, only the day of each run can tell.
        """
        clauses, values = [f"ended_ns {comparison} ?"], list[object]([at_ns])
        if self.midnight_ns(day) != self.midnight_ns(day, fold=1):
            clauses.append(f"local_day(ended_ns) {comparison} ?")
            values.append(day)
        return clauses, values

    def _whole_days(self, wanted: RunFilter) -> tuple[int | None, int | None]:
        """Return the first day that lies wholly in the window, and the day after the last one.

        The last day need not be over: it lies wholly in the window if no run has ended since.
        """
        first = last = None
        if wanted.since_ns is not None:
            first = calendar.first_whole_day(wanted.since_ns, self.zone)
        if wanted.until_ns is not None:
            last = self.day_of(wanted.until_ns)
            if self._newest_end_ns() < wanted.until_ns:
                last += 1
        return first, last

    def _newest_end_ns(self) -> int:
        (end_ns,) = self._connection.execute("SELECT max(ended_ns) FROM run").fetchone()
        return 0 if end_ns is None else int(end_ns)

    def _add_runs(
        self,
        table: _Table,
        by: Sequence[Dimension],
        where: Conditions,
        selects: list[str],
        values: list[object],
    ) -> None:
        columns = [f"{table.dimensions[dimension]} AS {dimension}" for dimension in by]
        columns += [f"{expression} AS {name}" for name, expression in table.sums.items()]
        source = table.source(" AND ".join(where[0]))
        selects.append(f"SELECT {', '.join(columns)} FROM {source}")  # noqa: S608
        values += [*where[1]] * table.repeats
