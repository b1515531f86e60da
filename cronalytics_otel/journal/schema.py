"""The journal's tables, as migrations that are applied in order and recorded by name.

A migration that was released is never changed: another one follows it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

M0001 = """
CREATE TABLE fact (              -- single values: watermarks, last sync, repairs
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE job (               -- each definition of a job, from when we first saw it so
  job_id TEXT NOT NULL,
  seen_ns INTEGER NOT NULL,
  definition TEXT NOT NULL,      -- JSON; see records.py
  PRIMARY KEY (job_id, seen_ns)
) WITHOUT ROWID;

CREATE TABLE due (               -- next_run_at as the host had it: what a run was due for
  job_id TEXT NOT NULL,
  due_ns INTEGER NOT NULL,
  PRIMARY KEY (job_id, due_ns)
) WITHOUT ROWID;

CREATE TABLE open_run (          -- rows of the host that were not final when we read them
  kind TEXT NOT NULL,            -- 'execution' or 'session'
  id TEXT NOT NULL,
  seen_ns INTEGER NOT NULL,      -- when we first saw it open
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE run (               -- one row per finished run; never changed
  id INTEGER PRIMARY KEY,
  execution_id TEXT,
  session_id TEXT,
  profile TEXT NOT NULL,
  job_id TEXT NOT NULL,
  job_name TEXT NOT NULL,
  mode TEXT,
  trigger TEXT,
  schedule_kind TEXT,
  schedule_expression TEXT,
  schedule_timezone TEXT,
  skills TEXT,                   -- JSON list
  scheduled_ns INTEGER,
  claimed_ns INTEGER,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  outcome_source TEXT NOT NULL,
  error_type TEXT,
  error_message TEXT,
  model TEXT,
  provider TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cache_read_tokens INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  cost_status TEXT,
  api_calls INTEGER,
  tool_calls INTEGER,
  subagents INTEGER,
  silent INTEGER,
  delivery_outcome TEXT,
  delivery_target TEXT,
  delivery_error TEXT
);
CREATE UNIQUE INDEX run_by_execution ON run (execution_id) WHERE execution_id IS NOT NULL;
CREATE UNIQUE INDEX run_by_session ON run (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX run_by_job ON run (job_id, started_ns);
CREATE INDEX run_without_session ON run (job_id, started_ns) WHERE session_id IS NULL;
CREATE INDEX run_by_end ON run (ended_ns);

CREATE TABLE destination (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  endpoint TEXT NOT NULL,        -- without secrets
  active INTEGER NOT NULL,       -- still in the settings
  enqueued_up_to INTEGER NOT NULL DEFAULT 0, -- runs with a greater id are not in its outbox yet
  delivered INTEGER NOT NULL DEFAULT 0,
  given_up INTEGER NOT NULL DEFAULT 0,
  last_receipt_ns INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,      -- in a row
  failing_since_ns INTEGER,
  next_attempt_ns INTEGER,
  asked_to_wait INTEGER NOT NULL DEFAULT 0, -- next_attempt_ns is the server's own Retry-After
  last_error TEXT
);

CREATE TABLE outbox (            -- what a destination has not acknowledged, oldest run first
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  ended_ns INTEGER NOT NULL,     -- of the run
  run_id INTEGER NOT NULL REFERENCES run (id),
  enqueued_ns INTEGER NOT NULL,
  PRIMARY KEY (destination_id, ended_ns, run_id)
) WITHOUT ROWID;

CREATE TABLE refused (           -- what a destination said no to, for good
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  run_id INTEGER NOT NULL REFERENCES run (id),
  refused_ns INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (destination_id, run_id)
) WITHOUT ROWID;
"""


M0002 = """
ALTER TABLE run ADD COLUMN script_exit_code INTEGER;
ALTER TABLE run ADD COLUMN script_ended_ns INTEGER;
ALTER TABLE run ADD COLUMN skip_reason TEXT;
ALTER TABLE run ADD COLUMN fed_by TEXT /* JSON: [[job id, when its output was saved], …] */;
ALTER TABLE run ADD COLUMN missed_count INTEGER;
ALTER TABLE run ADD COLUMN scheduler_down INTEGER;

CREATE TABLE detail (            -- what hooks told of the calls of a run
  id INTEGER PRIMARY KEY,
  root_id TEXT NOT NULL,         -- the run's session
  session_id TEXT NOT NULL,      -- it, or one below it
  data TEXT NOT NULL             -- JSON; see records.py
);
CREATE INDEX detail_by_root ON detail (root_id);
"""

M0003 = """
ALTER TABLE destination ADD COLUMN silent INTEGER NOT NULL DEFAULT 0 /* to the last request */;
"""


def m0001_first(connection: sqlite3.Connection) -> None:
    _execute(connection, M0001)


def m0002_whole_trace(connection: sqlite3.Connection) -> None:
    _execute(connection, M0002)


def m0003_silent_destinations(connection: sqlite3.Connection) -> None:
    _execute(connection, M0003)


def _execute(connection: sqlite3.Connection, script: str) -> None:
    """Statement by statement: `executescript` would commit the migration's transaction."""
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    m0001_first,
    m0002_whole_trace,
    m0003_silent_destinations,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Applies what is missing, each with its record in one transaction."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    applied = {name for (name,) in connection.execute("SELECT name FROM migration")}
    for migration in MIGRATIONS:
        if migration.__name__ in applied:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if not _is_applied(connection, migration.__name__):
                migration(connection)
                connection.execute(
                    "INSERT INTO migration VALUES (?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                    (migration.__name__,),
                )
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise


def _is_applied(connection: sqlite3.Connection, name: str) -> bool:
    """Asked again under the lock: another process may have been faster."""
    row = connection.execute("SELECT 1 FROM migration WHERE name = ?", (name,)).fetchone()
    return row is not None
