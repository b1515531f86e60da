"""Facts: typed values by name, and what another version wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.journal import Journal, JournalError, facts
from cronalytics_otel.journal.facts import (
    CURRENT_JOBS,
    DELETED_BEFORE_NS,
    FIGURES_ZONE,
    FINDINGS_SHOWN,
    FINGERPRINTS,
    FIRST_DAY_WITH_RUNS,
    GONE_JOBS,
    HERMES_VERSION,
    KEPT_SINCE_NS,
    LAST_SYNC_NS,
    LEDGER_FIRST_NS,
    LEDGER_LOST,
    LEDGER_WATERMARK,
    METRICS_COLLECTED_NS,
    OBSERVATIONS_LOST,
    OLD_OUTPUTS_READ,
    OVERDUE_SEEN,
    PROBLEMS,
    RUNS_PASSED_OVER,
    SESSION_WATERMARK,
    SLOW_GAUGES,
    SOURCES,
    Fact,
    FolderReadUpTo,
    OverdueRow,
    SlowGauges,
    output_folder,
)
from cronalytics_otel.model import Job, Mode, Source, Watermark
from cronalytics_otel.model.series import Gauge

VALUES: list[tuple[Fact[Any], Any]] = [
    (LEDGER_WATERMARK, Watermark(7, "e7")),
    (SESSION_WATERMARK, Watermark(0, "")),
    (FINGERPRINTS, {"jobs": "1:2", "ledger": ""}),
    (LEDGER_LOST, 501),
    (LEDGER_FIRST_NS, 0),
    (OLD_OUTPUTS_READ, True),
    (OVERDUE_SEEN, {"a1": (OverdueRow(1, 2, None, None), OverdueRow(3, 4, 5, 0))}),
    (OBSERVATIONS_LOST, 2),
    (FIGURES_ZONE, "Europe/Berlin"),
    (FIRST_DAY_WITH_RUNS, 20_000),
    (METRICS_COLLECTED_NS, 6),
    (
        SLOW_GAUGES,
        SlowGauges(7, (Gauge(metric="skill.cost", value=0.5, labels=("web", "m", "")),)),
    ),
    (KEPT_SINCE_NS, 5),
    (DELETED_BEFORE_NS, 5),
    (RUNS_PASSED_OVER, 7),
    (FINDINGS_SHOWN, ("failing|a1|5",)),
    (output_folder("é job"), FolderReadUpTo(0, 12)),
    (
        SOURCES,
        (
            Source(name="jobs", path="/h/cron/jobs.json", exists=True, fault=None, changed_ns=9),
            Source(name="ledger", path="/h", exists=False, fault="locked", changed_ns=None),
        ),
    ),
    (
        CURRENT_JOBS,
        (Job(job_id="a1", name="digest", mode=Mode.AGENT, schedule=None, next_run_ns=5),),
    ),
    (GONE_JOBS, {"a1": 5}),
    (PROBLEMS, ("one", "two\nlines")),
    (LAST_SYNC_NS, 5),
    (HERMES_VERSION, "0.19.0"),
]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as journal:
        yield journal


@pytest.mark.parametrize(("fact", "value"), VALUES, ids=lambda value: getattr(value, "name", ""))
def test_a_fact_is_read_with_the_type_that_it_was_written_with(
    journal: Journal, fact: Fact[Any], value: Any
) -> None:
    assert journal.facts.get(fact) == fact.default
    journal.facts.set(fact, value)
    assert journal.facts.get(fact) == journal.facts.read().get(fact) == value
    assert type(journal.facts.get(fact)) is type(value)


def test_each_fact_has_a_name_of_its_own_and_is_tested_here() -> None:
    declared = [value for value in vars(facts).values() if isinstance(value, Fact)]
    names = [fact.name for fact in declared]

    assert len(set(names)) == len(names)
    assert set(names) < {fact.name for fact, _ in VALUES}


def test_a_fact_that_is_the_same_is_not_written_again(journal: Journal) -> None:
    journal.facts.set(PROBLEMS, ("one",))
    known, before = journal.facts.read(), journal._connection.total_changes
    journal.facts.update(known, PROBLEMS, ("one",))
    assert journal._connection.total_changes == before
    journal.facts.update(known, PROBLEMS, ())
    assert journal.facts.get(PROBLEMS) == ()


@pytest.mark.parametrize("text", ["{", '"words"', "[1, 2, 3]", "7"])
def test_a_value_that_cannot_be_read_is_the_journal_s_fault(journal: Journal, text: str) -> None:
    """No error but `JournalError` leaves a sync."""
    journal._connection.execute("INSERT INTO fact VALUES (?, ?)", (LEDGER_WATERMARK.name, text))
    with pytest.raises(JournalError, match=r"ledger\.mark"):
        journal.facts.get(LEDGER_WATERMARK)
