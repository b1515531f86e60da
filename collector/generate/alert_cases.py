"""The unit tests of the alerts: what homes send, and when an alert fires and when it is quiet.

`promtool test rules collector/alerts/tests/*.yml` runs them without anything of ours. Minutes count from the begin
of a test. A subject is `JOB@INSTANCE`, and without `@` it is of the instance `a`; `@a` is a home.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from collector.generate.alert_files import GROUP as ALERTS_GROUP
from collector.generate.alerts import ALERTS
from collector.generate.promql import JOB_NAME
from collector.generate.rules import GROUP as RULES_GROUP
from collector.generate.sent import (
    DELETED,
    PAUSED,
    Request,
    Sent,
    SentBudget,
    SentDestination,
    SentJob,
)
from collector.generate.yaml_text import yaml_text

DAY: Final = 1_440
HOUR: Final = 60

Sends: TypeAlias = tuple[int, int, Request]
"""The same request in each minute from the first to the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One unit test of one alert."""

    title: str
    sends: tuple[Sends, ...]
    firing: Mapping[int, tuple[str, ...]]
    """By minute about which subjects the alert fires; nothing where it is quiet."""


def jobs(first: int, last: int, *sent: SentJob, instance: str = "a") -> Sends:
    """Return the requests of a home with these jobs."""
    return first, last, Request(jobs=sent, instance=instance)


QUIET: Final[tuple[str, ...]] = ()
WELL: Final = SentJob(succeeded=7, failed=2, failures_in_a_row=0)
FAILED: Final = replace(WELL, failed=3, failures_in_a_row=1)
AGAIN_WELL: Final = replace(WELL, succeeded=8, failed=3)
ONCE: Final = SentJob(name="once", job_id="once", states={}, failures_in_a_row=None)

# --- a job's runs ------------------------------------------------------------------------------------

JOB_FAILED: Final = (
    Case(
        title="it fires at once, and ends ten minutes after the next success",
        sends=(jobs(0, 30, WELL), jobs(31, 59, FAILED), jobs(60, 150, AGAIN_WELL)),
        firing={30: QUIET, 35: ("digest",), 59: ("digest",), 65: ("digest",), 75: QUIET, 150: QUIET},
    ),
    Case(
        title="a run that its gate skipped after the failure is not a success",
        sends=(jobs(0, 30, WELL), jobs(31, 200, FAILED)),
        firing={35: ("digest",), 200: ("digest",)},
    ),
    Case(
        title="the history in the first values of a home is not a failure",
        sends=(jobs(10, 200, replace(WELL, failed=40)),),
        firing={15: QUIET, 60: QUIET, 80: QUIET, 190: QUIET},
    ),
    Case(
        title="a job whose last run failed before the first request is failing",
        sends=(jobs(10, 60, replace(WELL, failed=40, failures_in_a_row=2)),),
        firing={9: QUIET, 15: ("digest",)},
    ),
    Case(
        title="a failure between two requests, three hours apart, that was followed by a success",
        sends=(jobs(0, 0, WELL), jobs(180, 180, AGAIN_WELL), jobs(360, 360, AGAIN_WELL)),
        firing={179: QUIET, 185: ("digest",), 239: ("digest",), 255: QUIET, 365: QUIET},
    ),
    Case(
        title="the last request showed a failure: it fires as long as the home is silent",
        sends=(jobs(0, 0, WELL), jobs(60, 60, FAILED), jobs(600, 600, AGAIN_WELL)),
        firing={65: ("digest",), 599: ("digest",), 615: QUIET},
    ),
    Case(
        title="the Collector is down for three hours, and a failure arrives late",
        sends=(jobs(0, 30, WELL), jobs(211, 300, FAILED)),
        firing={210: QUIET, 215: ("digest",), 300: ("digest",)},
    ),
    Case(
        title="the same where the job succeeded meanwhile",
        sends=(jobs(0, 30, WELL), jobs(211, 300, AGAIN_WELL)),
        firing={210: QUIET, 215: ("digest",), 290: QUIET},
    ),
    Case(
        title="the Collector is down for three hours in which all went well",
        sends=(jobs(0, 30, WELL), jobs(211, 300, replace(WELL, succeeded=20))),
        firing={40: QUIET, 210: QUIET, 215: QUIET, 300: QUIET},
    ),
    Case(
        title="the first run of a new job fails",
        sends=(
            jobs(0, 30, WELL),
            jobs(30, 30, SentJob(name="new", job_id="b0b0")),
            jobs(31, 60, WELL, SentJob(name="new", job_id="b0b0", failed=1, failures_in_a_row=1)),
        ),
        firing={30: QUIET, 35: ("new",)},
    ),
    Case(
        title="a new job failed and succeeded, and Prometheus refused the 0 at which its series begin",
        sends=(
            jobs(0, 0, WELL),
            jobs(120, 120, WELL, SentJob(name="new", job_id="b0b0", succeeded=1, failed=1)),
        ),
        firing={119: QUIET, 125: ("new",), 195: QUIET},
    ),
    Case(
        title="the journal was deleted and read anew: the counters begin at less",
        sends=(jobs(0, 30, replace(WELL, failed=40)), jobs(31, 120, replace(WELL, failed=12))),
        firing={35: QUIET, 60: QUIET, 120: QUIET},
    ),
    Case(
        title="a one-shot fails: all of them are one job without a last outcome",
        sends=(jobs(0, 30, ONCE), jobs(31, 200, replace(ONCE, failed=1))),
        firing={30: QUIET, 35: ("once",), 85: ("once",), 110: QUIET},
    ),
    Case(
        title="the first one-shot of a home fails",
        sends=(jobs(0, 90, WELL), jobs(91, 120, WELL, replace(ONCE, failed=1))),
        firing={90: QUIET, 95: ("once",)},
    ),
    Case(
        title="a job fails, and is paused",
        sends=(jobs(0, 30, FAILED), jobs(31, 120, replace(FAILED, states=PAUSED))),
        firing={30: ("digest",), 45: QUIET, 120: QUIET},
    ),
    Case(
        title="a job that failed was paused when it was first seen",
        sends=(jobs(0, 60, replace(FAILED, states=PAUSED)),),
        firing={5: QUIET, 60: QUIET},
    ),
    Case(
        title="a job fails, and is deleted",
        sends=(jobs(0, 30, FAILED), jobs(31, 120, replace(FAILED, states=DELETED))),
        firing={30: ("digest",), 45: QUIET, 120: QUIET},
    ),
    Case(
        title="the last of a job's repeats fails, so Hermes deletes it",
        sends=(jobs(0, 30, WELL), jobs(31, 120, replace(FAILED, states=DELETED))),
        firing={30: QUIET, 35: ("digest",), 85: ("digest",), 105: QUIET},
    ),
    Case(
        title="a job is renamed after it failed, and succeeds; its home sends hours apart",
        sends=(
            jobs(0, 0, FAILED),
            jobs(
                180, 180,
                SentJob(succeeded=None, failed=None, missed=None, failures_in_a_row=None, states=DELETED),
                SentJob(name="summary", succeeded=1),
            ),
        ),
        firing={5: ("digest",), 179: ("digest",), 195: QUIET, 300: QUIET},
    ),
    Case(
        title="a home is moved after a failure, and goes on elsewhere",
        sends=(jobs(0, 30, FAILED), jobs(31, 400, AGAIN_WELL, instance="b")),
        firing={30: ("digest",), 50: QUIET, 400: QUIET},
    ),
    Case(
        title="a copy of a home succeeds while the first one, which goes on, fails",
        sends=(jobs(0, 200, FAILED), jobs(60, 200, WELL, instance="b")),
        firing={59: ("digest",), 120: ("digest",), 200: ("digest",)},
    ),
    Case(
        title="two homes that send hours apart, with copies of one job",
        sends=(
            jobs(0, 0, WELL), jobs(10, 10, WELL, instance="b"),
            jobs(120, 120, WELL), jobs(130, 130, FAILED, instance="b"),
        ),
        firing={119: QUIET, 135: ("digest@b",), 400: ("digest@b",)},
    ),
)  # fmt: skip

FAILING_IN_A_ROW: Final = (
    Case(
        title="three failures are a row, and a success ends it",
        sends=(
            jobs(0, 30, replace(WELL, failures_in_a_row=2)),
            jobs(31, 60, replace(WELL, failures_in_a_row=3)),
            jobs(61, 90, WELL),
        ),
        firing={30: QUIET, 35: ("digest",), 60: ("digest",), 65: QUIET},
    ),
    Case(
        title="a long history of failures is not a row",
        sends=(jobs(0, 60, replace(WELL, failed=500)),),
        firing={5: QUIET, 60: QUIET},
    ),
    Case(
        title="the Collector is down for three hours, and the row arrives late",
        sends=(jobs(0, 30, WELL), jobs(211, 240, replace(WELL, failures_in_a_row=3))),
        firing={210: QUIET, 215: ("digest",)},
    ),
    Case(
        title="it stays through a silence of three days",
        sends=(jobs(0, 0, replace(WELL, failures_in_a_row=3)), jobs(3 * DAY, 3 * DAY, WELL)),
        firing={5: ("digest",), 3 * DAY - 1: ("digest",), 3 * DAY + 5: QUIET},
    ),
    Case(
        title="paused and deleted jobs",
        sends=(
            jobs(
                0, 60,
                replace(WELL, failures_in_a_row=9, states=PAUSED),
                replace(WELL, name="gone", job_id="b0b0", failures_in_a_row=9, states=DELETED),
            ),
        ),
        firing={5: QUIET, 60: QUIET},
    ),
    Case(
        title="a home that was moved",
        sends=(
            jobs(0, 30, replace(WELL, failures_in_a_row=3)),
            jobs(31, 90, replace(WELL, failures_in_a_row=4), instance="b"),
        ),
        firing={30: ("digest",), 45: ("digest@b",), 90: ("digest@b",)},
    ),
)  # fmt: skip


def many(failing: int, well: int, *, of: SentJob = FAILED) -> tuple[SentJob, ...]:
    """Return so many jobs of a home."""
    return tuple(
        replace(of if n < failing else WELL, name=f"job {n}", job_id=f"{n:04x}")
        for n in range(failing + well)
    )


MANY_FAILING: Final = (
    Case(
        title="five of eight jobs fail, and recover",
        sends=(
            jobs(0, 30, *many(0, 8)), jobs(31, 60, *many(5, 3)), jobs(61, 90, *many(0, 8)),
        ),
        firing={30: QUIET, 33: ("@a",), 60: ("@a",), 63: QUIET},
    ),
    Case(
        title="four of eight are no crowd, and five of twelve no half",
        sends=(jobs(0, 30, *many(4, 4)), jobs(0, 30, *many(5, 7), instance="b")),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="paused jobs do not count",
        sends=(jobs(0, 30, *many(6, 1, of=replace(FAILED, states=PAUSED))),),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="the history in the first values does not count, and a silence changes nothing",
        sends=(jobs(0, 10, *many(0, 8)), jobs(11, 11, *many(6, 2)), jobs(300, 310, *many(0, 8))),
        firing={9: QUIET, 13: ("@a",), 299: ("@a",), 303: QUIET},
    ),
)  # fmt: skip

MISSED: Final = (
    Case(
        title="it fires for a day after the missed run became known",
        sends=(jobs(0, 60, WELL), jobs(61, 2 * DAY, replace(WELL, missed=1))),
        firing={60: QUIET, 65: ("digest",), DAY: ("digest",), DAY + 70: QUIET},
    ),
    Case(
        title="what was missed before the first request is history",
        sends=(jobs(5, 200, replace(WELL, missed=12)),),
        firing={7: QUIET, 200: QUIET},
    ),
    Case(
        title="a home was down for eight hours, and sends what it missed",
        sends=(jobs(0, 60, WELL), jobs(540, 560, replace(WELL, missed=8))),
        firing={539: QUIET, 545: ("digest",)},
    ),
    Case(
        title="a home that is known for some minutes only",
        sends=(jobs(0, 3, WELL), jobs(4, 60, replace(WELL, missed=1))),
        firing={3: QUIET, 10: ("digest",)},
    ),
    Case(
        title="paused and deleted jobs, and counters that begin anew",
        sends=(
            jobs(0, 30, WELL, replace(WELL, name="gone", job_id="b0b0", missed=9)),
            jobs(
                31, 60,
                replace(WELL, missed=1, states=PAUSED),
                replace(WELL, name="gone", job_id="b0b0", missed=2, states=DELETED),
            ),
        ),
        firing={30: QUIET, 35: QUIET, 60: QUIET},
    ),
    Case(
        title="a new job misses its first run",
        sends=(
            jobs(0, 30, WELL),
            jobs(30, 30, SentJob(name="new", job_id="b0b0")),
            jobs(31, 60, WELL, SentJob(name="new", job_id="b0b0", missed=1)),
        ),
        firing={30: QUIET, 35: ("new",)},
    ),
    Case(
        title="a one-shot is missed: all of them are one job without a state",
        sends=(jobs(0, 30, ONCE), jobs(31, 200, replace(ONCE, missed=1))),
        firing={30: QUIET, 35: ("once",), 200: ("once",)},
    ),
    Case(
        title="a one-shot was missed, and the home was moved",
        sends=(
            jobs(0, 30, WELL, ONCE), jobs(31, 60, WELL, replace(ONCE, missed=1)),
            jobs(61, 120, WELL, replace(ONCE, missed=1), instance="b"),
        ),
        firing={60: ("once",), 120: QUIET},
    ),
)  # fmt: skip

# --- what is due, and what runs ----------------------------------------------------------------------

DUE: Final = SentJob(next_min=60, ended_min=0, took_s=30, usual_s=60)
"""A job that ran in minute 0, and is due in minute 60."""
BUSY: Final = SentJob(name="busy", job_id="b0b0", usual_s=60)
"""Another one, that runs on."""


def busy(first: int, last: int, *others: SentJob) -> Iterable[Sends]:
    """Yield the requests of a home in which the other job ran in each last minute."""
    for minute in range(first, last + 1):
        ran = replace(BUSY, next_min=minute + 1, ended_min=minute, took_s=5)
        yield jobs(minute, minute, *others, ran)


OVERDUE: Final = (
    Case(
        title="other jobs run, and this one does not: twelve minutes after it was due",
        sends=(*busy(0, 90, DUE), *busy(91, 120, replace(DUE, next_min=150, ended_min=91))),
        firing={60: QUIET, 70: QUIET, 75: ("digest",), 90: ("digest",), 95: QUIET},
    ),
    Case(
        title="it runs right now, and that takes longer than the time to its next run",
        sends=tuple(busy(0, 120, replace(DUE, running_since_min=58))),
        firing={75: QUIET, 120: QUIET},
    ),
    Case(
        title="nobody has read the home since: whether it has run is not known",
        sends=(jobs(0, 59, DUE),),
        firing={65: QUIET, 80: QUIET, 200: QUIET},
    ),
    Case(
        title="nothing runs at all: then the scheduler is dead, and that is the alert",
        sends=(jobs(0, 120, DUE),),
        firing={70: QUIET, 80: QUIET, 120: QUIET},
    ),
    Case(
        title="paused and deleted jobs",
        sends=tuple(
            busy(
                0, 120,
                replace(DUE, states=PAUSED), replace(DUE, name="gone", job_id="c0c0", states=DELETED),
            )
        ),
        firing={75: QUIET, 120: QUIET},
    ),
    Case(
        title="a new job, and a gap of an hour before the home is read again",
        sends=(*busy(0, 30, DUE), *busy(95, 120, DUE)),
        firing={94: QUIET, 100: QUIET, 110: ("digest",)},
    ),
)  # fmt: skip

DEAD: Final = (
    Case(
        title="ten minutes after a job was due and no job was started",
        sends=(
            jobs(0, 100, DUE, replace(BUSY, next_min=65, ended_min=5, took_s=5)),
            jobs(101, 120, replace(DUE, next_min=160, ended_min=101), BUSY),
        ),
        firing={60: QUIET, 69: QUIET, 75: ("@a",), 100: ("@a",), 105: QUIET},
    ),
    Case(
        title="another job was started since",
        sends=tuple(busy(0, 120, DUE)),
        firing={75: QUIET, 120: QUIET},
    ),
    Case(
        title="a long run that began before and ended since was not started since",
        sends=(
            jobs(0, 70, DUE, replace(BUSY, running_since_min=10)),
            jobs(71, 120, DUE, replace(BUSY, ended_min=71, took_s=61 * 60)),
        ),
        firing={69: QUIET, 90: ("@a",), 120: ("@a",)},
    ),
    Case(
        title="another job has been running since",
        sends=(jobs(0, 120, DUE, replace(BUSY, running_since_min=63)),),
        firing={75: QUIET, 120: QUIET},
    ),
    Case(
        title="nobody has read the home since the job was due",
        sends=(jobs(0, 59, DUE),),
        firing={75: QUIET, 200: QUIET},
    ),
    Case(
        title="nothing is due: all jobs are paused",
        sends=(jobs(0, 120, replace(DUE, states=PAUSED)),),
        firing={75: QUIET, 120: QUIET},
    ),
    Case(
        title="the Collector is down when the job is due, and what it missed arrives late",
        sends=(jobs(0, 30, DUE), jobs(150, 200, DUE)),
        firing={149: QUIET, 160: ("@a",)},
    ),
    Case(
        title="of two homes one is dead",
        sends=(*busy(0, 120, DUE), jobs(0, 120, replace(DUE, job_id="d0d0"), instance="b")),
        firing={69: QUIET, 75: ("@b",), 120: ("@b",)},
    ),
)

HUNG: Final = (
    Case(
        title="three times the usual, and ten minutes at least",
        sends=(
            jobs(0, 59, replace(WELL, usual_s=600), replace(BUSY, usual_s=10)),
            jobs(
                60, 100,
                replace(WELL, usual_s=600, running_since_min=60),
                replace(BUSY, usual_s=10, running_since_min=60),
            ),
            jobs(101, 120, replace(WELL, usual_s=600), replace(BUSY, usual_s=10)),
        ),
        firing={60: QUIET, 75: QUIET, 80: ("busy",), 90: ("busy",), 100: ("busy", "digest"), 110: QUIET},
    ),
    Case(
        title="six hours where the usual is not known",
        sends=(jobs(0, 420, replace(WELL, running_since_min=0)),),
        firing={300: QUIET, 360: QUIET, 370: ("digest",)},
    ),
    Case(
        title="a run takes no longer than usual",
        sends=(jobs(0, 60, replace(WELL, usual_s=3_600, running_since_min=0)),),
        firing={15: QUIET, 60: QUIET},
    ),
    Case(
        title="the home sends nothing any more: whether it still runs is not known",
        sends=(jobs(0, 30, replace(WELL, usual_s=60, running_since_min=0)),),
        firing={9: QUIET, 20: ("digest",), 40: QUIET, 300: QUIET},
    ),
    Case(
        title="after a gap it runs still",
        sends=(
            jobs(0, 5, replace(WELL, usual_s=60, running_since_min=0)),
            jobs(60, 70, replace(WELL, usual_s=60, running_since_min=0)),
        ),
        firing={5: QUIET, 40: QUIET, 65: ("digest",)},
    ),
    Case(
        title="a paused job hangs too: its run was not ended",
        sends=(jobs(0, 30, replace(WELL, usual_s=60, running_since_min=0, states=PAUSED)),),
        firing={9: QUIET, 20: ("digest",)},
    ),
)  # fmt: skip

# --- cost --------------------------------------------------------------------------------------------

PRICED: Final = replace(
    WELL, scheduled_runs=30, nominal_usd=6.0, trend_usd=6.0, pace=1.0, week_usd=1.4, runs_30d=30, last_usd=0.2
)  # fmt: skip
"""A run of it costs $0.20."""

COST_SPIKE: Final = (
    Case(
        title="a run that costs seven times the usual, until the next one",
        sends=(
            jobs(0, 30, PRICED), jobs(31, 60, replace(PRICED, last_usd=1.4)), jobs(61, 90, PRICED),
        ),
        firing={30: QUIET, 35: ("digest",), 60: ("digest",), 65: QUIET},
    ),
    Case(
        title="four times the usual is not a spike, and neither are cents",
        sends=(
            jobs(
                0, 30,
                replace(PRICED, last_usd=0.8),
                replace(PRICED, name="cheap", job_id="b0b0", nominal_usd=0.6, last_usd=0.4),
            ),
        ),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="of four runs nothing is usual",
        sends=(jobs(0, 30, replace(PRICED, runs_30d=4, last_usd=5.0)),),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="a job that is paused, or deleted",
        sends=(
            jobs(
                0, 30,
                replace(PRICED, last_usd=5.0, states=PAUSED),
                replace(PRICED, name="gone", job_id="b0b0", last_usd=5.0, states=DELETED),
            ),
        ),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="the home is silent for hours, and the spike arrives late",
        sends=(jobs(0, 0, PRICED), jobs(300, 300, replace(PRICED, last_usd=3.0))),
        firing={299: QUIET, 305: ("digest",), 900: ("digest",)},
    ),
    Case(
        title="the home sends an hour apart: what the run after the spike cost is not known, and then the job is idle",
        sends=(
            jobs(0, 0, PRICED), jobs(60, 60, replace(PRICED, last_usd=5.0)),
            jobs(120, 120, replace(PRICED, last_usd=None)),
        ),
        firing={59: QUIET, 65: ("digest",), 119: ("digest",), 125: QUIET, 130: QUIET, 1_000: QUIET},
    ),
)  # fmt: skip


def budgets(first: int, last: int, *sent: SentBudget) -> Sends:
    """Return the requests of a home with a job and these budgets."""
    return first, last, Request(jobs=(WELL,), budgets=sent)


OVER_BUDGET: Final = (
    Case(
        title="more than the limit of the day, until the next day",
        sends=(
            budgets(0, 30, SentBudget(limit_usd=5, used_usd=4.9)),
            budgets(31, 60, SentBudget(limit_usd=5, used_usd=5.1)),
            budgets(61, 90, SentBudget(limit_usd=5, used_usd=0)),
        ),
        firing={30: QUIET, 32: ("@a",), 60: ("@a",), 62: QUIET},
    ),
    Case(
        title="the budget of a job; exactly the limit is not over it",
        sends=(
            budgets(
                0, 30,
                SentBudget(limit_usd=5, used_usd=5),
                SentBudget(limit_usd=1, used_usd=2.5, period="month", job=WELL),
            ),
        ),
        firing={5: ("digest",)},
    ),
    Case(
        title="less than the limit, or no budget at all",
        sends=(budgets(0, 30, SentBudget(limit_usd=5, used_usd=4.99)), jobs(0, 30, PRICED, instance="b")),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="the budget is raised, or removed from the settings",
        sends=(
            budgets(0, 30, SentBudget(limit_usd=5, used_usd=6), SentBudget(limit_usd=5, used_usd=6, job=WELL)),
            budgets(31, 60, SentBudget(limit_usd=9, used_usd=6)),
        ),
        firing={5: ("@a", "digest"), 40: QUIET},
    ),
    Case(
        title="the budget is removed from the settings of a home that sends an hour apart",
        sends=(budgets(0, 0, SentBudget(limit_usd=5, used_usd=6)), budgets(60, 60)),
        firing={5: ("@a",), 59: ("@a",), 61: QUIET, 70: QUIET, 600: QUIET},
    ),
    Case(
        title="the job was deleted, or the home was moved",
        sends=(
            (0, 30, Request(
                jobs=(replace(WELL, states=DELETED),),
                budgets=(SentBudget(limit_usd=1, used_usd=2, job=WELL),),
            )),
            (0, 30, Request(
                jobs=(replace(WELL, job_id="b0b0"),), instance="b",
                budgets=(SentBudget(limit_usd=1, used_usd=2),),
            )),
            jobs(31, 60, replace(WELL, job_id="b0b0"), instance="c"),
        ),
        firing={5: ("@b",), 40: QUIET},
    ),
    Case(
        title="after a gap of three hours",
        sends=(
            budgets(0, 5, SentBudget(limit_usd=5, used_usd=1)),
            budgets(180, 190, SentBudget(limit_usd=5, used_usd=9)),
        ),
        firing={179: QUIET, 182: ("@a",)},
    ),
)  # fmt: skip

FAST: Final = replace(PRICED, trend_usd=18.0, pace=3.0, week_usd=4.2)

PACE: Final = (
    Case(
        title="three times what the schedule explains, for an hour",
        sends=(jobs(0, 30, PRICED), jobs(31, 120, FAST), jobs(121, 150, PRICED)),
        firing={30: QUIET, 60: QUIET, 95: ("digest",), 120: ("digest",), 125: QUIET},
    ),
    Case(
        title="twice is not more than twice, and a dollar a month is nothing",
        sends=(
            jobs(
                0, 120,
                replace(FAST, trend_usd=12.0, pace=2.0),
                replace(FAST, name="cheap", job_id="b0b0", nominal_usd=0.3, trend_usd=0.9),
            ),
        ),
        firing={90: QUIET, 120: QUIET},
    ),
    Case(
        title="the schedule was made rarer: the last week is as planned",
        sends=(jobs(0, 120, replace(FAST, week_usd=1.4)),),
        firing={90: QUIET, 120: QUIET},
    ),
    Case(
        title="a new job that was tried four times by hand",
        sends=(jobs(0, 120, replace(FAST, runs_30d=4)),),
        firing={90: QUIET, 120: QUIET},
    ),
    Case(
        title="paused and deleted jobs",
        sends=(
            jobs(
                0, 120, replace(FAST, states=PAUSED),
                replace(FAST, name="gone", job_id="b0b0", states=DELETED),
            ),
        ),
        firing={90: QUIET, 120: QUIET},
    ),
    Case(
        title="a home that sends hours apart",
        sends=(jobs(0, 0, FAST), jobs(300, 300, FAST)),
        firing={30: QUIET, 70: ("digest",), 299: ("digest",)},
    ),
    Case(
        title="a home that sends hours apart does not know the pace any more",
        sends=(jobs(0, 0, FAST), jobs(300, 300, replace(FAST, pace=None))),
        firing={299: ("digest",), 305: QUIET, 310: QUIET, 600: QUIET},
    ),
)  # fmt: skip

# --- answers and telemetry ---------------------------------------------------------------------------

SENT_ON: Final = replace(WELL, delivered=5, undelivered=1)
NOT_SENT_ON: Final = replace(WELL, delivered=5, undelivered=2)

DELIVERY: Final = (
    Case(
        title="it fires until an answer is delivered, or for a day",
        sends=(
            jobs(0, 400, SENT_ON, replace(SENT_ON, name="daily", job_id="b0b0")),
            jobs(401, 520, NOT_SENT_ON, replace(NOT_SENT_ON, name="daily", job_id="b0b0")),
            jobs(
                521, 2 * DAY,
                replace(NOT_SENT_ON, delivered=6), replace(NOT_SENT_ON, name="daily", job_id="b0b0"),
            ),
        ),
        firing={
            400: QUIET, 405: ("daily", "digest"), 500: ("daily", "digest"),
            525: ("daily",), 1_000: ("daily",), 401 + DAY + 9: QUIET,
        },
    ),
    Case(
        title="an hourly job: the failure is shown for an hour, although others were delivered before",
        sends=(
            jobs(0, 60, SENT_ON),
            jobs(61, 120, replace(SENT_ON, delivered=6)),
            jobs(121, 300, replace(SENT_ON, delivered=6, undelivered=2)),
        ),
        firing={120: QUIET, 125: ("digest",), 179: ("digest",)},
    ),
    Case(
        title="the history in the first values is not a failure",
        sends=(jobs(5, 200, NOT_SENT_ON),),
        firing={7: QUIET, 200: QUIET},
    ),
    Case(
        title="the first answer that was not delivered begins a series, and Prometheus refused its 0",
        sends=(jobs(0, 90, WELL), jobs(91, 120, replace(WELL, undelivered=1))),
        firing={90: QUIET, 95: ("digest",)},
    ),
    Case(
        title="it arrives after three hours of silence",
        sends=(jobs(0, 5, SENT_ON), jobs(180, 185, NOT_SENT_ON)),
        firing={179: QUIET, 185: ("digest",)},
    ),
    Case(
        title="counters that begin anew, and a deleted job",
        sends=(
            jobs(0, 30, replace(SENT_ON, undelivered=9)),
            jobs(31, 60, replace(SENT_ON, undelivered=2)),
            jobs(61, 90, replace(SENT_ON, undelivered=2, states=DELETED)),
        ),
        firing={35: QUIET, 60: QUIET, 90: QUIET},
    ),
)  # fmt: skip

STALE: Final = (
    Case(
        title="a gateway goes down: its next run, had it hung, and ten minutes later",
        sends=(jobs(0, 40, DUE), jobs(150, 180, replace(DUE, next_min=210))),
        firing={41: QUIET, 79: QUIET, 90: ("@a",), 149: ("@a",), 155: QUIET},
    ),
    Case(
        title="a home that single ticks serve: a day between two requests",
        sends=(
            jobs(0, 0, replace(DUE, next_min=DAY)),
            jobs(DAY + 5, DAY + 5, replace(DUE, next_min=2 * DAY)),
        ),
        firing={30: QUIET, DAY - 1: QUIET, DAY + 4: QUIET, DAY + 60: QUIET, 2 * DAY + 30: ("@a",)},
    ),
    Case(
        title="a job that takes an hour has three",
        sends=(jobs(0, 40, replace(DUE, usual_s=3_600)),),
        firing={200: QUIET, 249: QUIET, 260: ("@a",)},
    ),
    Case(
        title="a job of which too little is known has six hours",
        sends=(jobs(0, 40, replace(DUE, usual_s=None)),),
        firing={200: QUIET, 429: QUIET, 440: ("@a",)},
    ),
    Case(
        title="nothing is due, or the job is overdue in a home that sends",
        sends=(
            jobs(0, 40, replace(DUE, states=PAUSED)),
            jobs(0, 300, replace(DUE, job_id="d0d0"), instance="b"),
        ),
        firing={100: QUIET, 300: QUIET},
    ),
    Case(
        title="the home was moved, and is heard of elsewhere",
        sends=(jobs(0, 40, DUE), jobs(45, 300, replace(DUE, next_min=400), instance="b")),
        firing={90: QUIET, 300: QUIET},
    ),
    Case(
        title="a copy was made, and then the first home goes down",
        sends=(
            jobs(0, 40, replace(DUE, next_min=60)),
            jobs(20, 300, replace(DUE, next_min=400), instance="b"),
        ),
        firing={79: QUIET, 90: ("@a",), 300: ("@a",)},
    ),
    Case(
        title="a home that is new, or comes back after a gap in which nothing was due",
        sends=(
            jobs(0, 5, replace(DUE, next_min=400)), jobs(200, 210, replace(DUE, next_min=400)),
        ),
        firing={1: QUIET, 100: QUIET, 199: QUIET, 300: QUIET},
    ),
)  # fmt: skip

UNREADABLE: Final = (
    Case(
        title="the home sends, and has not been read for minutes",
        sends=(
            jobs(0, 30, WELL),
            (31, 60, Request(jobs=(WELL,), is_readable=False)),
            jobs(61, 100, WELL),
        ),
        firing={30: QUIET, 36: QUIET, 42: ("@a",), 60: ("@a",), 70: ("@a",), 85: QUIET},
    ),
    Case(
        title="one reading failed",
        sends=(
            jobs(0, 30, WELL),
            (31, 32, Request(jobs=(WELL,), is_readable=False)),
            jobs(33, 60, WELL),
        ),
        firing={33: QUIET, 40: QUIET, 60: QUIET},
    ),
    Case(
        title="the home is silent",
        sends=(jobs(0, 30, WELL),),
        firing={34: QUIET, 40: QUIET, 200: QUIET},
    ),
)


def destinations(first: int, last: int, *sent: SentDestination) -> Sends:
    """Return the requests of a home with a job and these destinations of traces."""
    return first, last, Request(jobs=(WELL,), destinations=sent)


REFUSED: Final = (
    Case(
        title="until the runs are sent again",
        sends=(
            destinations(0, 30, SentDestination()),
            destinations(31, 60, SentDestination(refused=3)),
            destinations(61, 90, SentDestination()),
        ),
        firing={30: QUIET, 32: ("@a",), 60: ("@a",), 62: QUIET},
    ),
    Case(
        title="runs that are pending are not refused",
        sends=(destinations(0, 30, SentDestination(pending=9, oldest_min=0)),),
        firing={5: QUIET, 30: QUIET},
    ),
    Case(
        title="the destination left the settings",
        sends=(destinations(0, 30, SentDestination(refused=3)), destinations(31, 60)),
        firing={5: ("@a",), 40: QUIET},
    ),
    Case(
        title="the destination left the settings of a home that sends an hour apart",
        sends=(destinations(0, 0, SentDestination(refused=3)), destinations(60, 60)),
        firing={5: ("@a",), 59: ("@a",), 62: QUIET, 70: QUIET, 300: QUIET},
    ),
    Case(
        title="it stays through a gap, and ends when the home was moved",
        sends=(
            destinations(0, 30, SentDestination(refused=3)),
            destinations(200, 230, SentDestination(refused=3)),
            jobs(231, 260, WELL, instance="b"),
        ),
        firing={100: ("@a",), 199: ("@a",), 230: ("@a",), 240: QUIET},
    ),
)

PENDING: Final = (
    Case(
        title="a destination takes nothing for more than an hour, and then all",
        sends=(
            destinations(0, 30, SentDestination()),
            destinations(31, 150, SentDestination(pending=2, oldest_min=30)),
            destinations(151, 180, SentDestination()),
        ),
        firing={35: QUIET, 85: QUIET, 95: ("@a",), 150: ("@a",), 155: QUIET},
    ),
    Case(
        title="a new destination works off the history of a month",
        sends=tuple(
            destinations(minute, minute, SentDestination(pending=900 - minute, oldest_min=minute / 2 - 500))
            for minute in range(200)
        ),
        firing={30: QUIET, 65: QUIET, 120: QUIET, 199: QUIET},
    ),
    Case(
        title="runs that are on their way are pending for a moment",
        sends=tuple(
            destinations(minute, minute, SentDestination(pending=1, oldest_min=minute))
            for minute in range(200)
        ),
        firing={30: QUIET, 65: QUIET, 199: QUIET},
    ),
    Case(
        title="the home is silent after its destination took nothing",
        sends=(destinations(0, 0, SentDestination(pending=1, oldest_min=0)),),
        firing={30: QUIET, 65: ("@a",), 300: ("@a",)},
    ),
    Case(
        title="a home that sends hours apart: what was pending was taken",
        sends=(
            destinations(0, 0, SentDestination(pending=1, oldest_min=0)),
            destinations(30, 30, SentDestination()),
        ),
        firing={30: QUIET, 65: QUIET, 300: QUIET},
    ),
    Case(
        title="the destination left the settings, and the other one takes all",
        sends=(
            destinations(0, 100, SentDestination(pending=2, oldest_min=0), SentDestination(name="jaeger")),
            destinations(101, 180, SentDestination(name="jaeger")),
        ),
        firing={59: QUIET, 65: ("@a",), 110: QUIET, 180: QUIET},
    ),
    Case(
        title="the destination left the settings of a home that sends two hours apart",
        sends=(destinations(0, 0, SentDestination(pending=2, oldest_min=0)), destinations(120, 120)),
        firing={119: ("@a",), 125: QUIET, 130: QUIET, 300: QUIET},
    ),
)  # fmt: skip

NOBODY: Final = (
    Case(
        title="nothing was ever sent",
        sends=(),
        firing={30: QUIET, 75: ("",)},
    ),
    Case(
        title="the only home is silent from Friday to Monday, and then for good",
        sends=(jobs(0, 0, WELL), jobs(3 * DAY, 3 * DAY, WELL)),
        firing={
            60: QUIET,
            3 * DAY - 15: QUIET,
            3 * DAY + 75: QUIET,
            7 * DAY - 60: QUIET,
            7 * DAY + 75: ("",),
        },
    ),
    Case(
        title="one of two homes goes on",
        sends=(
            jobs(0, 0, WELL),
            *(jobs(n, n, WELL, instance="b") for n in range(0, 5 * DAY + 1, DAY // 2)),
        ),
        firing={75: QUIET, 5 * DAY: QUIET},
    ),
)

CASES: Final[Mapping[str, tuple[Case, ...]]] = {
    "HermesCronJobFailed": JOB_FAILED,
    "HermesCronJobFailingInARow": FAILING_IN_A_ROW,
    "HermesCronManyJobsFailing": MANY_FAILING,
    "HermesCronJobMissed": MISSED,
    "HermesCronJobOverdue": OVERDUE,
    "HermesCronJobHung": HUNG,
    "HermesCronCostSpike": COST_SPIKE,
    "HermesCronOverBudget": OVER_BUDGET,
    "HermesCronPaceHigh": PACE,
    "HermesCronDeliveryFailed": DELIVERY,
    "HermesCronSchedulerDead": DEAD,
    "HermesCronTelemetryStale": STALE,
    "HermesCronHomeUnreadable": UNREADABLE,
    "HermesCronTelemetryRefused": REFUSED,
    "HermesCronTelemetryPending": PENDING,
    "HermesCronNobodyExports": NOBODY,
}
"""By alert."""

_STEPS: Final = {
    "HermesCronManyJobsFailing": "1m",
    "HermesCronOverBudget": "1m",
    "HermesCronHomeUnreadable": "1m",
    "HermesCronTelemetryRefused": "1m",
    "HermesCronNobodyExports": "15m",
}
"""How often the rules are evaluated, where not every five minutes: tests that last for hours take long."""

_HEADER: Final = """\
Unit tests of {name}: promtool test rules {name}.yml
Generated by `make views` from collector/generate/alert_cases.py: edit there.
"""


def files() -> Mapping[str, str]:
    """Return a file of unit tests for each alert."""
    return {
        f"alerts/tests/{alert.name}.yml": yaml_text(
            _HEADER.format(name=alert.name),
            {
                "rule_files": ["../../rules/cronalytics.rules.yml", "../cronalytics.alerts.yml"],
                "group_eval_order": [RULES_GROUP, ALERTS_GROUP],
                "evaluation_interval": _STEPS.get(alert.name, "5m"),
                "tests": [_test(alert.name, case) for case in CASES[alert.name]],
            },
        )
        for alert in ALERTS
    }


def _test(alert: str, case: Case) -> dict[str, object]:
    sent = Sent()
    for first, last, request in case.sends:
        sent.requests(first, last, request)
    firing = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
    return {
        "name": case.title,
        "interval": "1m",
        "input_series": sent.input_series(),
        "promql_expr_test": [
            {
                "expr": f"count by (instance, {JOB_NAME}) ({firing})",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": _labels(one), "value": 1} for one in sorted(subjects)],
            }
            for minute, subjects in sorted(case.firing.items())
        ],
    }


def _labels(subject: str) -> str:
    """Return the labels of a subject as promtool compares them."""
    job, _, instance = subject.partition("@")
    labels = {JOB_NAME: job, "instance": instance or ("a" if subject else "")}
    return "{" + ", ".join(f'{name}="{of}"' for name, of in labels.items() if of) + "}"
