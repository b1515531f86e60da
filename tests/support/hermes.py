"""A real Hermes Agent to be driven by tests, benches and the demo.

    hermes = hermes_with_plugin()
    home = HermesHome.make(tmp_path / "home", hermes, model_url=model.url, plugins=[PLUGIN])
    job_id = home.create_job(JobSpec(name="nightly", schedule="0 9 * * *", prompt="Digest"))
    home.make_due(job_id)
    home.tick()
    home.executions()

Everything is done by the real `hermes` command, and the results are read from the host's own
files. Two things are not as a user has them: the model is `fake_llm`, and the proxies of the
environment lead nowhere, so that nothing leaves the machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Self

import yaml

from tests.support import venvs
from tests.support.fake_llm import PRICED_MODEL
from tests.support.waiting import wait_for

PLUGIN = "cronalytics-otel"

Row = dict[str, Any]
"""A row of one of the host's tables by column name, or a job of jobs.json."""

_NOWHERE = "http://127.0.0.1:9"
_JOB_ID = re.compile(r"Created job: \S*?([0-9a-f]{12})")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hermes:
    """An installed Hermes: the venv that it is in."""

    venv: Path
    version: str

    @property
    def bin(self) -> Path:
        return self.venv / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"


def hermes_with_plugin(version: str = venvs.HERMES_VERSION) -> Hermes:
    """Hermes, with the checkout's wheel beside it."""
    return Hermes(venv=venvs.hermes_with_plugin_venv(version), version=version)


def hermes_with_packages(version: str = venvs.HERMES_VERSION) -> Hermes:
    """Hermes and the packages that the plugin needs, for a plugin that is a git checkout."""
    return Hermes(venv=venvs.hermes_with_packages_venv(version), version=version)


def hermes_pristine(version: str = venvs.HERMES_VERSION) -> Hermes:
    """Hermes and nothing else."""
    return Hermes(venv=venvs.hermes_venv(version), version=version)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as `hermes cron create` is told about it."""

    name: str
    schedule: str
    prompt: str | None = None
    skills: tuple[str, ...] = ()
    script: str | None = None
    """A file in the home's `scripts`."""
    no_agent: bool = False
    deliver: str | None = None
    repeat: int | None = None

    def arguments(self) -> list[str]:
        line = ["cron", "create", self.schedule]
        line += [self.prompt] if self.prompt is not None else []
        line += ["--name", self.name]
        for skill in self.skills:
            line += ["--skill", skill]
        line += ["--script", self.script] if self.script else []
        line += ["--no-agent"] if self.no_agent else []
        line += ["--deliver", self.deliver] if self.deliver else []
        line += ["--repeat", str(self.repeat)] if self.repeat is not None else []
        return line


@dataclass(frozen=True, slots=True, kw_only=True)
class HermesHome:
    """One HERMES_HOME and the Hermes that works in it."""

    path: Path
    hermes: Hermes
    environment: Mapping[str, str]
    """Added to the otherwise clean environment of every command; OTEL_* for instance."""

    @classmethod
    def make(
        cls,
        path: Path,
        hermes: Hermes,
        *,
        model_url: str,
        plugins: Sequence[str] = (PLUGIN,),
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """A fresh home in the folder `path`, which must not exist yet."""
        path.mkdir(parents=True)
        for folder in ("scripts", "skills"):
            (path / folder).mkdir()
        home = cls(path=path, hermes=hermes, environment=environment or {})
        home.configure(
            {
                "model": {
                    "default": PRICED_MODEL,
                    "provider": "custom",
                    "base_url": model_url,
                    "api_key": "sk-not-a-real-key",
                },
                "plugins": {"enabled": list(plugins)},
                "agent": {"api_max_retries": 2, "max_turns": 6},
                "delegation": {"max_iterations": 5},
                # Otherwise the first agent run installs a package, and the first terminal
                # command downloads a scanner.
                "security": {"allow_lazy_installs": False, "tirith_enabled": False},
            }
        )
        return home

    def copy_to(
        self,
        path: Path,
        *,
        model_url: str,
        hermes: Hermes | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> HermesHome:
        """The same home, jobs and all, once more: `hermes cron create` takes 0.5 s a job."""
        shutil.copytree(self.path, path)
        home = HermesHome(
            path=path,
            hermes=hermes or self.hermes,
            environment=self.environment if environment is None else environment,
        )
        home.configure({"model": {"base_url": model_url}})
        return home

    # Set-up

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Merge `changes` into config.yaml, key by key."""
        path = self.path / "config.yaml"
        config: dict[str, Any] = yaml.safe_load(path.read_text()) if path.exists() else {}
        path.write_text(yaml.safe_dump(_merged(config, changes)))

    def add_script(self, name: str, text: str) -> None:
        (self.path / "scripts" / name).write_text(text)

    def add_skill(self, name: str, instructions: str) -> None:
        folder = self.path / "skills" / name
        folder.mkdir()
        (folder / "SKILL.md").write_text(
            f"---\nname: {name}\ndescription: {name} for a cron job\nversion: 1.0.0\n---\n"
            f"{instructions}\n"
        )

    def create_state_db(self) -> None:
        """Make state.db, as the first session of a home does.

        Where two sessions of a new home begin at once, Hermes's own race for making the file leaves one of
        them without a row ("database is locked"). A test that is not about that race makes it first.
        """
        self.run("-c", "from hermes_state import SessionDB; SessionDB().close()", program="python")

    def create_job(self, spec: JobSpec) -> str:
        """The id of the new job."""
        output = _ESCAPES.sub("", self.run(*spec.arguments()).stdout)
        found = _JOB_ID.search(output)
        if not found:
            raise AssertionError(f"no job id in what `hermes cron create` printed:\n{output}")
        return found[1]

    def edit_job(self, job_id: str, changes: Mapping[str, Any]) -> None:
        """Change fields of a job in jobs.json."""
        with self._jobs_file() as jobs:
            for job in jobs:
                if job["id"] == job_id:
                    job.update(changes)

    def make_due(self, *job_ids: str, at: datetime | None = None) -> datetime:
        """Let jobs (all, if none is named) be due since `at`, 5 s ago; returns that time.

        A job is moved back in time as a whole, so that its schedule and its making agree with it;
        for a cron expression, `at` should be one of its times.
        """
        due = at or datetime.now().astimezone() - timedelta(seconds=5)
        with self._jobs_file() as jobs:
            for job in jobs:
                if not job_ids or job["id"] in job_ids:
                    _move_back(job, due)
        return due

    # Commands

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """All that the commands see of the environment: nothing of ours leaks in."""
        return {
            "PATH": f"{self.hermes.bin}:{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self._user_home()),
            "HERMES_HOME": str(self.path),
            "LANG": "C.UTF-8",
            "HTTP_PROXY": _NOWHERE,
            "HTTPS_PROXY": _NOWHERE,
            "NO_PROXY": "127.0.0.1,localhost",
            **self.environment,
            **(extra or {}),
        }

    def run(
        self,
        *arguments: str,
        program: str = "hermes",
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 120.0,
    ) -> subprocess.CompletedProcess[str]:
        """Run `hermes …` (or another program of its venv) to the end."""
        done = subprocess.run(
            [self.hermes.bin / program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=self.environ(env),
            cwd=self._user_home(),
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{program} {' '.join(arguments)} exited with {done.returncode}:\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def plugin(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run our own command, `cronalytics-otel …`."""
        return self.run(*arguments, program=PLUGIN, check=check)

    def tick(self, *, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """One pass of the real scheduler over what is due, and wait for all it starts."""
        return self.run("cron", "tick", env=env)

    def run_job(self, job_id: str) -> subprocess.CompletedProcess[str]:
        """`hermes cron run ID`: a manual run, in the command's own process."""
        return self.run("cron", "run", job_id)

    @contextlib.contextmanager
    def started(
        self, *arguments: str, env: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """`hermes …` in the background, in a process group of its own; ended on leaving.

        What it prints goes to `<home>/../<first argument>.out`.
        """
        with self._output_file(arguments[0]) as output:
            process = subprocess.Popen(
                [self.hermes.bin / "hermes", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environ(env),
                cwd=self._user_home(),
                start_new_session=True,
            )
            try:
                yield process
            finally:
                stop(process)

    @contextlib.contextmanager
    def gateway(self, *, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A gateway without messaging platforms, its scheduler running.

        It ticks at once and then each 60 s: make due beforehand what it shall run.
        """
        heartbeat = self.path / "cron" / "ticker_heartbeat"
        heartbeat.unlink(missing_ok=True)
        with self.started("gateway", "run", env=env) as process:
            wait_for(
                lambda: heartbeat.exists() or process.poll() is not None,
                what="the gateway's scheduler",
            )
            if process.poll() is not None:
                raise AssertionError(f"the gateway exited with {process.returncode}")
            yield process

    # What the host wrote

    def jobs(self) -> list[Row]:
        content = json.loads((self.path / "cron" / "jobs.json").read_text())
        jobs: list[Row] = content["jobs"]
        return jobs

    def executions(self) -> list[Row]:
        """The ledger, oldest first; empty before the first run."""
        return _rows(
            self.path / "cron" / "executions.db", "SELECT * FROM executions ORDER BY claimed_at"
        )

    def sessions(self) -> list[Row]:
        return _rows(self.path / "state.db", "SELECT * FROM sessions ORDER BY started_at")

    def messages(self, session_id: str) -> list[Row]:
        query = "SELECT * FROM messages WHERE session_id = ? ORDER BY id"
        return _rows(self.path / "state.db", query, session_id)

    def model_usage(self, session_id: str) -> list[Row]:
        """Empty on hosts before 0.19, which have no such table."""
        tables = "SELECT name FROM sqlite_master WHERE name = 'session_model_usage'"
        if not _rows(self.path / "state.db", tables):
            return []
        query = "SELECT * FROM session_model_usage WHERE session_id = ?"
        return _rows(self.path / "state.db", query, session_id)

    def outputs(self, job_id: str) -> list[Path]:
        """The job's files in cron/output, oldest first."""
        return sorted((self.path / "cron" / "output" / job_id).glob("*.md"))

    def log(self) -> str:
        """The host's agent.log, where plugins' loggers write too."""
        path = self.path / "logs" / "agent.log"
        return path.read_text() if path.exists() else ""

    @contextlib.contextmanager
    def _jobs_file(self) -> Iterator[list[Row]]:
        """The jobs, to be changed in place."""
        path = self.path / "cron" / "jobs.json"
        content = json.loads(path.read_text())
        yield content["jobs"]
        path.write_text(json.dumps(content, indent=2))

    def _user_home(self) -> Path:
        """HOME beside the Hermes home: nothing is written to the user's own."""
        folder = self.path.with_name(f"{self.path.name}.user")
        folder.mkdir(exist_ok=True)
        return folder

    def _output_file(self, name: str) -> IO[bytes]:
        return self.path.with_name(f"{self.path.name}.{name}.out").open("ab")


def stop(process: subprocess.Popen[bytes], *, patience_s: float = 15.0) -> None:
    """End a process that `started` made, politely first, and whatever it left behind."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """kill -9 for a process and its group: it has no chance to write anything more."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _move_back(job: Row, due: datetime) -> None:
    shift = datetime.fromisoformat(job["next_run_at"]) - due
    created = datetime.fromisoformat(job["created_at"])
    job["created_at"] = (created - max(shift, timedelta())).isoformat()
    job["next_run_at"] = due.isoformat()
    if job["schedule"]["kind"] == "once":
        job["schedule"]["run_at"] = due.isoformat()


def _rows(path: Path, query: str, *parameters: str) -> list[Row]:
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, parameters)]


def _merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(config)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result
