# ruff: noqa: INP001 - a script, not a package
"""Renders docs/telemetry.md from the registry in cronalytics_otel/telemetry/semconv/__init__.py.

python docs/render.py            writes it
python docs/render.py --check    exits with 1 when the file is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from cronalytics_otel.model import FAILED_OUTCOMES, Outcome
from cronalytics_otel.telemetry import semconv as sc

TARGET = Path(__file__).with_name("telemetry.md")

_HEAD = """\
# What is sent

<!-- Rendered from cronalytics_otel/telemetry/semconv/__init__.py by `python docs/render.py`: edit there. -->

One run of a job is one trace. Names without a convention of OpenTelemetry's begin with
`hermes.cron.`; all other names are those of OpenTelemetry's semantic conventions 1.44.0, as the schema
URL of resource and scope says. A value that is not known is absent, never 0 or empty. No name is also
the beginning of another's path. Units are UCUM.

No prompt, answer, tool argument or result is sent unless content is switched on. Error texts are always
sent. In both, secrets and e-mail addresses are masked, and long texts are cut.

## Spans

"""

_IDS = """\
Ids are derived from the profile's name and the run's session id (else its execution id), so that a
run that is sent again, or rebuilt, has the same ids.

Every span lies within its parent, and siblings are ordered by start. A time that the host's clock
put outside its parent is moved to the nearest time inside.

"""

_STEPS_NOTE = """\
Model and usage are on `chat` spans only, because backends that price model calls count every span that has
them. The run's totals are on the root under `hermes.cron.usage.*` and `hermes.cron.cost.*`.

"""

_OUTCOMES_HEAD = """\
## Outcomes

`hermes.cron.run.outcome` comes from the host's ledger where there is one;
`hermes.cron.run.outcome_source` names where it was read. Delivery has an outcome of its own: a run
whose answer could not be delivered is a success.

"""

_ERRORS_HEAD = """
Hermes calls these runs completed, and they are failures here: a skill was not found
(`skill_not_found`), the script before the agent failed (`script_failed`, `timeout`), was blocked
(`script_blocked`), was not there (`invalid_config`) or could not be run (`permission_denied`).
`outcome_source` is then `session`. A run that came to its limit of turns is a success, as in
Hermes, because the agent was asked for a summary and gave one; `hermes.cron.run.turn_limit_reached` marks
it. Hermes before 0.18 counts a run that used its last turn as failed, and writes the agent's answer
down as the error. That answer is content, so a fixed text stands in its place, and the class is
`incomplete_response`. If Hermes denies an agent a command under `approvals.cron_mode`, the agent gets that as an answer
and goes on, so the run does not fail.

## Error types

The class is read from Hermes's error text, and a particular class wins over a general one. Every span uses the same list. The names are
Hermes's own where it has one.

"""

_DUE = """\

## When a run was due

`hermes.cron.run.scheduled_time` is what the host recorded of the run itself, where it did. Else it is the
`next_run_at` of jobs.json as it was last read before the run, if that still held; else it is computed from the
schedule. While a gateway has the plugin, each change of jobs.json is read. Where jobs.json is seldom read,
a `next_run_at` may be out of date by the time of the run:

| since it was read | the run was due for |
| --- | --- |
| another run of the job has ended | what follows that end: the host counts on from there |
| the job was paused | the newest time of its cron expression; for an interval, one after the run before, if that is not too long ago |
| it was given a cron expression, and the run came within 120 seconds after a time of that | that time |
| it was given an interval | unknown, and absent: nobody saw from when it counts |
| nothing was seen; the run came late, and right on a later time of its cron expression (within a tenth of its period, at most 120 seconds) | that later time: the job was paused or moved, unless it was read past its time just before, or the outage is proven as below |
| nothing was seen; the run came late, at any other time | as read: it catches up |
"""

_MISSED = """\

## Missed runs

An outage of a job is one trace of one span, `missed {job name}`. It has no length and stands at the last
time that was missed. `hermes.cron.run.missed_since` is the first time, and `hermes.cron.run.missed_count`
counts them. The span is linked to the job's run before. The outage is reported when it is over:
with the late run that follows it, or a few minutes after the job was seen to be paused, edited or removed
in the meantime. Its id is derived from the job and the first time that was missed.

Hermes 0.19 counts on from the end of each run. A scheduler that finds a job past its time runs it
**once**, at once, for the first time that it was due, and lets the others go. So of five times in one
outage one is run late (`hermes.cron.run.trigger` is `catch_up`, `hermes.cron.run.lateness` counts from
that first time) and four are missed.

| what happened | what is reported |
| --- | --- |
| due once while the scheduler was down, run late | a late run, and nothing missed |
| due more often | the late run, and one missed run with the count of the others |
| due within 120 seconds before the late run | nothing: a scheduler that is up may take these together |
| due while the job itself was still running | nothing: Hermes passes over it by design |
| paused, switched off, or not made yet | nothing |
| paused, edited or removed while it was overdue | what was due until the pause, or until jobs.json was last read before the change |
| a run by hand | serves what was due within half a period before it (2 minutes to 2 hours), and no more |
| a one-shot, past its time | nothing while it can still run late; missed when it is paused or removed before |
| the last of a limited number of runs | nothing beyond that number |
| its process was killed | nothing: it ran, and is `abandoned` |
| the scheduler ticks more seldom than every 2 minutes, the job is due more often | missed, run for run |

A scheduler that is up misses nothing, so an outage needs one of two proofs:

- **jobs.json, as it was read**, had the job past its time by more than 120 seconds. The plugin reads it
  as the scheduler's process starts, before anything runs, so an outage that the plugin follows is reported exactly.
- **The ledger** is the proof for a history that nobody followed: the job's two runs before were right on its
  schedule as it is now (three, for an interval), no job at all was started by the scheduler in between,
  and either the next run, or another job's beside it, came more than 120 seconds after any time that it
  could have been due for, or another job with a cron expression was silent in the same time. Anything else
  may have been a pause, and is not reported: an interval that is alone in its home, a job
  due every minute or two that is alone, a job that comes back right on time while no other was due, a
  job that has a limited number of runs, and whatever is older than the ledger's 1000 rows. (A job that
  was paused and then made to run at once, before the plugin was there, looks the same as an outage if it
  is alone.)

An outage that still goes on is not reported yet, but `cronalytics-otel status` names jobs that are overdue.

`hermes.cron.run.scheduler_down` is false when the scheduler did start, or finish, some job in that time,
and absent when the ledger does not reach back that far; `error.type` is `scheduler_down` or `not_started`.
Hosts before 0.19 have no ledger that would show what did run, so no missed runs are reported for them.
"""

_HOSTS = """
## Hermes versions

This table shows which facts of the host lead to an outcome. *The file* is that of the run in `cron/output`; *the job's status* is
`last_status` in jobs.json, where it is about this very run. In a home that was upgraded
from a host before 0.18, each run is read by the rules of the version that wrote it.

| outcome | 0.19 | 0.18 | 0.17, 0.16 | 0.13 |
| --- | --- | --- | --- | --- |
| `success` | ledger `completed` | the file has an answer, or the job's status is `ok`; else the last message is an answer | as 0.18 | as 0.18 |
| `success`, silent | and the last message is `[SILENT]` or the like; of a script, its file says `silent` | as 0.19 | and the last message has `[SILENT]` anywhere; of a script, what it printed has, or its file says `silent` | as 0.17 |
| `failure` | ledger `failed`, with its text | the file says `(FAILED)` and ends in its `## Error`, says `script failed` or `BLOCKED`, or the job's status is `error`, with its text | as 0.18 | as 0.18 |
| `failure`, empty reply | ledger `failed` | the job's status, or the file says `(No response generated)` | the file says `No reply: the model returned empty content`, although the job's status is `ok`; that notice is delivered | the file says `(empty)`, although the job's status is `ok`; that notice is delivered |
| `failure`, skill or script missing | the first message says so, although the ledger says `completed` | the same, although the job's status is `ok` | as 0.18 | as 0.18 |
| turn limit reached | `completed`: `success` | `ok`: `success` | `error`: `failure`, without its text, which is the answer | as 0.17 |
| `timeout`, `cancelled`, `budget_exceeded` | the text of a failure | the text of a failure | as 0.18 | as 0.18 |
| `abandoned` | ledger `unknown`; or its process is certainly gone (`inferred`) | its session has no end and nothing has moved for a day (`inferred`) | as 0.18, and its last message is no answer | as 0.17 |
| `skipped` | ledger `completed`, no session, and the file says that the gate skipped it; without a file, `inferred` | the file says that the gate skipped it | as 0.18 | as 0.18 |
| `missed` | [jobs.json and the ledger](#missed-runs) (`inferred`) | not reported | not reported | not reported |

This is what else each version records of a run. A dash means that it is absent.

| fact | 0.19 | 0.18 | 0.17 | 0.16 | 0.13 |
| --- | --- | --- | --- | --- | --- |
| start and end of an agent's run | the ledger's | the session's | the session's | the session's | the session's |
| start and end of a script, a gate, an agent without a session | the ledger's | the file's, as both | the file's, as both | the file's, as both | the file's, as both |
| trigger, queue time, delivery time | yes | - | - | - | - |
| scheduled time, lateness | yes | where `next_run_at` was read before the run; lateness from the session's start, of an agent only | as 0.18 | as 0.18 | as 0.18 |
| auxiliary calls (vision, compression) in tokens and cost | yes | - | - | - | - |
| turns, tool calls of a compressed conversation | yes | yes | yes | of what was kept: a lower bound | as 0.16 |
| times of the steps | yes | yes | if seen live; else none (`untimed`), but of an only answer | as 0.17 | as 0.17; of a subagent's none |
| tokens and cost of a run whose session somebody resumed | those of the models that the chat did not use; tokens of a run seen live | tokens, if seen live | as 0.18 | as 0.18 | as 0.18 |
| a subagent's end | its session's, or its last message | as 0.19 | its last message | its last message | its last message |
| a job's name after it was deleted | as it was seen | as it was seen, else in the session's title or the file | as 0.18 | as it was seen, else in the file | as 0.16 |
| `api_request_error` wakes the plugin | yes | yes | yes | yes | - |

Before 0.19 a run that left neither a session nor a file (Hermes died before it wrote one) is not known.
"""

_METRICS_HEAD = """\
## Metrics

A backend keeps the last value of a series for a while after it is sent no more: Prometheus for 5 minutes, and in a range
(`last_over_time(x[2d])`) for as long as the range. So ask `hermes.cron.job.next_run_timestamp` only of jobs whose
`hermes.cron.job.state` is 1 for `scheduled`, and `hermes.cron.job.running_since_timestamp`, which is absent while the job is
idle, without a range.

Each point has `hermes.profile.name`, and a metric of a job `hermes.cron.job.id` and `hermes.cron.job.name`. The resource is
`service.name`, `service.instance.id`, `host.name`, and what OTEL_RESOURCE_ATTRIBUTES adds; versions are on
`hermes.cron.build.info`, so that an upgrade begins no other series. Counters and histograms have an exemplar: the root span of
the newest run that added to them. [Metrics](configuration.md#metrics) describes how often they are sent, and what happens to jobs that are
renamed or deleted.

A home has, with J jobs that recur, E classes of errors and M models with their cost statuses per job, at most
J x (78 + E + D + 4 M) series: 11 counters and histograms, E errors, D outcomes of delivery, 4 M of models
(cost, input and output tokens, unpriced runs), and 67 gauges; and 3 for each of at most 100 skills and 50 models. Fifty jobs
with two models and three classes of errors each come to some 5,000.

"""

_METRICS_NOTE = """
In Prometheus a dot is `_`, a counter ends in `_total`, `s` and `USD` are appended, `1` as `_ratio`:
`hermes_cron_runs_total`, `hermes_cron_run_cost_USD_total`, `hermes_cron_run_duration_seconds_bucket`.

"""

_TITLES = {
    sc.Where.RESOURCE: "Resource",
    sc.Where.ROOT: "`cron`: the run",
    sc.Where.MISSED: "`missed`: runs that never happened",
    sc.Where.AGENT: "`invoke_agent`",
    sc.Where.CHAT: "`chat`",
    sc.Where.TOOL: "`execute_tool`",
    sc.Where.SCRIPT: "`script`",
    sc.Where.DELIVER: "`deliver`",
    sc.Where.DOCTOR: "`cronalytics-otel doctor`",
    sc.Where.LINK: "Link to another run",
    sc.Where.EXCEPTION: "Event `exception`",
    sc.Where.MODEL_FALLBACK: "Event `hermes.cron.model_fallback`",
    sc.Where.TOOL_APPROVAL: "Event `hermes.cron.tool_approval`",
}


def render() -> str:
    """The whole of docs/telemetry.md."""
    sections = [_HEAD, _spans(), "\n", _IDS]
    for where, title in _TITLES.items():
        sections += [f"## {title}\n\n", _STEPS_NOTE if where is sc.Where.CHAT else ""]
        sections += [f"{event.meaning}\n\n" for event in sc.EVENTS if event.where is where]
        sections += [_attributes(where), "\n"]
    return "".join(
        [
            *sections,
            *(_METRICS_HEAD, _metrics(), _METRICS_NOTE, _attributes(sc.Where.METRIC), "\n"),
            *(_OUTCOMES_HEAD, _outcomes(), _ERRORS_HEAD, _errors(), _DUE, _MISSED, _HOSTS),
        ]
    )


def _spans() -> str:
    return _table(
        ("span", "kind", "parent", "what it is"),
        ((f"`{form.name}`", form.kind.upper(), form.parent, form.meaning) for form in sc.SPANS),
    )


def _attributes(where: sc.Where) -> str:
    return _table(
        ("attribute", "type", "unit", "meaning", "source"),
        (
            (
                f"`{attribute.name}`",
                attribute.type,
                f"`{attribute.unit}`" if attribute.unit else "",
                _meaning(attribute),
                attribute.source,
            )
            for attribute in sc.ATTRIBUTES
            if where in attribute.where
        ),
    )


def _metrics() -> str:
    return _table(
        ("metric", "kind, unit", "attributes beside profile and job", "meaning"),
        (
            (
                f"`{form.name}`",
                f"{form.instrument}, `{form.unit}`",
                _metric_attributes(form),
                f"{form.meaning}{_buckets(form)}",
            )
            for form in sc.METRICS
        ),
    )


def _metric_attributes(form: sc.MetricForm) -> str:
    names = ", ".join(f"`{name}`" for name in form.attributes) or "none"
    return {
        sc.About.JOB: names,
        sc.About.PROFILE: f"no job; {names}",
        sc.About.CALL: f"neither; `gen_ai.operation.name`, {names}",
    }[form.about]


def _buckets(form: sc.MetricForm) -> str:
    return f" Buckets: {', '.join(f'{bound:g}' for bound in form.bounds)}." if form.bounds else ""


def _meaning(attribute: sc.Attribute) -> str:
    values = ", ".join(f"`{value}`" for value in attribute.values)
    return f"{attribute.meaning} Values: {values}." if values else attribute.meaning


def _outcomes() -> str:
    return _table(
        ("outcome", "meaning", "`hermes.cron.run.failed`", "span status", "`error.type`"),
        (
            (
                f"`{outcome}`",
                sc.OUTCOME_MEANING[outcome],
                "true" if outcome in FAILED_OUTCOMES else "false",
                "ERROR" if outcome in FAILED_OUTCOMES else "UNSET",
                "set" if outcome in FAILED_OUTCOMES else "absent",
            )
            for outcome in Outcome
        ),
    )


def _errors() -> str:
    return _table(
        ("`error.type`", "when"),
        ((f"`{error_type}`", meaning) for error_type, meaning in sc.ERROR_MEANING.items()),
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(arguments: list[str]) -> int:
    """Exit status: 1 when `--check` finds a difference."""
    if "--check" not in arguments:
        TARGET.write_text(render(), encoding="utf-8")
        return 0
    if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == render():
        return 0
    sys.stderr.write(f"{TARGET.name} is not what the registry says: run `python docs/render.py`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
