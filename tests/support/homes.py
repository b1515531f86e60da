"""Hermes homes with known content, written as Hermes 0.19.0 writes them.

A `HomeBuilder` takes jobs and runs, writes them in the host's own order (ledger claim, start,
session, messages, end of session, output file, jobs.json, ledger end), and knows the truth of
each as an `Expected`. A run can stop after any of these steps, so that a test sees a home as it
is in the middle of a run. Large homes for measurements: `large_homes.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from croniter import croniter

from cronalytics_otel.model import CostStatus, Mode, Outcome, SkipReason, Trigger, Usage
from tests.support.home_disk import LEDGER_KEEPS, HomeDisk, JobsShape
from tests.support.home_facts import (
    ONE_CALL,
    Auxiliary,
    Expected,
    Row,
    Situation,
    Spent,
    Stage,
    Subagent,
    Tokens,
    ToolUse,
    sum_costs,
)
from tests.support.home_sessions import (
    SessionPlan,
    accounted_columns,
    children,
    messages,
    session_row,
    spent,
    usage_rows,
)
from tests.support.host_schema import SHAPE_0_18, SHAPE_0_19, Shape

__all__ = [
    "ONE_CALL", "Auxiliary", "BuiltRun", "Expected", "HomeBuilder", "Shape", "Stage", "Subagent",
    "Tokens", "ToolUse", "epoch_ns",
]  # fmt: skip

CRON_PROMPT = (
    "[IMPORTANT: You are running as a scheduled cron job. DELIVERY: Your final response will be "
    "automatically delivered to the user — do NOT use send_message or try to deliver the output "
    "yourself. Just produce your report/output as your final response and the system handles the "
    "rest. SILENT: If there is genuinely nothing new to report, respond with exactly "
    '"[SILENT]" (nothing else) to suppress delivery. Never combine [SILENT] with content — either '
    "report your findings normally, or say [SILENT] and nothing more.]"
)
SCRIPT_OUTPUT = (
    "## Script Output\nThe following data was collected by a pre-run script. Use it as context for "
    "your analysis.\n\n"
)
SCRIPT_ERROR = "## Script Error\nThe data-collection script failed. Report this to the user.\n\n"
FED = (
    "The following is the most recent output from a preceding cron job. Use it as context for your "
    "analysis.\n\n"
)
EMPTY_REPLY = (
    "Agent completed but produced empty response (model error, timeout, or misconfiguration)"
)
PROCESS_GONE = (
    "Scheduler restarted after this execution's owner exited before a durable terminal state; "
    "whether side effects ran is unknown."
)
INTERRUPTED = (
    "Interrupted by gateway shutdown before the run finished "
    "(tool subprocess was killed mid-flight)."
)

_OUTCOMES = {
    "success": Outcome.SUCCESS,
    "silent": Outcome.SUCCESS,
    "turn_limit": Outcome.SUCCESS,
    "failure": Outcome.FAILURE,
    "empty": Outcome.FAILURE,
    "timeout": Outcome.TIMEOUT,
    "interrupted": Outcome.CANCELLED,
    "abandoned": Outcome.ABANDONED,
}
_ANSWERED = ("success", "silent", "turn_limit", "empty", "interrupted")

Step = tuple[Stage, Callable[[], None]]


@dataclass(slots=True, kw_only=True)
class BuiltRun:
    """A run and how far the host has written it down."""

    expected: Expected
    steps: list[Step]
    stop_after: Stage

    @property
    def done(self) -> bool:
        """Whether the host has (or, after `write()`, will have) written all of it."""
        return not self.steps or self.steps[-1][0] <= self.stop_after


def epoch_ns(moment: datetime) -> int:
    """Exact: no float between."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


class HomeBuilder:
    """A Hermes home at `path`. Nothing is on disk before `write()`, which can be called often.

    `timezone` is an IANA name, as in config.yaml; times that are given must be aware.
    """

    def __init__(
        self,
        path: Path,
        *,
        timezone: str = "UTC",
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        shape: Shape = SHAPE_0_19,
        jobs_shape: JobsShape = "object",
        with_ledger: bool = True,
        system_prompt_bytes: int = 7500,
    ) -> None:
        if not with_ledger and shape is SHAPE_0_19:
            shape = SHAPE_0_18
        self.path = path
        self.zone = ZoneInfo(timezone)
        self.disk = HomeDisk(path, shape=shape, jobs_shape=jobs_shape, with_ledger=with_ledger)
        self.jobs: dict[str, Row] = {}
        self.known_jobs: dict[str, Row] = {}
        """Also those that the host has deleted since."""
        self.runs: list[BuiltRun] = []
        self._config = {"timezone": timezone, **(config or {})}
        self._random = random.Random(seed)
        self._system_prompt = "You are Hermes Agent. ".ljust(system_prompt_bytes, "x")
        self._process_id = self._hex(32)
        self._session_ids: set[str] = set()
        self._saved: dict[str, str] = {}
        """By job id, what its newest output file holds."""
        self._later: list[Callable[[], None]] = []
        self._updated = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def expected(self) -> list[Expected]:
        """The truth of each run that has come to its end."""
        return [run.expected for run in self.runs if run.done]

    # What the owner does

    def job(
        self,
        name: str,
        *,
        every_minutes: int | None = None,
        cron: str | None = None,
        once_at: datetime | None = None,
        schedule: object = None,
        job_id: str | None = None,
        prompt: str = "Report the news",
        skills: Sequence[str] = (),
        script: str | None = None,
        no_agent: bool = False,
        model: str | None = None,
        provider: str | None = None,
        deliver: str = "local",
        times: int | None = None,
        created: datetime | None = None,
        **columns: Any,
    ) -> str:
        """Add a job and return its id; `schedule` stands as it is given (old homes: a string).

        Without `created`, the job was made one interval (or a minute) before its first run, which
        is then on time.
        """
        parsed = schedule or _schedule(every_minutes, cron, once_at and self._local(once_at))
        display = parsed["display"] if isinstance(parsed, dict) else str(parsed)
        is_once = isinstance(parsed, dict) and parsed["kind"] == "once"
        record: Row = {
            "id": job_id or self._hex(12),
            "name": name,
            "prompt": "" if no_agent else prompt,
            "skills": list(skills),
            "skill": skills[0] if skills else None,
            "model": model,
            "provider": provider,
            "provider_snapshot": None if no_agent or provider else "custom",
            "model_snapshot": None if no_agent or model else "fake-model",
            "base_url": None,
            "script": script or ("check.sh" if no_agent else None),
            "no_agent": no_agent,
            "context_from": None,
            "schedule": parsed,
            "schedule_display": display,
            "repeat": {"times": times or (1 if is_once else None), "completed": 0},
            "enabled": True,
            "state": "scheduled",
            "paused_at": None,
            "paused_reason": None,
            "created_at": None,
            "next_run_at": None,
            "last_run_at": None,
            "last_status": None,
            "last_error": None,
            "last_delivery_error": None,
            "deliver": deliver,
            "origin": None,
            "enabled_toolsets": None,
            "workdir": None,
            **columns,
        }
        self.jobs[record["id"]] = self.known_jobs[record["id"]] = record
        if created is not None:
            self._set_created(record, created)
        return str(record["id"])

    def _set_created(self, record: Row, created: datetime) -> None:
        record["created_at"] = self._iso(created)
        record["next_run_at"] = self._next_run(record["schedule"], created)
        self._updated = max(self._updated, created)

    def remove_job(self, job_id: str) -> None:
        del self.jobs[job_id]

    # What the scheduler does

    def agent_run(
        self,
        job_id: str,
        started: datetime,
        duration_s: float = 20.0,
        *,
        outcome: Situation = "success",
        tokens: Tokens | None = ONE_CALL,
        cost: float | None = None,
        cost_status: str | None = None,
        tools: Sequence[str | ToolUse] = (),
        subagents: Sequence[Subagent] = (),
        aux_calls: Sequence[Auxiliary] = (),
        messages: bool = True,
        reply: str = "Fake answer: all good.",
        error: str | None = None,
        delivery_error: str | None = None,
        model: str = "fake-model",
        provider: str = "custom",
        api_calls: int | None = None,
        source: str = "builtin",
        ledger: bool = True,
        ended: bool = True,
        stop_after: Stage = Stage.FINISHED,
        queue_s: float = 0.004,
        session_lag_s: float = 2.5,
        script_s: float = 0.0,
        script_output: str | None = None,
        script_error: str | None = None,
        session_columns: Mapping[str, Any] | None = None,
        ledger_columns: Mapping[str, Any] | None = None,
    ) -> BuiltRun:
        """Run an agent.

        `tokens` are those of the main loop; None means that no call succeeded (the host then has
        NULL for the cost). Without `cost` the model has no price: 0.0 and `unknown`. A subagent
        is started by a `delegate_task` call of its own. The script before the agent took `script_s`,
        and gave one of `script_output` and `script_error`. `ledger=False` is a run whose row is not
        (or no longer) in the ledger; `ended=False` one that is still at work; `abandoned` one
        whose process died and which a later start of the gateway found.
        """
        record = self.known_jobs[job_id]
        finished = started + timedelta(seconds=duration_s)
        lag = timedelta(seconds=script_s + min(session_lag_s, (duration_s - script_s) / 3))
        named = timedelta(seconds=script_s) if script_output or script_error else lag / 5
        answered = outcome in _ANSWERED
        raised = not answered or (outcome == "turn_limit" and error is not None)  # before 0.18
        reply = {"silent": "[SILENT]", "empty": "(empty)"}.get(outcome, reply)
        error = error or _error_text(outcome, record["name"])
        plan = SessionPlan(
            session_id=self._cron_session_id(job_id, started + named),
            source="cron",
            started=(started + lag).timestamp(),
            worked=(finished - timedelta(milliseconds=16)).timestamp(),
            ended=None
            if outcome == "abandoned"
            else (finished - timedelta(milliseconds=6)).timestamp(),
            prompt=self._prompt(record, script_output, script_error),
            system_prompt=self._system_prompt,
            model=model,
            provider=provider,
            tokens=tokens,
            cost=cost,
            cost_status=cost_status,
            api_calls=api_calls,
            reply=reply if answered else None,
            turn_limit=outcome == "turn_limit",
            has_messages=messages,
            tools=tools,
            subagents=subagents,
            aux_calls=aux_calls,
            columns=dict(session_columns or {}),
        )
        steps, used = self._session_steps(
            plan, f"{record['name']} · {self._local(finished):%b %d %H:%M}"
        )
        if outcome != "abandoned":
            shown = "(No response generated)" if outcome == "empty" else reply
            steps += self._report_steps(
                record, finished, error, delivery_error,
                f"# Cron Job: {record['name']}{' (FAILED)' if raised else ''}\n\n"
                f"**Job ID:** {job_id}\n"
                f"**Run Time:** {self._local(finished):%Y-%m-%d %H:%M:%S}\n"
                f"**Schedule:** {record['schedule_display']}\n\n## Prompt\n\n{plan.prompt}\n\n"
                + (f"## Error\n\n```\n{error}\n```\n" if raised else f"## Response\n\n{shown}\n"),
            )  # fmt: skip
        in_ledger = ledger and self.disk.with_ledger
        facts = self._facts(record, started, finished, source, queue_s, in_ledger=in_ledger)
        if not in_ledger:
            facts["started_ns"] = epoch_ns(started + lag)
            facts["ended_ns"] = epoch_ns(finished - timedelta(milliseconds=6))
        total, status = sum_costs(used.costs)
        if outcome == "turn_limit" and total is not None and status is not CostStatus.INCLUDED:
            status = CostStatus.PARTIAL  # the host does not count the summary
        # The host alone counts such a run as completed.
        became = Outcome.FAILURE if script_error and answered else _OUTCOMES[outcome]
        became = Outcome.FAILURE if raised and answered else became
        expected = Expected(
            **facts,
            mode=Mode.AGENT,
            outcome=became,
            session_id=plan.session_id,
            error_message=script_error if script_error and answered else error,
            model=model,
            provider=provider if tokens else None,
            usage=used.tokens.usage if used.tokens else Usage(),
            cost_usd=total,
            cost_status=status,
            api_calls=used.api_calls,
            tool_calls=used.tool_calls,
            subagents=used.sessions - 1,
            silent=outcome == "silent" if became is Outcome.SUCCESS else None,
            delivery_error=delivery_error,
            script_exit_code=_exit_code(script_error) if script_output or script_error else None,
        )
        if in_ledger:
            steps += self._ledger_steps(expected, source, error, ledger_columns or {})
        return self._add(expected, steps, stop_after if ended else Stage.WORKED)

    def script_run(
        self,
        job_id: str,
        started: datetime,
        duration_s: float = 1.0,
        *,
        outcome: Literal["success", "silent", "failure", "timeout", "abandoned"] = "success",
        output: str = "disk ok",
        error: str | None = None,
        source: str = "builtin",
        ledger: bool = True,
        delivery_error: str | None = None,
        stop_after: Stage = Stage.FINISHED,
        queue_s: float = 0.004,
        ledger_columns: Mapping[str, Any] | None = None,
    ) -> BuiltRun:
        """Run a `no_agent` job: no session, no hook; ledger, output file and jobs.json only."""
        error = error or {
            "failure": "Script exited with code 3\nstderr:\nboom",
            "timeout": "Script timed out after 3600s: check.sh",
            "abandoned": PROCESS_GONE,
        }.get(outcome)
        status, body = "", f"\n---\n\n{output}\n"
        if error:
            status, body = "**Status:** script failed\n", f"\n{error}\n"
        elif outcome == "silent":
            status, body = "**Status:** silent (empty output)\n", ""
        return self._sessionless_run(
            job_id, started, duration_s,
            outcome=_OUTCOMES[outcome], heading=f"**Mode:** no_agent (script)\n{status}",
            body=body, error=error, source=source, ledger=ledger, delivery_error=delivery_error, stop_after=stop_after, queue_s=queue_s,
            ledger_columns=ledger_columns or {}, died=outcome == "abandoned",
            silent=None if error else outcome == "silent",
            exit_code=_exit_code(error),
        )  # fmt: skip

    def gated_run(
        self,
        job_id: str,
        started: datetime,
        duration_s: float = 0.4,
        *,
        nothing: bool = False,
        source: str = "builtin",
        ledger: bool = True,
        stop_after: Stage = Stage.FINISHED,
        queue_s: float = 0.004,
    ) -> BuiltRun:
        """A run whose gate script printed `{"wakeAgent": false}` (or `nothing`): no session either.

        For a `no_agent` job the host counts it as a run without output.
        """
        no_agent = self.known_jobs[job_id]["no_agent"]
        heading = (
            "**Mode:** no_agent (script)\n**Status:** silent (wakeAgent=false)\n"
            if no_agent
            else ""
        )
        reason = SkipReason.NO_OUTPUT if nothing else SkipReason.WAKE_AGENT_FALSE
        body = "" if no_agent else "\nScript gate returned `wakeAgent=false` — agent skipped.\n"
        return self._sessionless_run(
            job_id, started, duration_s,
            outcome=Outcome.SUCCESS if no_agent else Outcome.SKIPPED, heading=heading, body=body,
            error=None, source=source, ledger=ledger, delivery_error=None,
            stop_after=stop_after, queue_s=queue_s, ledger_columns={},
            silent=True if no_agent else None, is_blank=nothing, exit_code=0,
            skip_reason=None if no_agent else reason,
        )  # fmt: skip

    def session(self, session_id: str, started: datetime, **columns: Any) -> None:
        """Add a bare session row: a chat, or one of a kind that `agent_run` does not make."""
        row = {"id": session_id, "source": "cli", "started_at": started.timestamp(), **columns}
        self._later.append(lambda: self.disk.insert("sessions", row))

    def message(
        self, session_id: str, at: datetime, role: str, content: str, **columns: Any
    ) -> None:
        """Add a message to such a session."""
        row = {"session_id": session_id, "role": role, "content": content, **columns}
        self._later.append(
            lambda: self.disk.insert("messages", {**row, "timestamp": at.timestamp()})
        )

    def advance(self, run: BuiltRun, to: Stage = Stage.FINISHED) -> None:
        """Let the host write more of a run that stood still."""
        run.stop_after = to
        self._later.append(lambda: self._play(run))

    def do(self, action: Callable[[], None]) -> None:
        """Let somebody write to the open databases, after all that the host has written so far."""
        self._later.append(action)

    # What ends up on disk

    def write(self) -> None:
        """Bring the home on disk up to date."""
        for record in self.known_jobs.values():
            if record["created_at"] is None:
                self._set_created(record, self._updated)
        with self.disk.writing(self._config):
            for action in self._later:
                action()
        self._later.clear()
        self.disk.write_jobs(self.jobs, self._iso(self._updated))

    def prune_ledger(self, keep: int = LEDGER_KEEPS) -> None:
        """As `executions._prune_unlocked`, which the host calls when a run ends."""
        self._later.append(lambda: self.disk.prune_ledger(keep))
        self.write()

    def prune_sessions(self, started_before: datetime) -> None:
        """As `hermes sessions prune`: ended sessions go, the children of others are orphaned."""
        self._later.append(lambda: self.disk.prune_sessions(started_before))
        self.write()

    # The steps of a run

    def _add(self, expected: Expected, steps: list[Step], stop_after: Stage) -> BuiltRun:
        run = BuiltRun(
            expected=expected, steps=sorted(steps, key=lambda step: step[0]), stop_after=stop_after
        )
        self.runs.append(run)
        self._later.append(lambda: self._play(run))
        return run

    def _play(self, run: BuiltRun) -> None:
        while run.steps and run.steps[0][0] <= run.stop_after:
            run.steps.pop(0)[1]()

    def _facts(
        self,
        record: Row,
        started: datetime,
        finished: datetime,
        source: str,
        queue_s: float,
        *,
        in_ledger: bool,
    ) -> dict[str, Any]:
        """Those that the ledger tells."""
        claimed = started - timedelta(seconds=queue_s)
        if record["created_at"] is None:
            schedule = record["schedule"]
            minutes = schedule.get("minutes", 1) if isinstance(schedule, dict) else 1
            self._set_created(record, claimed - timedelta(minutes=minutes))
        return {
            "job_id": record["id"],
            "job_name": record["name"],
            "started_ns": epoch_ns(started),
            "ended_ns": epoch_ns(finished),
            "execution_id": self._hex(32) if in_ledger else None,
            "claimed_ns": epoch_ns(claimed) if in_ledger else None,
            "trigger": None
            if not in_ledger
            else Trigger.MANUAL
            if source == "direct"
            else Trigger.SCHEDULE,
        }

    def _ledger_steps(
        self, expected: Expected, source: str, error: str | None, columns: Mapping[str, Any]
    ) -> list[Step]:
        key = expected.execution_id or ""
        claimed = {
            "id": key,
            "job_id": expected.job_id,
            "source": source,
            "process_id": self._process_id,
            "pid": 2780,
            "process_started_at": 40127,
            "status": "claimed",
            "claimed_at": self._iso_ns(expected.claimed_ns or 0),
        }
        running = {"status": "running", "started_at": self._iso_ns(expected.started_ns)}
        status = "failed" if error else "completed"
        finished = {
            "status": "unknown" if expected.outcome is Outcome.ABANDONED else status,
            "finished_at": self._iso_ns(expected.ended_ns),
            "error": error,
        }
        return [
            (Stage.CLAIMED, lambda: self.disk.insert("executions", claimed)),
            (Stage.RUNNING, lambda: self.disk.update("executions", key, {**running, **columns})),
            (Stage.FINISHED, lambda: self.disk.update("executions", key, finished)),
            (Stage.FINISHED, lambda: self.disk.prune_ledger(LEDGER_KEEPS)),
        ]

    def _session_steps(self, plan: SessionPlan, title: str) -> tuple[list[Step], Spent]:
        """The writes of a session and of its subagents, and what all of them used."""
        below = [self._session_steps(child, "") for child in children(plan, self._child_id)]
        inserts = [*messages(plan, self._random), *usage_rows(plan)]

        def work() -> None:
            for step in (step for steps, _ in below for step in steps):
                step[1]()
            for table, row in inserts:
                self.disk.insert(table, row)
            self.disk.update("sessions", plan.session_id, accounted_columns(plan))

        def end() -> None:
            reason = "agent_close" if plan.parent else "cron_complete"
            ending: Row = {"ended_at": plan.ended, "end_reason": reason}
            if title:
                ending["title"] = self.disk.unique_title(title)
            self.disk.update("sessions", plan.session_id, ending)

        steps: list[Step] = [
            (Stage.SESSION, lambda: self.disk.insert("sessions", session_row(plan))),
            (Stage.WORKED, work),
        ]
        if plan.ended is not None:
            steps.append((Stage.ENDED, end))
        return steps, spent(plan, [used for _, used in below])

    def _prompt(self, record: Row, script_output: str | None, script_error: str | None) -> str:
        """As `_build_job_prompt`: each part stands before those that were put in earlier."""
        prompt = str(record["prompt"])
        if script_output:
            prompt = f"{SCRIPT_OUTPUT}```\n{script_output}\n```\n\n{prompt}"
        if script_error:
            prompt = f"{SCRIPT_ERROR}```\n{script_error}\n```\n\n{prompt}"
        for source in record["context_from"] or ():
            if saved := self._saved.get(source, "").strip():
                cut = f"{saved[:8000]}\n\n[... output truncated ...]"
                text = cut if len(saved) > 8000 else saved
                prompt = f"## Output from job '{source}'\n{FED}```\n{text}\n```\n\n{prompt}"
        return f"{CRON_PROMPT}\n\n{prompt}"

    def _report_steps(
        self,
        record: Row,
        finished: datetime,
        error: str | None,
        delivery_error: str | None,
        output: str,
    ) -> list[Step]:
        self._saved[record["id"]] = output
        return [
            (
                Stage.OUTPUT,
                lambda: self.disk.save_output(record["id"], self._local(finished), output),
            ),
            (Stage.MARKED, lambda: self._mark_job(record["id"], finished, error, delivery_error)),
        ]

    def _sessionless_run(
        self,
        job_id: str,
        started: datetime,
        duration_s: float,
        *,
        outcome: Outcome,
        heading: str,
        body: str,
        error: str | None,
        source: str,
        ledger: bool,
        delivery_error: str | None,
        stop_after: Stage,
        queue_s: float,
        ledger_columns: Mapping[str, Any],
        silent: bool | None,
        exit_code: int | None,
        skip_reason: SkipReason | None = None,
        is_blank: bool = False,
        died: bool = False,
    ) -> BuiltRun:
        record = self.known_jobs[job_id]
        finished = started + timedelta(seconds=duration_s)
        in_ledger = ledger and self.disk.with_ledger
        facts = self._facts(record, started, finished, source, queue_s, in_ledger=in_ledger)
        if not self.disk.with_ledger:  # the file is all there is, and is stamped in whole seconds
            facts["execution_id"] = f"output_{job_id}_{self._local(finished):%Y%m%d_%H%M%S}"
            facts["started_ns"] = facts["ended_ns"] = epoch_ns(finished.replace(microsecond=0))
        expected = Expected(
            **facts,
            mode=Mode.SCRIPT if record["no_agent"] else Mode.AGENT,
            outcome=outcome,
            session_id=None,
            error_message=error,
            silent=silent,
            delivery_error=delivery_error,
            script_exit_code=exit_code,
            skip_reason=skip_reason,
        )
        steps: list[Step] = []
        if not died:
            text = (
                f"# Cron Job: {record['name']}\n\n**Job ID:** {job_id}\n"
                f"**Run Time:** {self._local(finished):%Y-%m-%d %H:%M:%S}\n{heading}{body}"
            )
            text = "" if is_blank else text
            steps = self._report_steps(record, finished, error, delivery_error, text)
        if in_ledger:
            steps += self._ledger_steps(expected, source, error, ledger_columns)
        return self._add(expected, steps, stop_after)

    def _mark_job(
        self, job_id: str, finished: datetime, error: str | None, delivery_error: str | None
    ) -> None:
        """As `jobs.mark_job_run`: a job that has used up its runs is gone."""
        record = self.jobs.get(job_id)
        if record is None:
            return
        self._updated = finished
        record["last_run_at"] = self._iso(finished - timedelta(milliseconds=1))
        record["last_status"] = "error" if error else "ok"
        record["last_error"] = error
        record["last_delivery_error"] = delivery_error
        record["fire_claim"] = None
        record["repeat"]["completed"] += 1
        times = record["repeat"]["times"]
        if times is not None and record["repeat"]["completed"] >= times:
            del self.jobs[job_id]
            return
        record["next_run_at"] = self._next_run(record["schedule"], finished)

    # Times and names

    def _local(self, moment: datetime) -> datetime:
        return moment.astimezone(self.zone)

    def _iso(self, moment: datetime) -> str:
        return self._local(moment).isoformat()

    def _iso_ns(self, time_ns: int) -> str:
        return self._iso(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000))

    def _next_run(self, schedule: object, after: datetime) -> str | None:
        if not isinstance(schedule, dict):
            return None
        if schedule["kind"] == "interval":
            return self._iso(after + timedelta(minutes=schedule["minutes"]))
        if schedule["kind"] == "cron":
            return str(
                croniter(schedule["expr"], self._local(after)).get_next(datetime).isoformat()
            )
        return str(schedule["run_at"])

    def _cron_session_id(self, job_id: str, moment: datetime) -> str:
        """As the host makes it; a second run in one second is given the next one."""
        while (name := f"cron_{job_id}_{self._local(moment):%Y%m%d_%H%M%S}") in self._session_ids:
            moment += timedelta(seconds=1)
        self._session_ids.add(name)
        return name

    def _child_id(self, started: float) -> str:
        moment = self._local(datetime.fromtimestamp(started, tz=UTC))
        return f"{moment:%Y%m%d_%H%M%S}_{self._hex(6)}"

    def _hex(self, digits: int) -> str:
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"


def _schedule(every_minutes: int | None, cron: str | None, once_at: datetime | None) -> Row:
    """As `jobs.parse_schedule` returns it."""
    if cron is not None:
        return {"kind": "cron", "expr": cron, "display": cron}
    if once_at is not None:
        shown = f"once at {once_at:%Y-%m-%d %H:%M}"
        return {"kind": "once", "run_at": once_at.isoformat(), "display": shown}
    minutes = every_minutes or 30
    return {"kind": "interval", "minutes": minutes, "display": f"every {minutes}m"}


def _exit_code(error: str | None) -> int | None:
    words = (error or "Script exited with code 0").split()
    return int(words[4]) if words[:4] == ["Script", "exited", "with", "code"] else None


def _error_text(situation: Situation, job_name: str) -> str | None:
    """What the host writes to the ledger and to jobs.json."""
    return {
        "failure": "RuntimeError: HTTP 500: upstream exploded",
        "empty": EMPTY_REPLY,
        "timeout": f"TimeoutError: Cron job '{job_name}' idle for 600s (limit 600s) "
        "— last activity: executing tool: terminal",
        "interrupted": INTERRUPTED,
        "abandoned": PROCESS_GONE,
    }.get(situation)
