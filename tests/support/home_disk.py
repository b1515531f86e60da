"""A Hermes home on disk: its two databases, jobs.json, output files."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from tests.support.home_facts import Row
from tests.support.host_schema import Shape, create_ledger, create_state

LEDGER_KEEPS = 1000
"""`executions.MAX_TERMINAL_EXECUTIONS`."""
OUTPUTS_KEPT = 50

JobsShape = Literal["object", "list", "mapping"]


class HomeDisk:
    """Writes as the host does: WAL databases, files of mode 0600 that are put in place whole.

    Rows are given as mappings; columns and tables that this home's host lacks are left out.
    """

    def __init__(
        self, path: Path, *, shape: Shape, jobs_shape: JobsShape, with_ledger: bool
    ) -> None:
        self.path = path
        self.shape = shape
        self.jobs_shape = jobs_shape
        self.with_ledger = with_ledger
        self._open: dict[Path, sqlite3.Connection] = {}
        self._titles: dict[str, int] = {}

    @property
    def state_db(self) -> Path:
        return self.path / "state.db"

    @property
    def ledger_db(self) -> Path:
        return self.path / "cron" / "executions.db"

    @property
    def jobs_json(self) -> Path:
        return self.path / "cron" / "jobs.json"

    @contextmanager
    def writing(self, config: Mapping[str, Any]) -> Iterator[None]:
        """Make what is missing, and keep both databases open, each in one transaction."""
        for folder in (self.path, self.path / "cron", self.path / "cron" / "output"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.path / "config.yaml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
        targets = {self.state_db: create_state}
        if self.with_ledger:
            targets[self.ledger_db] = create_ledger
        with ExitStack() as stack:
            for path, create in targets.items():
                is_new = not path.exists()
                connection = sqlite3.connect(path)
                stack.callback(connection.close)
                connection.execute("PRAGMA journal_mode = WAL")
                if is_new:
                    create(connection, self.shape)
                stack.enter_context(connection)
                self._open[path] = connection
            yield
            self._open.clear()

    def database(self, table: str) -> sqlite3.Connection:
        return self._open[self.ledger_db if table == "executions" else self.state_db]

    def insert(self, table: str, row: Row) -> None:
        known = self._known(table, row)
        if known:
            names = ", ".join(known)
            marks = ", ".join("?" * len(known))
            self.database(table).execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", list(known.values())
            )

    def update(self, table: str, key: str, row: Row) -> None:
        known = self._known(table, row)
        assignments = ", ".join(f"{name} = ?" for name in known)
        self.database(table).execute(
            f"UPDATE {table} SET {assignments} WHERE id = ?", [*known.values(), key]
        )

    def _known(self, table: str, row: Row) -> Row:
        """Without the columns that this home's host does not have."""
        if table in self.shape.without_tables:
            return {}
        missing = self.shape.without_columns.get(table, ())
        return {name: value for name, value in row.items() if name not in missing}

    def prune_ledger(self, keep: int) -> None:
        self.database("executions").execute(
            "DELETE FROM executions WHERE id IN (SELECT id FROM executions "
            "WHERE status IN ('completed', 'failed', 'unknown') "
            "ORDER BY claimed_at DESC, id DESC LIMIT -1 OFFSET ?)",
            (keep,),
        )

    def prune_sessions(self, started_before: datetime) -> None:
        doomed = "SELECT id FROM sessions WHERE ended_at IS NOT NULL AND started_at < ?"
        database, at = self.database("sessions"), (started_before.timestamp(),)
        database.execute(
            f"UPDATE sessions SET parent_session_id = NULL WHERE parent_session_id IN ({doomed})",
            at,
        )
        for table in ("messages", "session_model_usage"):
            if table not in self.shape.without_tables:
                database.execute(f"DELETE FROM {table} WHERE session_id IN ({doomed})", at)
        database.execute(f"DELETE FROM sessions WHERE id IN ({doomed})", at)

    def unique_title(self, title: str) -> str:
        """As `get_next_title_in_lineage`: the minute in it may come again next year."""
        self._titles[title] = self._titles.get(title, 0) + 1
        return title if self._titles[title] == 1 else f"{title} #{self._titles[title]}"

    def save_output(self, job_id: str, finished: datetime, text: str) -> None:
        """As `jobs.save_job_output`; `finished` is in the host's zone, and becomes the file's time."""
        folder = self.path / "cron" / "output" / job_id
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / f"{finished:%Y-%m-%d_%H-%M-%S}.md"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        os.utime(path, (finished.timestamp(), finished.timestamp()))
        for old in sorted(folder.glob("*.md"), reverse=True)[OUTPUTS_KEPT:]:
            old.unlink()

    def write_jobs(self, jobs: Mapping[str, Row], updated: str) -> None:
        content: object = {"jobs": list(jobs.values()), "updated_at": updated}
        if self.jobs_shape == "list":
            content = list(jobs.values())
        elif self.jobs_shape == "mapping":
            content = dict(jobs)
        half_written = self.jobs_json.with_suffix(".tmp")
        half_written.write_text(json.dumps(content, indent=2), encoding="utf-8")
        half_written.chmod(0o600)
        half_written.replace(self.jobs_json)
