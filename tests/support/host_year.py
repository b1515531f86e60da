"""A year of a scheduler in seconds, by the host's own functions; run by a Python that has Hermes.

    python host_year.py PLAN OUT

PLAN is JSON: `seed`, `zone`, `start` (ISO), `days`, `jobs` (each `name`, `schedule`, `repeat`,
`from_day`, `to_day`, `run_s`), `outages` (each `at`, `hours`: in days and hours from the start) and
`owner` (whether a person pauses, edits, triggers and runs jobs). OUT becomes JSON lines: what a look
at the files would have found, each with its time: `{"ns", "start", "up", "zone", "jobs", "rows", "gone"}`; and last
`{"missed": [[job id, first ns, last ns, count, served late], …], "runs": ended}`, which is kept apart
from what the plugin computes: by asking the host, occurrence by occurrence, what it would have run.

Real: `create_job`, `get_due_jobs`, `advance_next_run`, `claim_dispatch`, `claim_job_for_fire`,
`mark_job_run`, `pause_job`, `resume_job`, `update_job`, `trigger_job`, `remove_job`, and all of the
ledger. Stood in for: the clock, the disk under jobs.json (a variable), `fsync`, and the loop of
`scheduler.tick`, which is written out here because the original starts threads and models.
"""

from __future__ import annotations

import contextlib
import copy
import heapq
import json
import logging
import os
import random
import sys
import tempfile
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

os.environ["HERMES_HOME"] = tempfile.mkdtemp(prefix="host-year-")

from cron import executions, jobs  # type: ignore[import-not-found]

logging.disable(logging.CRITICAL)

TICK = 60.0
GRACE = 120.0
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Year:
    def __init__(self, plan: dict[str, Any], out: Any) -> None:
        self.plan, self.out = plan, out
        self.random = random.Random(plan["seed"])
        self.zone = ZoneInfo(plan["zone"])
        self.start = datetime.fromisoformat(plan["start"]).timestamp()
        self.end = self.start + plan["days"] * 86_400
        self.now = self.start
        self.store: list[dict[str, Any]] = []
        self.events: list[tuple[float, int, Any]] = []
        self.count = 0
        self.running: dict[str, str] = {}
        self.up = True
        self.phase = self.start
        self.missed: list[list[Any]] = []
        self.pending: dict[str, float] = {}
        self.rows: dict[str, list[Any]] = {}
        self.saves = 0
        self.runs = 0
        self.run_s: dict[str, float] = {}
        self.outages = sorted(
            (self.start + o["at"] * 86_400, o["hours"] * 3600) for o in plan["outages"]
        )
        self._patch()

    def _patch(self) -> None:
        def now() -> datetime:
            return datetime.fromtimestamp(self.now, self.zone)

        def load() -> list[dict[str, Any]]:
            return copy.deepcopy(self.store)

        def save(stored: list[dict[str, Any]]) -> None:
            self.store = copy.deepcopy(stored)

        jobs._hermes_now = executions._hermes_now = now
        jobs.load_jobs, jobs.save_jobs = load, save
        jobs._jobs_lock = contextlib.nullcontext
        jobs._job_running_in_this_process = lambda job_id: job_id in self.running
        jobs._compute_provider_model_snapshots = lambda **_: ("custom", "fake-model")
        executions._owner_is_live = lambda *_: False
        executions._process_start_time = lambda _: 1
        connection = executions._connect()
        connection.execute("PRAGMA synchronous=OFF")
        executions._connect = lambda: connection
        self.ledger = connection

    # The loop.

    def at(self, when: float, what: Any) -> None:
        self.count += 1
        heapq.heappush(self.events, (when, self.count, what))

    def run(self) -> None:
        for job in self.plan["jobs"]:
            self.at(self.start + job.get("from_day", 0) * 86_400, lambda job=job: self.create(job))
        for when, seconds in self.outages:
            self.at(when, lambda seconds=seconds: self.go_down(seconds))
        if self.plan.get("owner"):
            for _ in range(self.plan["days"] // 3):
                self.at(self.random.uniform(self.start, self.end), self.owner_acts)
        if self.plan.get("new_zone"):
            self.at(self.start + self.plan["days"] * 43_200, self.move_zone)
        for half in range(self.plan["days"] * 2):
            self.at(self.start + half * 43_200 + self.random.uniform(0, 28_000), self.look)
        for job in self.plan["jobs"]:
            # A dense job must be read before the ledger forgets: it keeps a thousand rows.
            for hour in range(24 * job.get("from_day", 0), 24 * job.get("to_day", 0), 3):
                self.at(self.start + hour * 3_600, self.look)
        self.look(start=True)
        while True:
            tick = self.next_tick()
            when = self.events[0][0] if self.events else self.end
            if min(tick, when) >= self.end:
                break
            if when <= tick:
                self.now, _, what = heapq.heappop(self.events)
                what()
            else:
                self.now = tick
                self.tick()
        self.now = self.end
        self.look()
        is_open = sum(row[6] in ("claimed", "running") for row in self.rows.values())
        print(json.dumps({"missed": self.missed, "runs": self.runs - is_open}), file=self.out)

    def next_tick(self) -> float:
        """The first beat of the scheduler at which something is due."""
        if not self.up:
            return float("inf")
        due = [seconds(j["next_run_at"]) for j in self.store if j["enabled"] and j["next_run_at"]]
        wanted = max(min(due, default=float("inf")), self.now + 0.001)
        if wanted == float("inf"):
            return wanted
        beats = -(-(wanted - self.phase) // TICK)
        return self.phase + max(0, beats) * TICK

    def tick(self) -> None:
        """As `scheduler.tick` and its `_submit_with_guard`."""
        due = jobs.get_due_jobs()
        for job in due:
            jobs.advance_next_run(job["id"])
        for job in due:
            if job["id"] not in self.running:
                self.begin(job["id"], "builtin")

    def begin(self, job_id: str, source: str) -> None:
        execution = executions.create_execution(job_id, source=source)["id"]
        self.runs += 1
        if not jobs.claim_dispatch(job_id):
            executions.finish_execution(
                execution,
                success=False,
                error="Dispatch claim rejected; execution was not started.",
            )
            return
        executions.mark_execution_running(execution)
        self.running[job_id] = execution
        lasts = self.run_s.get(job_id, 20.0) * self.random.uniform(0.5, 1.5)
        self.at(self.now + lasts, lambda: self.finish(job_id, execution))

    def finish(self, job_id: str, execution: str) -> None:
        if self.running.get(job_id) != execution:
            return  # its process was killed
        del self.running[job_id]
        good = self.random.random() < 0.9
        jobs.mark_job_run(job_id, good, None if good else "RuntimeError: HTTP 500")
        executions.finish_execution(execution, success=good, error="RuntimeError: HTTP 500")

    # What the plugin would find.

    def look(self, *, start: bool = False) -> None:
        text = json.dumps({"jobs": self.store, "updated_at": self.saves})
        rows = {row[0]: list(row) for row in self.ledger.execute("SELECT * FROM executions")}
        changed = [row for key, row in rows.items() if self.rows.get(key) != row]
        gone = [key for key in self.rows if key not in rows]
        self.rows = rows
        print(
            json.dumps({"ns": nanoseconds(self.now), "start": start, "up": self.up, "zone": self.zone.key,
                        "jobs": text, "rows": changed, "gone": gone}),
            file=self.out,
        )  # fmt: skip

    # What happens to a scheduler.

    def go_down(self, lasts: float) -> None:
        if not self.up:
            return
        self.look()
        self.up = False
        if self.random.random() < 0.5:
            self.running.clear()  # killed: what ran is never finished
        else:
            for job_id, execution in list(self.running.items()):
                self.finish(job_id, execution)
        self.look()
        self.pending = {
            j["id"]: seconds(j["next_run_at"])
            for j in self.store
            if j["enabled"] and j["next_run_at"]
        }
        self.at(self.now + lasts, self.come_up)

    def come_up(self) -> None:
        self.look(start=True)
        executions._PROCESS_ID = uuid.uuid4().hex
        executions.recover_interrupted_executions()
        self.up, self.phase = True, self.now + 0.3
        self.now = self.phase
        before = {r[0] for r in self.ledger.execute("SELECT id FROM executions")}
        left = {j["id"]: runs_left(j) for j in self.store}
        known = {j["id"]: copy.deepcopy(j) for j in self.store}
        self.tick()
        ran = {
            r[0]
            for r in self.ledger.execute("SELECT job_id, id FROM executions")
            if r[1] not in before
        }
        for job_id, due in self.pending.items():
            if job_id not in known or due > self.now:
                continue
            served = job_id in ran
            self.tell(known[job_id], due, self.now, left[job_id], served=served)
        self.pending = {}
        self.at(self.now + 2, self.look)

    def tell(
        self, job: dict[str, Any], due: float, until: float, left: int | None, *, served: bool
    ) -> None:
        """What the host would have run, asked of the host, occurrence by occurrence."""
        times = []
        while due <= until - GRACE:
            times.append(due)
            if job["schedule"]["kind"] == "once":
                break
            last = datetime.fromtimestamp(due, self.zone).isoformat()
            due = seconds(jobs.compute_next_run(job["schedule"], last))
        if served:
            times = times[1:]
            left = None if left is None else left - 1
        times = times[:left]
        if times:
            self.missed.append(
                [job["id"], nanoseconds(times[0]), nanoseconds(times[-1]), len(times), served]
            )

    # What a person does.

    def create(self, wanted: dict[str, Any]) -> None:
        schedule = wanted["schedule"]
        if wanted.get("once_after_s"):
            schedule = datetime.fromtimestamp(
                self.now + wanted["once_after_s"], self.zone
            ).isoformat()
        job = jobs.create_job(
            "work", schedule, name=wanted["name"], repeat=wanted.get("repeat"), deliver="local"
        )
        self.run_s[job["id"]] = wanted.get("run_s", 20.0)
        if not self.up and job["next_run_at"]:
            self.pending[job["id"]] = seconds(job["next_run_at"])
        if wanted.get("to_day"):
            self.at(self.start + wanted["to_day"] * 86_400, lambda: self.remove(job["id"]))
        self.look()

    def remove(self, job_id: str) -> None:
        self.leave_pending(job_id)
        jobs.remove_job(job_id)
        self.look()

    def leave_pending(self, job_id: str) -> None:
        """It will not run late any more. What it missed is known by a look just before: the plugin
        reads jobs.json when it was written, and here something else in it was."""
        due = self.pending.pop(job_id, None)
        if due is not None and due < self.now - GRACE:
            self.saves += 1
            self.look()
            job = next(j for j in self.store if j["id"] == job_id)
            self.tell(job, due, self.now, runs_left(job), served=False)
            self.now += 1

    def owner_acts(self) -> None:
        """Anything a person can do to a job; while the scheduler is down too."""
        candidates = [j for j in self.store if j["schedule"]["kind"] != "once"]
        if not candidates:
            return
        job = self.random.choice(candidates)
        job_id, paused = job["id"], job["state"] == "paused"
        what = self.random.choice(["pause", "pause", "edit", "rename", "trigger", "run"])
        if paused or what == "pause":
            (self.resume if paused else self.pause)(job_id)
        elif what == "edit":
            self.edit(job_id)
        elif what == "rename":
            jobs.update_job(job_id, {"name": f"job {self.count}"})
        elif what == "trigger" and self.up:
            jobs.trigger_job(job_id)
        elif (
            what == "run"
            and self.up
            and job_id not in self.running
            and jobs.claim_job_for_fire(job_id)
        ):
            self.begin(job_id, "direct")
        if self.up or self.random.random() < 0.5:
            self.look()

    def pause(self, job_id: str) -> None:
        jobs.pause_job(job_id)
        due = self.pending.pop(job_id, None)
        if due is not None and due <= self.now - GRACE:
            job = next(j for j in self.store if j["id"] == job_id)
            self.tell(job, due, self.now, runs_left(job), served=False)
            self.look()
        self.at(self.now + self.random.uniform(60, 4 * 86_400), lambda: self.resume(job_id))

    def resume(self, job_id: str) -> None:
        job = next((j for j in self.store if j["id"] == job_id), None)
        if job is None or job["state"] != "paused":
            return
        self.look()
        resumed = jobs.resume_job(job_id)
        if not self.up:
            self.pending[job_id] = seconds(resumed["next_run_at"])
        if self.up:
            self.look()

    def edit(self, job_id: str) -> None:
        job = next(j for j in self.store if j["id"] == job_id)
        same = [j["schedule"] for j in self.plan["jobs"] if j["schedule"] and not j.get("to_day")]
        if job["state"] != "paused":
            self.leave_pending(job_id)
        edited = jobs.update_job(job_id, {"schedule": self.random.choice(same)})
        if not self.up:
            self.pending[job_id] = seconds(edited["next_run_at"])

    def move_zone(self) -> None:
        self.zone = ZoneInfo(self.plan["new_zone"])
        self.look()


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def nanoseconds(when: float) -> int:
    return round((EPOCH + timedelta(seconds=when) - EPOCH) / timedelta(microseconds=1)) * 1000


def runs_left(job: dict[str, Any]) -> int | None:
    repeat = job.get("repeat") or {}
    return None if not repeat.get("times") else max(0, repeat["times"] - repeat["completed"])


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", encoding="utf-8") as out:
        Year(json.loads(Path(sys.argv[1]).read_text()), out).run()
