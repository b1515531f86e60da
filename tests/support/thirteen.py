"""Thirteen jobs, one for each way in which a cron run of Hermes can go.

The tests compare what arrived of them with what the host wrote; the demo shows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from tests.support.hermes import HermesHome, JobSpec


def job_specs(minute: datetime) -> dict[str, JobSpec]:
    """By key. The job with a cron expression is due daily at that minute.

    `once` is deleted by the host after its run; `delegate` has a subagent that uses a tool.
    """
    return {
        "ok": JobSpec(name="morning digest", schedule="every 30m", prompt="Sum up the news"),
        "tool": JobSpec(
            name="disk report",
            schedule=f"{minute.minute} {minute.hour} * * *",
            prompt="Look around FAKE:TOOL",
        ),
        "skill": JobSpec(
            name="release notes", schedule="every 1h", prompt="Write them", skills=("changelog",)
        ),
        "script": JobSpec(
            name="backup check", schedule="every 5m", script="backup_ok.sh", no_agent=True
        ),
        "bad_script": JobSpec(
            name="certificate check", schedule="every 5m", script="certificate.sh", no_agent=True
        ),
        "gated": JobSpec(
            name="inbox watcher", schedule="every 5m", prompt="Answer mail", script="any_mail.py"
        ),
        "http_401": JobSpec(name="billing summary", schedule="every 30m", prompt="Add FAKE:401"),
        "http_500": JobSpec(name="ticket triage", schedule="every 30m", prompt="Sort FAKE:500"),
        "empty": JobSpec(name="weekly retro", schedule="every 30m", prompt="Recall FAKE:EMPTY"),
        "silent": JobSpec(name="incident watch", schedule="every 30m", prompt="See FAKE:SILENT"),
        "loop": JobSpec(name="log deep dive", schedule="every 30m", prompt="Dig FAKE:LOOP"),
        "delegate": JobSpec(
            name="research brief", schedule="every 30m", prompt="Search FAKE:DELEGATE=TOOL"
        ),
        "once": JobSpec(name="one-off migration", schedule="30m", prompt="Move it"),
    }


KEYS = tuple(job_specs(datetime.min))

MANUAL = "ok"
"""The one that is run by hand; the scheduler runs the others."""

BY_CRON = "tool"
"""The one with a cron expression."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thirteen:
    """The jobs in a home."""

    home: HermesHome
    job_ids: dict[str, str]
    """By key."""
    due: dict[str, datetime]
    """When each scheduled one was due, by key; aware."""

    @classmethod
    def create(cls, home: HermesHome, zone: tzinfo | None = None) -> Thirteen:
        """Make the jobs, with the scripts and the skill that they use.

        `zone` is the time zone that the home is configured for, if not the machine's.
        """
        home.add_script("backup_ok.sh", "#!/bin/bash\necho backup is 2 hours old\n")
        home.add_script("certificate.sh", "#!/bin/bash\necho expires tomorrow >&2\nexit 3\n")
        home.add_script("any_mail.py", "print('{\"wakeAgent\": false}')\n")
        home.add_skill("changelog", "Write one short line for each change.")
        home.create_state_db()
        minute = datetime.now(zone).astimezone(zone).replace(second=0, microsecond=0)
        specs = job_specs(minute)
        job_ids = {key: home.create_job(spec) for key, spec in specs.items()}
        a_moment_ago = datetime.now(zone).astimezone(zone) - timedelta(seconds=5)
        due = {key: a_moment_ago for key in specs if key != MANUAL} | {BY_CRON: minute}
        for key, at in due.items():
            home.make_due(job_ids[key], at=at)
        return cls(home=home, job_ids=job_ids, due=due)

    def run(self) -> None:
        """One by hand, then all the others by one tick of the real scheduler."""
        self.home.run_job(self.job_ids[MANUAL])
        self.home.tick()
