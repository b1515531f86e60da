"""`forecast`: what the schedules will cost, and what they would cost if they changed."""
# ruff: noqa: RUF001 - the dash of a range, and for what is unknown, is what users see

from __future__ import annotations

from dataclasses import replace

import pytest

from cronalytics_otel.journal import Journal
from cronalytics_otel.journal.facts import CURRENT_JOBS
from cronalytics_otel.model import CostStatus, Job, Mode, Schedule, ScheduleKind
from tests.support.cli import DAY, DIGEST, HOUR, NOW_NS, SECOND, Cli, fill, new_home

DAILY = Schedule(kind=ScheduleKind.CRON, expression="0 7 * * *", cron="0 7 * * *")
BUDGETS = "{month: 3, jobs: {nightly digest: {day: 0.5, month: 1}}}"


def job(job_id: str, name: str, expression: str, **facts: object) -> Job:
    made = Job(
        job_id=job_id,
        name=name,
        mode=Mode.AGENT,
        schedule=Schedule(kind=ScheduleKind.CRON, expression=expression, cron=expression),
        created_ns=NOW_NS - 90 * DAY,
        next_run_ns=NOW_NS + HOUR,
    )
    return replace(made, **facts)  # type: ignore[arg-type]


@pytest.fixture
def cli(empty: Cli) -> Cli:
    """A daily job at $0.04 or $0.06 a run, a weekly one whose model has no price, and a paused one."""
    runs = [
        replace(
            DIGEST,
            execution_id=f"{day:032d}",
            session_id=f"d{day}",
            started_ns=NOW_NS - day * DAY - HOUR,
            ended_ns=NOW_NS - day * DAY - HOUR + 60 * SECOND,
            cost_usd=0.04 + 0.02 * (day % 2),
        )
        for day in range(31)
    ]
    weekly = [
        replace(
            run, execution_id=f"w{run.execution_id}", session_id=None, job_id="w",
            job_name="weekly retro", cost_usd=None, cost_status=CostStatus.UNKNOWN,
        )
        for run in runs[::7]
    ]  # fmt: skip
    fill(empty.home, *reversed(runs), *weekly)
    with_jobs(
        empty,
        job(DIGEST.job_id, "nightly digest", "0 7 * * *"),
        job("w", "weekly retro", "0 9 * * 1"),
        job("p", "paused", "* * * * *", enabled=False),
    )
    return empty


def with_jobs(cli: Cli, *jobs: Job) -> None:
    with Journal.open(cli.home.journal) as journal:
        journal.facts.set(CURRENT_JOBS, jobs)


def with_budgets(cli: Cli, budgets: str = BUDGETS) -> None:
    (cli.home.path / "config.yaml").write_text(
        f"plugins: {{entries: {{cronalytics-otel: {{budgets: {budgets}}}}}}}\n"
    )


def test_each_job_the_total_the_models_and_the_budgets(cli: Cli) -> None:
    with_budgets(cli)

    result = cli("forecast")

    assert result.lines == [
        "JOB             SCHEDULE   RUNS 30D  30 DAYS     LOW–HIGH  TREND 30D  90 DAYS  365 DAYS  THIS MONTH",
        "nightly digest  0 7 * * *        30    $1.50  $1.35–$1.65      $1.50    $4.50    $18.25       $1.54",
        "weekly retro    0 9 * * 1         4        –            –          –        –         –           –",
        "all that match                   34   ≥$1.50  $1.35–$1.65     ≥$1.50   ≥$4.50   ≥$18.25      ≥$1.54",
        "",
        (
            "By the schedules and what a scheduled run cost from 2026-01-01 09:00 to now;"
            " low–high holds 95 of 100 times."
        ),
        "≥: at least, because the cost of some runs is not known.",
        "",
        "MODEL            PROVIDER   30 DAYS     LOW–HIGH  90 DAYS  365 DAYS",
        "claude-sonnet-4  anthropic    $1.50  $1.35–$1.65    $4.50    $18.25",
        "",
        "Budgets",
        "– all jobs, $3.00 a month: ≥$1.54 (51 %) used, ≥$1.54 (51 %) expected",
        "✓ nightly digest, $0.5000 a day: $0.0400 (8 %) used, $0.0400 (8 %) expected",
        "✗ nightly digest, $1.00 a month: $1.54 (154 %) used, $1.54 (154 %) expected",
    ]
    assert (result.status, result.err) == (0, "")


def test_what_if_shows_the_difference(cli: Cli) -> None:
    result = cli("forecast", "--job", "digest", "--schedule", "0 */12 * * *")

    assert result.lines[1].split()[:7] == ["nightly", "digest", "0", "*/12", "*", "*", "*"]
    assert result.lines[4:7] == [
        "In 30 days: $3.00 instead of $1.50, +$1.50 (+100 %).",
        "In 90 days: $9.00 instead of $4.50, +$4.50 (+100 %).",
        "In 365 days: $36.50 instead of $18.25, +$18.25 (+100 %).",
    ]


def test_what_if_of_a_job_without_a_known_cost_is_unknown(cli: Cli) -> None:
    result = cli("forecast", "--job", "weekly", "--schedule", "0 */12 * * *")

    unknown = "unknown, because the cost of no scheduled run is known."
    assert result.lines[4:7] == [f"In {days} days: {unknown}" for days in (30, 90, 365)]


def test_skipping_a_job_leaves_it_in_sight(cli: Cli) -> None:
    lines = cli("forecast", "--skip", "digest").lines

    skipped = next(line for line in lines if line.startswith("nightly digest"))
    assert skipped.split()[-2:] == ["$0", "$1.54"]
    assert "In 30 days: – instead of ≥$1.50, -$1.50 (-100 %)." in lines


@pytest.mark.parametrize(
    ("limit", "budgets", "status"),
    [
        ((), BUDGETS, 1),
        ((), "{month: 100}", 0),
        (("1.49",), "{}", 1),
        (("$1.51",), "{}", 0),
        (("0",), BUDGETS, 1),
    ],
)
def test_fail_over_is_an_exit_status_for_budgets_or_an_amount(
    cli: Cli, limit: tuple[str, ...], budgets: str, status: int
) -> None:
    with_budgets(cli, budgets)

    assert cli("forecast", "--fail-over", *limit).status == status
    assert cli("forecast").status == 0


def test_wrong_budgets_are_told_where_they_are_asked(cli: Cli) -> None:
    with_budgets(cli, "{month: -3, week: 4}")

    result = cli("forecast")

    assert "budgets.month" in result.err
    assert "budgets.week: unknown key" in result.err


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--schedule", "0 * * * *"], "--schedule needs one --job"),
        (["--job", "digest", "--job", "weekly", "--schedule", "0 * * * *"], "needs one --job"),
        (["--job", "digest", "--schedule", "sometimes"], "'sometimes' is no schedule"),
        (["--job", "digest", "--schedule", "99 * * * *"], "'99 * * * *' is no schedule"),
        (["--job", "digest", "--schedule", ""], "it is empty"),
        (["--job", "digest", "--schedule", "every 2h", "--skip", "digest"], "and be skipped"),
        (["--skip", "nobody"], "No job is called 'nobody'"),
        (["--fail-over"], "There is no budget to hold the forecast against"),
        (["--fail-over", "much"], "'much' is no amount of US dollars"),
        (["--fail-over", "-3"], "'-3' is no amount of US dollars"),
        (["--fail-over", "nan"], "'nan' is no amount"),
        (["--csv", "--json"], "exclude each other"),
    ],
)
def test_wrong_usage_is_status_2(cli: Cli, args: list[str], error: str) -> None:
    result = cli("forecast", *args)

    assert (result.status, result.out) == (2, "")
    assert error in result.err


def test_nothing_that_is_scheduled_is_said(cli: Cli) -> None:
    with_jobs(cli, job("p", "paused", "* * * * *", enabled=False))

    result = cli("forecast")

    assert (result.status, result.out) == (0, "")
    assert result.err == "No job that matches is scheduled to run.\n"


def test_the_limit_cuts_the_rows_and_not_the_totals(cli: Cli) -> None:
    lines = cli("forecast", "--limit", "1").lines

    assert [line.split("  ")[0] for line in lines[:3]] == [
        "JOB",
        "nightly digest",
        "all that match",
    ]
    assert "34" in lines[2]
    assert "1 of 2 jobs shown; --limit 0 shows all" in lines


def test_json_has_the_ranges_and_the_budgets(cli: Cli) -> None:
    with_budgets(cli)

    shape = cli("forecast", "--json").json

    digest = shape["jobs"][0]
    assert set(shape) == {"total", "without_changes", "jobs", "matched", "models", "budgets"}
    assert shape["without_changes"] is None
    assert digest["outlook"]["30d"]["scheduled_runs"] == 30
    assert digest["outlook"]["30d"]["nominal"] == {
        "usd": pytest.approx(1.5),
        "low_usd": pytest.approx(1.346, abs=0.01),
        "high_usd": pytest.approx(1.654, abs=0.01),
        "is_lower_bound": False,
    }
    assert shape["budgets"][2] == {
        "profile": "default",
        "scope": "job",
        "period": "month",
        "limit_usd": 1,
        "job_id": DIGEST.job_id,
        "job_name": "nightly digest",
        "used_usd": pytest.approx(1.54),
        "forecast_usd": pytest.approx(1.54),
        "over": True,
        "forecast_over": True,
        "used_share": pytest.approx(1.54),
        "forecast_share": pytest.approx(1.54),
    }
    assert cli("forecast", "--json", "--skip", "digest").json["without_changes"] is not None


def test_budgets_of_several_profiles_name_their_profile(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    with_budgets(cli)
    work = new_home(cli.home.path / "profiles" / "work")
    fill(work, replace(DIGEST, profile="work"))
    with_budgets(Cli(work, capsys))

    text = cli("forecast", "--all-profiles")
    found = cli("forecast", "--all-profiles", "--json").json["budgets"]

    assert {each["profile"] for each in found} == {"default", "work"}
    assert any(" default: all jobs, " in line for line in text.lines)
    assert any(" work: all jobs, " in line for line in text.lines)


def test_csv_has_a_line_for_each_job(cli: Cli) -> None:
    lines = cli("forecast", "--csv").lines

    assert lines[0].startswith(
        "profile,job_id,job_name,schedule,scheduled_runs_30d,nominal_usd_30d,"
    )
    assert [line.split(",")[2] for line in lines[1:]] == ["nightly digest", "weekly retro"]


def test_columns_leave_in_the_order_of_their_worth(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = []
    for columns in range(40, 111):
        monkeypatch.setenv("COLUMNS", str(columns))
        heads.append(len(cli("forecast").lines[0].split("  ")))
        assert max(map(len, cli("forecast").lines[:4])) <= columns

    assert heads == sorted(heads)
