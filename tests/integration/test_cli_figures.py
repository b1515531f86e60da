"""The commands that answer about jobs: summary, jobs, job, models, skills, trends, at each width."""

from __future__ import annotations

import csv
import io
import itertools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from cronalytics_otel.cli import formats
from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS, LAST_SYNC_NS
from cronalytics_otel.model import (
    CostStatus,
    Job,
    Mode,
    Outcome,
    Run,
    Schedule,
    ScheduleKind,
    Trigger,
)
from tests.support.cli import DAY, DIGEST, HOUR, NO_KEY, NOW_NS, SCRIPT, SECOND, Cli, fill, new_home
from tests.support.snapshots import UPDATE, check_text

GOLDEN = Path(__file__).parent / "golden"
DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"
WIDTHS = ["60", "80", "120", "none"]


def a_job(run: Run, cron: str, **facts: object) -> Job:
    job = Job(
        job_id=run.job_id,
        name=run.job_name,
        mode=run.mode or Mode.AGENT,
        schedule=Schedule(kind=ScheduleKind.CRON, expression=cron, cron=cron),
        skills=run.skills,
        created_ns=NOW_NS - 80 * DAY,
    )
    return replace(job, **facts)  # type: ignore[arg-type]


JOBS = (
    a_job(DIGEST, "0 7 * * *", next_run_ns=NOW_NS + 22 * HOUR),
    a_job(NO_KEY, "0 */8 * * *", next_run_ns=NOW_NS + 5 * HOUR, runs_left=12),
    a_job(SCRIPT, "0 5 * * *", enabled=False, paused_ns=NOW_NS - 31 * DAY),
)


def history() -> list[Run]:
    """Sixty days: a digest each day that costs more since two weeks, a summary that fails at times, and a
    script; and an outage of two days."""
    runs = []
    for n in range(60):
        ago_ns = n * DAY
        usd = 0.08 if n < 14 else 0.04
        runs.append(
            replace(
                DIGEST,
                execution_id=f"{n:04x}d19e" + 24 * "0",
                session_id=None,
                started_ns=DIGEST.started_ns - ago_ns,
                ended_ns=DIGEST.ended_ns - ago_ns + (n % 5) * 20 * SECOND,
                scheduled_ns=NOW_NS - 2 * HOUR - ago_ns,
                claimed_ns=None,
                cost_usd=usd + (n % 3) * 0.001,
                trigger=Trigger.MANUAL if n == 3 else Trigger.SCHEDULE,
            )
        )
        for part in range(3):
            is_bad = (n, part) in ((0, 0), (0, 1), (7, 2))
            start_ns = NO_KEY.started_ns - ago_ns - part * 8 * HOUR
            runs.append(
                replace(
                    NO_KEY if is_bad else replace(DIGEST, skills=("mail",), tool_calls=0),
                    job_id=NO_KEY.job_id,
                    job_name=NO_KEY.job_name,
                    execution_id=f"{n:04x}b1{part:02x}" + 24 * "0",
                    session_id=None,
                    started_ns=start_ns,
                    ended_ns=start_ns + 40 * SECOND,
                    scheduled_ns=start_ns - 5 * SECOND,
                    claimed_ns=None,
                    model="gpt-5-mini",
                    provider="openai",
                    cost_usd=None if is_bad else 0.01,
                )
            )
    missed = replace(
        SCRIPT,
        outcome=Outcome.MISSED,
        execution_id="missed_01",
        trigger=Trigger.SCHEDULE,
        started_ns=NOW_NS - 5 * DAY,
        ended_ns=NOW_NS - 4 * DAY,
        missed_count=2,
        error_type="scheduler_down",
        error_message="The scheduler was down.",
    )
    return [*runs, SCRIPT, missed]


@pytest.fixture
def cli(empty: Cli) -> Cli:
    with Journal.open(empty.home.journal) as journal, journal.atomic():
        journal.jobs.observe(JOBS, NOW_NS - 80 * DAY)
        changed = replace(JOBS[0], model="claude-opus-4")
        journal.jobs.observe([changed], NOW_NS - 14 * DAY)
        journal.facts.set(CURRENT_JOBS, (changed, *JOBS[1:]))
        journal.facts.set(LAST_SYNC_NS, NOW_NS)
        journal.runs.add(history(), NOW_NS)
    return empty


COMMANDS = {
    "summary": ("summary",),
    "jobs": ("jobs",),
    "job": ("job", "nightly digest"),
    "job_failing": ("job", "billing", "--days", "7"),
    "models": ("models",),
    "skills": ("skills",),
    "trends": ("trends", "--days", "7"),
    "drift": ("drift", "--days", "14"),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_screen_keeps_the_width_of_the_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, width: str
) -> None:
    if width != "none":
        monkeypatch.setenv("COLUMNS", width)

    result = cli(*COMMANDS[name])

    assert (result.status, result.err) == (0, "")
    check_text(GOLDEN / f"{name}_{width}.txt", result.out)


@pytest.mark.parametrize("name", ["summary", "jobs", "trends", "drift"])
def test_the_document_shows_such_a_screen(name: str) -> None:
    command = " ".join(COMMANDS[name])
    screen = (GOLDEN / f"{name}_120.txt").read_text(encoding="utf-8")
    text = DOCUMENT.read_text(encoding="utf-8")
    before, line, rest = text.partition(f"$ cronalytics-otel {command}\n")
    shown, fence, after = rest.partition("```\n")
    if os.environ.get(UPDATE):
        DOCUMENT.write_text(before + line + screen + fence + after, encoding="utf-8")
        return

    assert shown == screen


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("name", COMMANDS)
def test_the_data_for_programs(cli: Cli, name: str, form: str) -> None:
    result = cli(*COMMANDS[name], f"--{form}")

    assert (result.status, result.err) == (0, "")
    check_text(GOLDEN / f"{name}.{form}", result.out)


def test_a_wider_terminal_shows_more_columns_and_never_others(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = []
    for width in range(40, 200, 3):
        monkeypatch.setenv("COLUMNS", str(width))
        shown.append({word for word in cli("jobs").lines[0].split("  ") if word.strip()})

    assert all(
        {w.strip() for w in a} <= {w.strip() for w in b} for a, b in itertools.pairwise(shown)
    )


@pytest.mark.parametrize("width", [30, 45, 60])
def test_the_totals_of_the_summary_keep_a_narrow_width(
    cli: Cli, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cli.home, replace(DIGEST, execution_id="s" * 32, session_id=None, outcome=Outcome.SKIPPED))
    monkeypatch.setenv("COLUMNS", str(width))

    lines = cli("summary").lines
    totals = lines[: lines.index("")]

    assert max(map(len, totals)) <= width
    assert totals[2].startswith("  runs")


def test_a_note_of_the_summary_that_is_too_long_goes_on_in_the_next_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cli.home, replace(DIGEST, execution_id="s" * 32, session_id=None, outcome=Outcome.SKIPPED))
    runs = {}
    for width in (60, 80):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = cli("summary").lines
        start = lines.index(next(line for line in lines if line.startswith("  runs")))
        runs[width] = lines[start : start + 2]

    assert runs[60] == [
        "  runs           122  117 succeeded, 4 failed, 1 skipped,",
        "                      2 started by hand",
    ]
    assert runs[80][0].endswith(" 117 succeeded, 4 failed, 1 skipped, 2 started by hand")
    assert runs[80][1].startswith("  success")


def test_rows_and_totals_of_the_csv_and_the_json_agree(cli: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("jobs", "--csv").out)))
    found = cli("jobs", "--json").json

    assert [row["name"] for row in rows] == [job["name"] for job in found["jobs"]]
    assert sum(int(row["runs"]) for row in rows) == found["totals"]["runs"]
    assert cli("summary", "--json").json["totals"] == found["totals"]


def test_the_last_line_of_runs_is_its_totals_as_those_of_jobs_are(cli: Cli) -> None:
    totals = cli("runs", "--days", "30", "--json").json["totals"]
    line = cli("runs", "--days", "30").lines[-1]

    assert (totals["runs"], totals["failed"], totals["missed"]) == (121, 4, 2)
    assert line == "121 runs, 4 failed, 2 missed, $2.66"
    assert cli("jobs", "--days", "30").lines[-1].endswith(line)
    assert cli("runs", "--outcome", "missed").lines[-1] == "0 runs, 0 failed, 2 missed, $0"


def test_skills_have_runs_and_cost_of_the_window_and_averages_of_its_last_14_days(cli: Cli) -> None:
    month, week, before = (
        cli("skills", *option, "--json").json["skills"][0]
        for option in (("--days", "30"), ("--days", "7"), ("--until", "2026-01-10"))
    )

    assert week["runs"] < month["runs"]
    assert week["cost_usd"] < month["cost_usd"]
    assert week["mean_cost_usd"] == month["mean_cost_usd"] != before["mean_cost_usd"]


@pytest.mark.parametrize(
    ("changes", "cost_usd", "cell"),
    [
        ({"cost_status": CostStatus.UNKNOWN, "cost_usd": None}, 2.0, "≥$2.00"),
        ({"cost_status": CostStatus.PARTIAL, "cost_usd": 1.0}, 3.0, "≥$3.00"),
        ({"cost_usd": 1.0}, 3.0, "$3.00"),
    ],
)
def test_the_cost_of_a_skill_with_an_unknown_cost_is_a_lower_bound(
    empty: Cli, changes: dict[str, object], cost_usd: float, cell: str
) -> None:
    unclear = replace(DIGEST, execution_id="a" * 32, session_id=None, **changes)  # type: ignore[arg-type]
    fill(empty.home, replace(DIGEST, cost_usd=2.0), unclear)

    found = empty("skills", "--json").json
    lines = empty("skills").lines

    totals = {"cost_usd": cost_usd, "cost_is_lower_bound": cell.startswith("≥")}
    assert found["totals"] == totals
    assert totals.items() <= found["skills"][0].items()
    assert lines[1].split()[-1] == cell
    assert f"2026-01-01 09:00 to now: {cell}" in lines


def test_a_skill_of_whose_runs_no_cost_is_known_costs_an_unknown_amount(empty: Cli) -> None:
    fill(empty.home, replace(DIGEST, cost_status=CostStatus.UNKNOWN, cost_usd=None))

    assert empty("skills", "--json").json["totals"] == {
        "cost_usd": None,
        "cost_is_lower_bound": True,
    }
    assert empty("skills").lines[1].split()[-1] == formats.UNKNOWN


def test_totals_are_over_all_that_match_and_not_over_the_rows_shown(cli: Cli) -> None:
    limited = cli("jobs", "--limit", "1", "--json").json

    assert (limited["matched"], limited["shown"], len(limited["jobs"])) == (3, 1, 1)
    assert limited["totals"] == cli("jobs", "--json").json["totals"]
    assert "1 of 3 jobs shown; --limit 0 shows all" in cli("jobs", "--limit", "1").lines


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("name", "billing summary"),
        ("cost", "nightly digest"),
        ("runs", "billing summary"),
        ("failed", "billing summary"),
        ("missed", "certificate check"),
        ("pace", "nightly digest"),
        ("next", "billing summary"),
        ("p95", "nightly digest"),
        ("success", "certificate check"),
        ("last", "nightly digest"),
        ("tokens", "billing summary"),
    ],
)
def test_jobs_are_ordered_as_asked(cli: Cli, order: str, first: str) -> None:
    assert cli("jobs", "--sort", order, "--json").json["jobs"][0]["name"] == first


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("jobs", "--days", "3", "--since", "2d"), "--days and --since exclude each other."),
        (("jobs", "--csv", "--json"), "--csv and --json exclude each other."),
        (("jobs", "--since", "2d", "--until", "3d"), "--until must come after --since."),
        (("job", "nobody"), "No job is called 'nobody'."),
        (("runs", "--model", "gpt-5-min"), "Did you mean 'gpt-5-mini'?"),
        (("summary", "--model", "x"), "No model is called 'x'."),
        (("jobs", "--skill", "new"), "Did you mean 'news'?"),
        (("export", "--skill", "x"), "No skill is called 'x'."),
        (("jobs", "--profile", "nobody"), "There is no profile 'nobody'."),
        (("jobs", "--sort", "costs"), "did you mean cost?"),
        (("jobs", "--outcome", "failure,faild"), "did you mean failed?"),
        (("jobs", "--outcome", "running"), "'running' is unknown"),
        (("drift", "--days", "0"), "no window before it"),
        (("job", ""), "it is empty"),
        (("jobs", "--job", ""), "it is empty"),
        (("jobs", "--limt", "3"), "did you mean --limit?"),
        (("job", "--job", "x", "tool"), "--job tool; this command has no --job"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_wrong(
    cli: Cli, args: tuple[str, ...], message: str
) -> None:
    result = cli(*args)

    assert (result.status, result.out) == (2, "")
    assert message in result.err


def test_several_profiles_are_answered_together(cli: Cli) -> None:
    work = new_home(cli.home.path / "profiles" / "work")
    with Journal.open(work.journal) as journal, journal.atomic():
        journal.runs.add([replace(DIGEST, profile="work", job_id="0e0e", job_name="report")], 0)

    both = cli("jobs", "--all-profiles", "--json").json
    alone = cli("jobs", "--profile", "work", "--json").json

    assert [(job["profile"], job["name"]) for job in alone["jobs"]] == [("work", "report")]
    assert [job["profile"] for job in both["jobs"]] == ["default"] * 3 + ["work"]
    own = cli("jobs", "--json").json["totals"]["runs"]
    assert both["totals"]["runs"] == own + 1
    assert cli("jobs", "--all-profiles").lines[0].split()[:2] == ["ID", "PROFILE"]
    assert cli("runs", "--all-profiles", "--limit", "1").lines[0].split()[0] == "PROFILE"
    assert cli("summary", "--all-profiles").status == 0
    assert cli("job", "report", "--all-profiles").lines[0] == "report  deleted"
    assert cli("trace", "report", "--all-profiles").lines[0] == "report  success"
    assert cli("trace", "report", "--profile", "work", "--json").json["run"]["profile"] == "work"
    assert cli("trace", "report").status == 1
    nothing = cli("output", "report", "--all-profiles")
    assert (nothing.status, nothing.out) == (1, "")
    assert nothing.err.startswith("error: There is no output file of run")


WITH_PROFILES = (
    ("summary",), ("jobs",), ("job", "nightly"), ("runs",), ("models",), ("skills",), ("trends",), ("drift",),
    ("forecast",), ("export",), ("trace", "latest"), ("health",), ("status",),
)  # fmt: skip


@pytest.mark.parametrize("command", WITH_PROFILES, ids=lambda command: command[0])
def test_a_profile_that_cannot_be_read_is_named_and_the_others_answer(
    cli: Cli, command: tuple[str, ...]
) -> None:
    broken = new_home(cli.home.path / "profiles" / "broken")
    broken.plugin_folder.mkdir()
    broken.journal.write_bytes(b"no database" * 100)
    never = new_home(cli.home.path / "profiles" / "never")
    other = new_home(cli.home.path / "profiles" / "other")
    (other.path / "config.yaml").write_text("plugins: {enabled: [another]}\n")

    result, alone = cli(*command, "--all-profiles"), cli(*command)

    assert (result.status, result.out) == (1, alone.out.replace("Nothing is wrong.\n", ""))
    assert "error: profile broken is left out: " in result.err
    assert f"Run `cronalytics-otel sync --home {broken.path}`: it fills a new one." in result.err
    assert f"Run `cronalytics-otel sync --home {never.path}`: it reads the history" in result.err
    assert "other" not in result.err
    if command != ("export",):
        found = cli(*command, "--all-profiles", "--json").json
        assert [each["profile"] for each in found["left_out"]] == ["broken", "never"]
        assert not found.get("healthy")


def test_the_name_of_a_model_is_known_also_if_it_was_never_called(cli: Cli) -> None:
    fill(
        cli.home,
        replace(
            NO_KEY, execution_id="x" * 32, session_id=None, model="gone-1", usage=None, api_calls=0
        ),
    )

    assert cli("runs", "--model", "gone-1", "--json").json["matched"] == 1
    assert (
        cli("jobs", "--model", "claude-opus-4").status == 0
    )  # a job asks for it, and no run had it


def test_without_a_profile_that_can_be_read_there_is_no_answer(cli: Cli) -> None:
    new_home(cli.home.path / "profiles" / "never")

    result = cli("summary", "--profile", "never", "--json")

    assert (result.status, result.out) == (1, "")
    assert "There is no journal yet" in result.err


def test_drift_shows_for_all_jobs_what_job_shows_for_one(cli: Cli) -> None:
    drifts = cli("drift", "--days", "14", "--json").json["drifts"]
    one = cli("job", "digest", "--days", "14", "--json").json["drift"]

    assert [d["name"] for d in drifts] == ["nightly digest"]
    assert {k: v for k, v in drifts[0].items() if k in one[0]} == one[0]
    assert [change["part"] for change in drifts[0]["definition_changes"]] == ["model"]


def fail_more(cli: Cli) -> None:
    """Add seven failures of the job of a week before: its failure rate has drifted."""
    failures = [
        replace(
            NO_KEY, execution_id=f"{n:032x}", session_id=None, ended_ns=NO_KEY.ended_ns - n * DAY
        )
        for n in range(1, 8)
    ]
    with Journal.open(cli.home.journal) as journal, journal.atomic():
        journal.runs.add(failures, NOW_NS)


def test_drift_shows_the_greatest_change_of_all_jobs_first(cli: Cli) -> None:
    fail_more(cli)

    drifts = cli("drift", "--days", "14", "--json").json["drifts"]
    of_one = cli("drift", "--days", "14", "--job", "digest", "--json").json

    assert [(d["name"], d["measure"]) for d in drifts] == [
        ("billing summary", "failure_rate"),
        ("nightly digest", "cost"),
    ]
    assert "failure rate      0 %     20 %  42, 49" in cli("drift", "--days", "14").out
    assert (of_one["matched"], of_one["drifts"]) == (1, drifts[1:])


def test_a_csv_of_drift_has_the_same_columns_with_and_without_a_changed_definition(
    cli: Cli,
) -> None:
    unchanged = new_home(cli.home.path / "profiles" / "work")
    with Journal.open(unchanged.journal) as journal, journal.atomic():
        journal.jobs.observe(JOBS, NOW_NS - 80 * DAY)
        journal.facts.set(CURRENT_JOBS, JOBS)
        journal.runs.add([replace(run, profile="work") for run in history()], NOW_NS)
    with_change, without = (
        list(
            csv.DictReader(
                io.StringIO(cli("drift", "--days", "14", "--profile", name, "--csv").out)
            )
        )
        for name in ("default", "work")
    )

    assert [row["definition_changes"] for row in with_change] == [
        "model changed: none → claude-opus-4"
    ]
    assert [row["definition_changes"] for row in without] == [""]
    assert [*with_change[0]] == [*without[0]]


def test_a_changed_prompt_is_shown_without_the_hashes(cli: Cli) -> None:
    with Journal.open(cli.home.journal) as journal, journal.atomic():
        changed = replace(JOBS[0], model="claude-opus-4", prompt_hash="abcdef0123")
        journal.jobs.observe([changed], NOW_NS - 13 * DAY)

    for command in (("drift", "--days", "14"), ("job", "digest", "--days", "14")):
        out = cli(*command).out
        assert "  prompt changed\n" in out
        assert "abcdef0123" not in out
    assert cli("drift", "--days", "14", "--csv").lines[1].endswith("; prompt changed")


def test_a_filter_for_runs_leaves_only_jobs_with_such_a_run(cli: Cli) -> None:
    found = cli("jobs", "--outcome", "failed", "--json").json["jobs"]

    assert [job["name"] for job in found] == ["billing summary", "certificate check"]
    assert {job["expected_runs"] for job in found} == {None}


def test_percentiles_of_a_long_window_say_of_which_days_they_are(cli: Cli) -> None:
    note = "percentiles are of the last 90 days"

    assert note in cli("jobs", "--days", "0").lines
    assert note in cli("job", "digest", "--days", "365").lines
    assert note not in cli("jobs", "--days", "90").lines


def test_an_empty_journal_answers_too(empty: Cli) -> None:
    with Journal.open(empty.home.journal):
        pass

    assert "runs      0" in empty("summary").out
    assert empty("summary", "--json").json["totals"]["success_rate"] is None
    for command in ("jobs", "models", "skills"):
        result = empty(command)
        assert (result.status, result.out) == (0, "")
        assert result.err
    assert empty("trends", "--days", "0").err == "No run matches.\n"


def test_a_pace_and_a_leader_with_an_unknown_cost_are_lower_bounds(cli: Cli) -> None:
    unknown = replace(
        DIGEST,
        execution_id="u" * 32,
        session_id=None,
        cost_usd=None,
        cost_status=CostStatus.UNKNOWN,
        trigger=Trigger.MANUAL,
    )
    with Journal.open(cli.home.journal) as journal, journal.atomic():
        journal.runs.add([unknown], NOW_NS)

    found = cli("summary", "--json").json

    assert found["totals"]["pace_is_lower_bound"]
    assert [leader["is_lower_bound"] for leader in found["leaders"]["cost_usd"]] == [True, False]
    assert "pace ≥1.4" in cli("summary").out
    assert "pace ≥1.0" in cli("job", "nightly digest").out
    (row,) = [line for line in cli("jobs").lines if "nightly digest" in line]
    assert "≥1.0" in row


def test_a_run_that_called_no_model_leaves_the_cost_of_its_model_exact(cli: Cli) -> None:
    models, totals = cli("models", "--json").json["models"], cli("summary", "--json").json["totals"]

    assert not totals["cost_is_lower_bound"]
    assert {model["cost_is_lower_bound"] for model in models} == {False}
    assert sum(model["cost_usd"] for model in models) == pytest.approx(totals["cost_usd"])


def test_days_are_in_their_order_in_every_form_and_a_limit_takes_the_newest(cli: Cli) -> None:
    newest = ["2026-01-30", "2026-01-31"]
    args = ("trends", "--days", "7", "--limit", "2")

    assert [day["day"] for day in cli(*args, "--json").json["days"]] == newest
    assert [row["day"] for row in csv.DictReader(io.StringIO(cli(*args, "--csv").out))] == newest
    assert [line.split()[1].rstrip("~") for line in cli(*args).lines[1:3]] == newest


@pytest.mark.parametrize(
    ("bars", "title"), [("tokens", "TOKENS"), ("duration", "TIME"), ("cost", "COST")]
)
def test_the_number_behind_the_bars_is_shown_in_a_narrow_terminal(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, bars: str, title: str
) -> None:
    monkeypatch.setenv("COLUMNS", "70")

    heads = cli("trends", "--days", "7", "--bars", bars).lines[0].split()

    assert title in heads[2:]


def test_a_csv_has_a_column_for_each_outcome_whatever_its_first_line_has(cli: Cli) -> None:
    days = list(csv.DictReader(io.StringIO(cli("trends", "--days", "7", "--csv").out)))

    assert [day["outcomes_failure"] for day in days] == ["0"] * 6 + ["1", "2"]
    assert {day["outcomes_timeout"] for day in days} == {"0"}


def test_a_day_before_the_oldest_known_run_is_not_shown(empty: Cli) -> None:
    fill(
        empty.home, DIGEST, replace(NO_KEY, started_ns=NOW_NS - 3 * DAY, ended_ns=NOW_NS - 3 * DAY)
    )

    days = [(day["day"], day["runs"]) for day in empty("trends", "--json").json["days"]]
    before = empty("trends", "--until", "2026-01-20")

    assert days == [("2026-01-28", 1), ("2026-01-29", 0), ("2026-01-30", 0), ("2026-01-31", 1)]
    assert (before.status, before.out, before.err) == (0, "", "No run matches.\n")


def test_jobs_of_one_name_in_several_profiles_are_told_apart_by_profile(cli: Cli) -> None:
    work = new_home(cli.home.path / "profiles" / "work")
    fill(work, replace(DIGEST, profile="work", job_id="0e0e"))
    with Journal.open(work.journal) as journal:
        journal.facts.set(CURRENT_JOBS, (replace(JOBS[0], job_id="0e0e"),))

    result = cli("job", "nightly digest", "--all-profiles")

    assert result.status == 2
    assert "More than one job matches 'nightly digest':" in result.err
    assert "6c583f72f2e8  default/nightly digest" in result.err
    assert "0e0e          work/nightly digest" in result.err
