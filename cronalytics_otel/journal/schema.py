"""The tables of the journal, as migrations that are applied in order and recorded by name.

A migration that was released is never changed: another one follows it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache

M0001 = """
CREATE TABLE fact (              -- single values; facts.py declares each
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL            -- JSON
) WITHOUT ROWID;

CREATE TABLE job (               -- each definition of a job, from when it was first seen so
  job_id TEXT NOT NULL,
  seen_ns INTEGER NOT NULL,
  definition TEXT NOT NULL,      -- JSON of Job
  PRIMARY KEY (job_id, seen_ns)
) WITHOUT ROWID;

CREATE TABLE due (               -- next_run_at as the host had it: what a run was due for
  job_id TEXT NOT NULL,
  due_ns INTEGER NOT NULL,
  PRIMARY KEY (job_id, due_ns)
) WITHOUT ROWID;

CREATE TABLE open_row (          -- rows of the host that were not final when they were read
  kind TEXT NOT NULL,            -- OpenKind
  id TEXT NOT NULL,
  seen_ns INTEGER NOT NULL,      -- when the row was first seen open
  PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE resource (          -- what runs became final with: versions, host, instance
  id INTEGER PRIMARY KEY,
  data TEXT NOT NULL UNIQUE      -- JSON of Resource
);

CREATE TABLE run (               -- one row per final run; never changed
  id INTEGER PRIMARY KEY,
  resource_id INTEGER REFERENCES resource (id),
  profile TEXT NOT NULL,
  job_id TEXT NOT NULL,
  job_name TEXT NOT NULL,
  mode TEXT,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  outcome_source TEXT NOT NULL,
  execution_id TEXT,
  session_id TEXT,
  trigger TEXT,
  schedule_kind TEXT,
  schedule_expression TEXT,
  schedule_timezone TEXT,
  skills TEXT,                   -- JSON list
  scheduled_ns INTEGER,
  claimed_ns INTEGER,
  error_type TEXT,
  error_message TEXT,
  model TEXT,
  provider TEXT,
  declared_model TEXT,
  input_tokens INTEGER,          -- the five token counts are all known or all unknown
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
  delivery_error TEXT,
  script_exit_code INTEGER,
  script_ended_ns INTEGER,
  skip_reason TEXT,
  fed_by TEXT,                   -- JSON list of Feed
  model_usage TEXT,              -- JSON list of ModelUsage, where several models had a part
  missed_count INTEGER,
  scheduler_down INTEGER,
  over_budget INTEGER
);
CREATE UNIQUE INDEX run_by_execution ON run (execution_id) WHERE execution_id IS NOT NULL;
CREATE UNIQUE INDEX run_by_session ON run (session_id) WHERE session_id IS NOT NULL;
CREATE INDEX run_by_job ON run (job_id, started_ns, ended_ns, outcome);
CREATE INDEX run_without_session ON run (job_id, started_ns) WHERE session_id IS NULL;
CREATE INDEX run_by_end ON run (ended_ns);

CREATE TABLE run_group (         -- what `day_runs` tells apart
  id INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL,
  outcome TEXT NOT NULL,
  trigger TEXT NOT NULL,         -- '' means unknown, here and in the next one
  mode TEXT NOT NULL,
  UNIQUE (job_id, outcome, trigger, mode)
);

CREATE TABLE day_runs (          -- sums of `run` by the day of the end; figures.py computes them
  group_id INTEGER NOT NULL REFERENCES run_group (id),
  day INTEGER NOT NULL,          -- days since 1970-01-01 on the calendar of the home's zone
  runs INTEGER NOT NULL,
  occurrences INTEGER NOT NULL,  -- a missed run stands for several
  timed_runs INTEGER NOT NULL,   -- with a known duration
  duration_s REAL NOT NULL,
  priced_runs INTEGER NOT NULL,  -- with a known cost, or certainly without any
  cost_usd REAL NOT NULL,
  cost_usd_squared REAL NOT NULL, -- the sum of the squares, for the spread
  unpriced_runs INTEGER NOT NULL, -- with a cost that is unknown
  partial_runs INTEGER NOT NULL, -- with a cost that is a lower bound
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  PRIMARY KEY (group_id, day)    -- sums over days need no sorting
) WITHOUT ROWID;

CREATE TABLE usage_group (       -- what `day_usage` tells apart
  id INTEGER PRIMARY KEY,
  job_id TEXT NOT NULL,
  model TEXT NOT NULL,           -- '' means unknown, here and in the next two
  provider TEXT NOT NULL,
  cost_status TEXT NOT NULL,
  UNIQUE (job_id, model, provider, cost_status)
);

CREATE TABLE day_usage (         -- sums of the models' parts in the runs, by the day of the run's end
  group_id INTEGER NOT NULL REFERENCES usage_group (id),
  day INTEGER NOT NULL,
  runs INTEGER NOT NULL,         -- a run counts once for each of its models
  api_calls INTEGER NOT NULL,
  cost_usd REAL NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  reasoning_tokens INTEGER NOT NULL,
  PRIMARY KEY (group_id, day)
) WITHOUT ROWID;

CREATE TABLE metric_series (     -- the series of the metrics; changed only when a run becomes final
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,            -- SeriesKind
  job_id TEXT NOT NULL,          -- '' for none; 'once' and 'other' stand for several jobs
  job_name TEXT NOT NULL,
  labels TEXT NOT NULL,          -- JSON list of the values of its other attributes
  in_other INTEGER NOT NULL,     -- beyond the limit: 'other' counts it, and this row is never sent
  start_ns INTEGER,              -- NULL until the first collection
  value REAL NOT NULL,           -- the counter, or the sum of the histogram's values
  buckets TEXT,                  -- JSON list; NULL for a counter
  added_ns INTEGER NOT NULL,     -- when something was last added
  UNIQUE (kind, job_id, job_name, labels)
);

CREATE TABLE metric_destination ( -- how far a destination has the metrics
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  endpoint TEXT NOT NULL,        -- without secrets
  active INTEGER NOT NULL,       -- still in the settings
  temporality TEXT NOT NULL,     -- Temporality
  requested_ns INTEGER,          -- when the newest request was made, by the clock
  request_ns INTEGER,            -- the time of the points in it
  request_series_id INTEGER,     -- the newest series then
  request_run_id INTEGER,        -- the newest run then
  request_points INTEGER NOT NULL DEFAULT 0,
  request BLOB,                  -- the request itself: deltas that have no receipt yet
  received_ns INTEGER,           -- the same three of the newest request that it accepted
  received_series_id INTEGER,
  received_run_id INTEGER NOT NULL DEFAULT 0,
  last_receipt_ns INTEGER,
  delivered_points INTEGER NOT NULL DEFAULT 0,
  refused_points INTEGER NOT NULL DEFAULT 0,
  refused_reason TEXT,
  not_served INTEGER NOT NULL DEFAULT 0, -- it has no endpoint for metrics
  failures INTEGER NOT NULL DEFAULT 0,   -- in a row
  failing_since_ns INTEGER,
  next_try_ns INTEGER,
  asked_to_wait INTEGER NOT NULL DEFAULT 0,
  timed_out INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  fault TEXT                     -- DestinationFault
);

CREATE TABLE metric_delta (      -- what a destination with delta temporality has of each series
  destination_id INTEGER NOT NULL REFERENCES metric_destination (id),
  series_id INTEGER NOT NULL REFERENCES metric_series (id),
  received_value REAL NOT NULL,
  received_buckets TEXT,
  requested_value REAL NOT NULL, -- what it will have with the receipt of the request
  requested_buckets TEXT,
  PRIMARY KEY (destination_id, series_id)
) WITHOUT ROWID;

CREATE TABLE observation (       -- what hooks saw of the calls of a run
  id INTEGER PRIMARY KEY,
  root_id TEXT NOT NULL,         -- the run's session
  session_id TEXT NOT NULL,      -- that session, or a subagent's
  data TEXT NOT NULL             -- JSON of Observation, with its kind
);
CREATE INDEX observation_by_root ON observation (root_id);

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
  next_try_ns INTEGER,
  asked_to_wait INTEGER NOT NULL DEFAULT 0, -- next_try_ns is the server's own Retry-After
  timed_out INTEGER NOT NULL DEFAULT 0,     -- did not answer the last request in time
  last_error TEXT,
  fault TEXT                     -- DestinationFault, where the last request shows one
);

CREATE TABLE outbox (            -- what a destination has not acknowledged, oldest run first
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  ended_ns INTEGER NOT NULL,     -- of the run
  run_id INTEGER NOT NULL REFERENCES run (id),
  enqueued_ns INTEGER NOT NULL,
  doubted_ns INTEGER,            -- when the run alone was not taken, by its own fault or the server's
  doubted_tries INTEGER NOT NULL DEFAULT 0, -- how often that was so again, each time after another run was taken
  next_try_ns INTEGER,           -- when it is tried again; NULL while it is not in doubt
  PRIMARY KEY (destination_id, ended_ns, run_id)
) WITHOUT ROWID;
CREATE INDEX outbox_in_doubt ON outbox (destination_id, next_try_ns) WHERE doubted_ns IS NOT NULL;

CREATE TABLE refused (           -- what a destination will never take
  destination_id INTEGER NOT NULL REFERENCES destination (id),
  run_id INTEGER NOT NULL REFERENCES run (id),
  refused_ns INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (destination_id, run_id)
) WITHOUT ROWID;

CREATE TABLE notice_target (     -- a target of `notify`, by its name in the settings
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL,         -- without secrets
  active INTEGER NOT NULL,       -- still in the settings
  since_ns INTEGER NOT NULL,     -- runs that ended before are not reported
  decided_up_to INTEGER NOT NULL, -- of runs with a greater id it is not decided yet what is reported
  delivered INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0,
  given_up INTEGER NOT NULL DEFAULT 0,
  found_late INTEGER NOT NULL DEFAULT 0, -- notices that were not sent, because their runs were found too late
  last_receipt_ns INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,   -- the rest is as in `destination`
  failing_since_ns INTEGER,
  next_try_ns INTEGER,
  asked_to_wait INTEGER NOT NULL DEFAULT 0,
  timed_out INTEGER NOT NULL DEFAULT 0,
  last_error TEXT,
  fault TEXT
);

CREATE TABLE notice (            -- what a target has not acknowledged yet
  id INTEGER PRIMARY KEY,
  target_id INTEGER NOT NULL REFERENCES notice_target (id),
  event TEXT NOT NULL,           -- NoticeEvent
  key TEXT NOT NULL,             -- what it is about
  job_id TEXT NOT NULL,
  job_name TEXT NOT NULL,        -- masked, as is the text
  at_ns INTEGER NOT NULL,
  text TEXT NOT NULL,
  occurrences INTEGER NOT NULL,  -- how many it stands for
  enqueued_ns INTEGER NOT NULL,
  sent_ns INTEGER,               -- set where the row must stay, so that no other is written while it lasts
  UNIQUE (target_id, event, key)
);
"""


def m0001_first(connection: sqlite3.Connection) -> None:
    _execute(connection, M0001)


def _execute(connection: sqlite3.Connection, script: str) -> None:
    """Run a script statement by statement: `executescript` would commit the migration's
    transaction."""
    for statement in script.split(";\n"):
        if statement.strip():
            connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (m0001_first,)


def is_of_development(connection: sqlite3.Connection) -> bool:
    """Return whether a version from before the first release wrote this journal: its first migration
    made other tables."""
    names = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if "migration" not in names or "run_group" in names:
        return False
    return _is_applied(connection, m0001_first.__name__)


def migrate(connection: sqlite3.Connection) -> None:
    """Apply the migrations that are missing, each with its record in one transaction."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)"
    )
    applied = {name for (name,) in connection.execute("SELECT name FROM migration")}
    for migration in MIGRATIONS:
        if migration.__name__ in applied:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Under the lock: another process may have been faster.
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


@cache
def schema_names() -> frozenset[str]:
    """Return the names of the tables and indexes that a journal has once all migrations are applied."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        migrate(connection)
        return names_in(connection)
    finally:
        connection.close()


def names_in(connection: sqlite3.Connection) -> frozenset[str]:
    """Return the names of the tables and indexes of a database."""
    return frozenset(name for (name,) in connection.execute("SELECT name FROM sqlite_master"))


def _is_applied(connection: sqlite3.Connection, name: str) -> bool:
    row = connection.execute("SELECT 1 FROM migration WHERE name = ?", (name,)).fetchone()
    return row is not None
