"""`watch`: what runs, what comes next, and what has just ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.text import Text

from cronalytics_otel.cli.commands import watch
from cronalytics_otel.cli.terminal import Terminal
from cronalytics_otel.cli.views.watch import screen
from cronalytics_otel.host import running as running_module
from cronalytics_otel.insight.now import Now
from cronalytics_otel.insight.profiles import Profile
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS
from cronalytics_otel.model import Execution, Job, Mode, RunningRun, Schedule, ScheduleKind
from tests.support.cli import (
    DIGEST,
    HOUR,
    LOST,
    MINUTE,
    NO_KEY,
    NOW_NS,
    SCRIPT,
    SECOND,
    Cli,
    fill,
    new_home,
)
from tests.support.fake_clock import FakeClock
from tests.support.homes import HomeBuilder

HOURLY = Schedule(kind=ScheduleKind.CRON, expression="0 * * * *", cron="0 * * * *")
JOBS = (
    Job(
        job_id=DIGEST.job_id,
        name="nightly digest",
        mode=Mode.AGENT,
        schedule=HOURLY,
        next_run_ns=NOW_NS + 5 * MINUTE,
    ),
    Job(
        job_id="b", name="backup", mode=Mode.AGENT, schedule=HOURLY, next_run_ns=NOW_NS + 2 * MINUTE
    ),
    Job(
        job_id="p",
        name="paused",
        mode=Mode.AGENT,
        schedule=HOURLY,
        next_run_ns=NOW_NS,
        enabled=False,
    ),
)


@pytest.fixture
def cli(empty: Cli) -> Cli:
    fill(empty.home, LOST, NO_KEY, DIGEST)
    with Journal.open(empty.home.journal) as journal:
        journal.facts.set(CURRENT_JOBS, JOBS)
    return empty


class Steps(FakeClock):
    """A clock by which something happens in each pause; after the last one Ctrl-C is pressed."""

    def __init__(self, *acts: Callable[[], None]) -> None:
        super().__init__(now_ns=NOW_NS)
        self._acts = list(acts)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if not self._acts:
            raise KeyboardInterrupt
        self._acts.pop(0)()


def going_on(age_ns: int, job_id: str = DIGEST.job_id) -> RunningRun:
    execution = Execution(
        execution_id="open",
        job_id=job_id,
        source="builtin",
        status="running",
        claimed_ns=NOW_NS - age_ns,
        started_ns=NOW_NS - age_ns,
        finished_ns=None,
        error=None,
        pid=1,
        process_started_at=1,
        delivery_outcome=None,
        scheduled_ns=None,
    )
    return RunningRun(execution=execution, process_is_gone=False)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> list[RunningRun]:
    """The open rows of the ledger, which a test changes."""
    rows: list[RunningRun] = []
    monkeypatch.setattr(running_module, "read_running", lambda _: tuple(rows))
    return rows


def test_a_pipe_gets_a_line_for_each_event_and_ctrl_c_is_the_normal_end(
    cli: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = replace(
        DIGEST,
        execution_id="open",
        session_id="new",
        started_ns=NOW_NS - 9 * SECOND,
        ended_ns=NOW_NS + 4 * SECOND,
    )

    def finish() -> None:
        ledger.clear()
        fill(cli.home, ended)
        with Journal.open(cli.home.journal) as journal:
            journal.facts.set(CURRENT_JOBS, JOBS[:1])

    clock = Steps(lambda: ledger.append(going_on(9 * SECOND)), lambda: None, finish, lambda: None)
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", clock)

    result = cli("watch")

    assert result.lines == [
        "2026-01-31 09:00:00 next     backup in 2 m 00 s, 2026-01-31 09:02",
        "2026-01-31 09:00:02 running  nightly digest for 11.0 s",
        "2026-01-31 09:00:04 finished nightly digest success after 13.0 s, $0.0432",
        "2026-01-31 09:00:06 next     nightly digest in 4 m 54 s, 2026-01-31 09:05",
    ]
    assert (result.status, result.err) == (0, "")
    assert clock.slept == [2.0] * 5


def test_a_run_that_hangs_is_an_event_once(
    cli: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(going_on(6 * HOUR - SECOND))
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: None, lambda: None))

    events = [line.split()[2] for line in cli("watch", "--interval", "1.5").lines]

    assert events == ["running", "next", "hung"]


def test_json_has_an_object_for_each_event(
    cli: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.append(going_on(MINUTE))
    new = replace(NO_KEY, execution_id="n" * 32, session_id="n", ended_ns=NOW_NS)
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: fill(cli.home, new)))

    lines = cli("watch", "--json").lines

    running, due, finished = map(json.loads, lines[:3])
    assert running == {
        "event": "running",
        "profile": "default",
        "execution_id": "open",
        "job_id": DIGEST.job_id,
        "job_name": "nightly digest",
        "started_at": "2026-01-31T07:59:00.000000Z",
        "elapsed_s": 60.0,
        "usual_s": None,
        "is_hung": False,
        "process_is_gone": False,
    }
    assert due == {
        "event": "next",
        "profile": "default",
        "job_id": "b",
        "job_name": "backup",
        "due_at": "2026-01-31T08:02:00.000000Z",
    }
    assert (finished["event"], finished["run_id"]) == ("finished", "n" * 32)


def test_the_screen_shows_all_three_and_how_fresh_they_are(cli: Cli) -> None:
    with Journal.open(cli.home.journal) as journal:
        moment = Now().look(Profile("default", journal), [going_on(7 * HOUR)], NOW_NS)

    assert [line.plain for line in screen(moment)] == [
        "Running now",
        "  nightly digest for 7 h 00 m",
        "",
        "Next up",
        "  backup in 2 m 00 s, 2026-01-31 09:02",
        "  nightly digest in 5 m 00 s, 2026-01-31 09:05",
        "",
        "Just finished",
        "  nightly digest success after 3 m 05 s, $0.0432, 1 h 57 m ago",
        (
            "  billing summary failure after 3.0 s, 3 h 00 m ago: RuntimeError: HTTP 401: Incorrect API"
            " key provided"
        ),
        (
            "  nightly digest abandoned after 1 h 00 m, 1 d 01 h ago: The process that ran it is gone, and"
            " it never wrote how the run ended"
        ),
        "",
        "2026-01-31 09:00:00, last sync 1 m 00 s ago; Ctrl-C leaves",
    ]


def test_a_run_that_goes_on_is_read_from_the_ledger_of_hermes(
    empty: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = HomeBuilder(empty.home.path)
    job_id = builder.job("digest", every_minutes=60)
    builder.agent_run(job_id, datetime.fromtimestamp(NOW_NS / 1e9 - 30, UTC), ended=False)
    builder.write()
    fill(empty.home)
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps())

    lines = empty("watch").lines

    assert lines[0].startswith("2026-01-31 09:00:00 running  digest for 30.0 s")


@pytest.mark.parametrize("interval", ["0", "0.05", "-1", "nan", "often", "1e9"])
def test_a_wrong_interval_is_wrong_usage(cli: Cli, interval: str) -> None:
    result = cli("watch", "--interval", interval)

    assert result.status == 2
    assert "is no number of seconds from 0.1 to 86400" in result.err


def test_without_a_journal_it_says_what_to_run(empty: Cli) -> None:
    result = empty("watch")

    assert (result.status, result.out) == (1, "")
    assert f"Run `cronalytics-otel sync --home {empty.home.path}`" in result.err


def test_of_one_job_it_shows_what_that_job_does(
    cli: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger += [going_on(MINUTE), going_on(MINUTE, job_id="b")]
    new = replace(NO_KEY, execution_id="n" * 32, session_id="n", ended_ns=NOW_NS)
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: fill(cli.home, new)))

    lines = cli("watch", "--job", "nightly").lines

    assert [line.split(maxsplit=2)[2] for line in lines] == [
        "running  nightly digest for 1 m 00 s",
        "next     nightly digest in 5 m 00 s, 2026-01-31 09:05",
    ]


def test_of_several_profiles_each_name_has_its_profile(
    cli: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = new_home(cli.home.path / "profiles" / "work")
    later = replace(DIGEST, profile="work", execution_id="w", job_name="report", ended_ns=NOW_NS)
    fill(work)
    with Journal.open(work.journal) as journal:
        journal.facts.set(CURRENT_JOBS, (replace(JOBS[1], next_run_ns=NOW_NS + 3 * MINUTE),))
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps())
    alone = cli("watch", "--profile", "work").lines
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: fill(work, later)))

    both = cli("watch", "--all-profiles").lines

    assert [line.split(maxsplit=2)[2] for line in both] == [
        "next     default/backup in 2 m 00 s, 2026-01-31 09:02",
        "finished work/report success after 2 h 00 m, $0.0432",
    ]
    assert [line.split(maxsplit=2)[2] for line in alone] == [
        "next     backup in 3 m 00 s, 2026-01-31 09:03"
    ]


def test_an_unknown_job_is_wrong_usage(cli: Cli) -> None:
    result = cli("watch", "--job", "nightly digst")

    assert (result.status, result.out) == (2, "")
    assert "Did you mean 'nightly digest'?" in result.err


def test_a_script_that_failed_is_shown_with_the_last_line_of_its_stderr(
    cli: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = replace(SCRIPT, started_ns=NOW_NS - SECOND, ended_ns=NOW_NS)
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: fill(cli.home, failed)))

    line = next(line for line in cli("watch").lines if "finished" in line)

    assert line.endswith("failure after 1.0 s: Script exited with code 3: expires tomorrow")


@pytest.fixture
def overdue(cli: Cli) -> Cli:
    """A home with a job that is overdue for three days, read since, one due just now and one to come."""
    late = replace(JOBS[1], job_id="c", name="late " * 12, next_run_ns=NOW_NS - 72 * HOUR)
    just = replace(JOBS[1], job_id="d", name="just due", next_run_ns=NOW_NS - SECOND)
    with Journal.open(cli.home.journal) as journal:
        journal.facts.set(CURRENT_JOBS, (*JOBS, late, just))
    return cli


def test_an_overdue_job_is_an_event_once_and_next_is_what_is_to_come(
    overdue: Cli, ledger: list[RunningRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: None))
    lines = overdue("watch").lines
    monkeypatch.setattr(watch, "SYSTEM_CLOCK", Steps(lambda: None))
    first, second = map(json.loads, overdue("watch", "--json").lines)

    name = ("late " * 12).strip()
    assert lines == [
        f"2026-01-31 09:00:00 overdue  {name} 3 d 00 h ago, 2026-01-28 09:00",
        "2026-01-31 09:00:00 next     backup in 2 m 00 s, 2026-01-31 09:02",
    ]
    assert (first["event"], first["job_id"], first["due_at"]) == (
        "overdue", "c", "2026-01-28T08:00:00.000000Z",
    )  # fmt: skip
    assert (second["event"], second["job_id"]) == ("next", "b")


def test_the_screen_has_overdue_jobs_first_and_cuts_their_names(overdue: Cli) -> None:
    with Journal.open(overdue.home.journal) as journal:
        moment = Now().look(Profile("default", journal), [], NOW_NS)

    assert [line.plain for line in screen(moment)][3:9] == [
        "Overdue",
        "  late late late late late late l… 3 d 00 h ago, 2026-01-28 09:00",
        "",
        "Next up",
        "  backup in 2 m 00 s, 2026-01-31 09:02",
        "  nightly digest in 5 m 00 s, 2026-01-31 09:05",
    ]


def test_a_line_that_is_longer_than_the_screen_is_cut_and_never_wraps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal({"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "20"})

    with terminal.drawing() as draw:
        draw([Text("a first line of many words"), Text("short")])

    shown = Text.from_ansi(capsys.readouterr().out).plain
    assert "a first line of man…\nshort" in shown
