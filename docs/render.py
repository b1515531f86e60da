# ruff: noqa: INP001 - a script, not a package
"""Renders docs/telemetry.md from the registry in cronalytics_otel/telemetry/semconv.py.

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

<!-- Rendered from cronalytics_otel/telemetry/semconv.py by `python docs/render.py`: edit there. -->

One run of a job is one trace. Names without a convention of OpenTelemetry's begin with
`hermes.cron.`. A value that is not known is absent, never 0 or empty. No name is also the beginning
of another's path. Units are UCUM.

No prompt, answer, tool argument or result is sent unless content is switched on. Error texts always
are; in both, secrets and e-mail addresses are masked, and what is too long is cut.

## Spans

"""

_IDS = """\
Ids are derived from the profile's name and the run's session id (else its execution id), so that a
run that is sent again, or rebuilt, has the same ones.

Every span lies within its parent, and siblings are ordered by start; a time that the host's clock
put outside is moved to the nearest inside.

"""

_STEPS_NOTE = """\
Model and usage stand on `chat` spans only: backends that price model calls take every span that has
them for one. The run's totals are on the root under `hermes.cron.usage.*` and `hermes.cron.cost.*`.

"""

_OUTCOMES_HEAD = """\
## Outcomes

`hermes.cron.run.outcome` comes from the host's ledger where there is one;
`hermes.cron.run.outcome_source` says where it was read. Delivery has an outcome of its own: a run
whose answer could not be delivered is a success.

"""

_HOSTS = """
## Hermes versions

Which facts of the host lead to an outcome. The file is the run's in `cron/output`; the job's status is
jobs.json `last_status`, where it speaks of this very run.

| outcome | 0.19 | 0.18 | 0.17, 0.16 | 0.13 |
| --- | --- | --- | --- | --- |
| `success` | ledger `completed` | the file has an answer, or the job's status is `ok`; else the last message is an answer | as 0.18 | as 0.18 |
| `success`, silent | and the last message is `[SILENT]` or the like; of a script, its file says `silent` | as 0.19 | as 0.19 | as 0.19 |
| `failure` | ledger `failed`, with its text | the file says `(FAILED)`, `script failed` or `BLOCKED`, or the job's status is `error`, with its text | as 0.18 | as 0.18 |
| `failure`, empty reply | ledger `failed` | the job's status, or the file says `(No response generated)` | the file says `No reply: the model returned empty content`, although the job's status is `ok` | the file says `(empty)`, although the job's status is `ok` |
| `failure`, skill or script missing | the first message says so, although the ledger says `completed` | the same, although the job's status is `ok` | as 0.18 | as 0.18 |
| turn limit reached | `completed`: `success` | `ok`: `success` | `error`: `failure` | `error`: `failure` |
| `timeout`, `cancelled`, `budget_exceeded` | the text of a failure | the text of a failure | as 0.18 | as 0.18 |
| `abandoned` | ledger `unknown`; or its process is certainly gone (`inferred`) | its session has no end and nothing has moved for a day (`inferred`) | as 0.18 | as 0.18 |
| `skipped` | ledger `completed`, no session, and the file says that the gate said no; without a file, `inferred` | the file says that the gate said no | as 0.18 | as 0.18 |

What else each version tells of a run. A dash: absent.

| fact | 0.19 | 0.18 | 0.17 | 0.16 | 0.13 |
| --- | --- | --- | --- | --- | --- |
| start and end of an agent's run | the ledger's | the session's | the session's | the session's | the session's |
| start and end of a script, a gate, an agent without a session | the ledger's | the file's, as both | the file's, as both | the file's, as both | the file's, as both |
| trigger, queue time, delivery time | yes | - | - | - | - |
| scheduled time, lateness | yes | where `next_run_at` was read before the run; lateness from the session's start, of an agent only | as 0.18 | as 0.18 | as 0.18 |
| auxiliary calls (vision, compression) in tokens and cost | yes | - | - | - | - |
| times of the steps | yes | yes | - (`untimed`), but of an only answer | as 0.17 | as 0.17 |
| a subagent's end | its session's, or its last message | as 0.19 | its last message | its last message | its last message |
| a job's name after it was deleted | as it was seen | as it was seen, else in the session's title or the file | as 0.18 | as it was seen, else in the file | as 0.16 |
| `api_request_error` wakes the plugin | yes | yes | yes | yes | - |

Before 0.19 a run that left neither a session nor a file (Hermes died before it wrote one) is not known.
"""

_TITLES = {
    sc.Where.RESOURCE: "Resource",
    sc.Where.ROOT: "`cron`: the run",
    sc.Where.AGENT: "`invoke_agent`",
    sc.Where.CHAT: "`chat`",
    sc.Where.TOOL: "`execute_tool`",
    sc.Where.SCRIPT: "`script`",
    sc.Where.DELIVER: "`deliver`",
    sc.Where.DOCTOR: "`cronalytics-otel doctor`",
    sc.Where.LINK: "Link to another run",
}


def render() -> str:
    """The whole of docs/telemetry.md."""
    sections = [_HEAD, _spans(), "\n", _IDS]
    for where, title in _TITLES.items():
        sections += [f"## {title}\n\n", _STEPS_NOTE if where is sc.Where.CHAT else ""]
        sections += [_attributes(where), "\n"]
    return "".join([*sections, _OUTCOMES_HEAD, _outcomes(), _HOSTS])


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


def _meaning(attribute: sc.Attribute) -> str:
    values = ", ".join(f"`{value}`" for value in attribute.values)
    return f"{attribute.meaning} Values: {values}." if values else attribute.meaning


def _outcomes() -> str:
    return _table(
        ("outcome", "meaning", "span status", "`error.type`", "`cicd.pipeline.result`"),
        (
            (
                f"`{outcome}`",
                sc.OUTCOME_MEANING[outcome],
                "ERROR" if outcome in FAILED_OUTCOMES else "UNSET",
                "set" if outcome in FAILED_OUTCOMES else "absent",
                f"`{sc.CICD_RESULT[outcome]}`",
            )
            for outcome in Outcome
        ),
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
