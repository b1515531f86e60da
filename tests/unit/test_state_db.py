"""Sessions, usage and messages out of a `state.db` with the host's own tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from cronalytics_otel.host import prompts, state_db
from cronalytics_otel.host.sqlite import (
    HostBusyError,
    HostCorruptError,
    HostDataError,
    HostSchemaError,
    reading,
)
from cronalytics_otel.host.state_db import CHUNK, CRON_SESSION, StateReader
from cronalytics_otel.model import (
    Conversation,
    CostStatus,
    Prompt,
    Session,
    ToolCall,
    Usage,
    Watermark,
)
from tests.support.host_schema import STATE_INDEXES, STATE_TABLES

NS = 1_000_000_000


class Database:
    """A state.db at `path`, written with plain SQL."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.script(STATE_TABLES + STATE_INDEXES)

    def script(self, sql: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.executescript(sql)

    def insert(self, table: str, **columns: Any) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) "
                f"VALUES ({', '.join('?' * len(columns))})",
                list(columns.values()),
            )

    def session(self, session_id: str, started_at: object = 100.0, **columns: Any) -> None:
        self.insert("sessions", **{"id": session_id, "source": "cron", "started_at": started_at, **columns})  # fmt: skip

    def message(self, session_id: str, role: str, at: float, content: str | None = "", **columns: Any) -> None:  # fmt: skip
        self.insert("messages", session_id=session_id, role=role, timestamp=at, content=content, **columns)  # fmt: skip

    @contextmanager
    def reader(self) -> Iterator[StateReader]:
        with reading(self.path) as connection:
            yield StateReader(connection, self.path)

    def one(self, session_id: str) -> Session:
        with self.reader() as reader:
            (found,) = reader.sessions([session_id])
        return found

    def conversation(self, session_id: str) -> Conversation:
        with self.reader() as reader:
            return reader.conversations([session_id])[session_id]


@pytest.fixture
def db(tmp_path: Path) -> Database:
    return Database(tmp_path / "state.db")


# A row becomes a session.


@pytest.mark.parametrize(
    ("session_id", "job_id"),
    [
        ("cron_0123456789ab_20260504_090002", "0123456789ab"),
        ("cron_old_style_id_20260504_090002", "old_style_id"),
        ("cron_20260504_090002_20260504_090003", "20260504_090002"),
        ("cron_x_20260504_0900", None),
        ("20260504_090002_a1b2c3", None),
        ("cron__20260504_090002", None),
        ("my_cron_x_20260504_090002", None),
    ],
)
def test_the_job_is_read_from_the_right_of_the_session_id(
    session_id: str, job_id: str | None
) -> None:
    match = CRON_SESSION.match(session_id)
    assert (match["job"] if match else None) == job_id


def test_a_session_row_with_all_its_facts(db: Database) -> None:
    db.session(
        "cron_j1_20260504_090002", 100.000001, ended_at=119.5, title="digest", model="small",
        billing_provider="acme", tool_call_count=3, api_call_count=4, input_tokens=100,
        output_tokens=10, cache_read_tokens=5, cache_write_tokens=2, reasoning_tokens=4,
        estimated_cost_usd=0.5, cost_status="estimated", source="whatever an owner set",
    )  # fmt: skip

    found = db.one("cron_j1_20260504_090002")
    assert (found.job_id, found.parent_id, found.is_subagent) == ("j1", None, False)
    assert (found.started_ns, found.ended_ns) == (100_000_001_000, 119_500_000_000)
    assert (found.title, found.tool_calls, found.last_message) == ("digest", 3, None)
    spending = found.model_usage
    assert spending.usage == Usage(
        input_tokens=107, output_tokens=10, cache_read_tokens=5, cache_write_tokens=2,
        reasoning_tokens=4,
    )  # fmt: skip
    assert (spending.model, spending.provider, spending.api_calls) == ("small", "acme", 4)
    assert (spending.cost_usd, spending.cost_status) == (0.5, CostStatus.ESTIMATED)


@pytest.mark.parametrize(
    ("estimated", "actual", "status", "cost", "known"),
    [
        (None, None, None, None, None),
        (0.0, None, "unknown", None, CostStatus.UNKNOWN),
        (0.0, None, None, None, None),
        (0.0, None, "estimated", 0.0, CostStatus.ESTIMATED),
        (0.5, None, "estimated", 0.5, CostStatus.ESTIMATED),
        (0.5, None, None, 0.5, CostStatus.ESTIMATED),
        (0.0, None, "included", 0.0, CostStatus.INCLUDED),
        (0.5, 0.4, "actual", 0.4, CostStatus.ACTUAL),
        (0.5, 0.4, "estimated", 0.4, CostStatus.ACTUAL),
        (0.5, 0.0, "estimated", 0.5, CostStatus.ESTIMATED),
        (0.0, 0.0, None, None, None),
        (0.5, None, "a new word", None, CostStatus.UNKNOWN),
        ("much", "more", "estimated", None, CostStatus.UNKNOWN),
        (1e300, None, "estimated", None, CostStatus.UNKNOWN),
        (0.5, 1e300, "actual", 0.5, CostStatus.ACTUAL),
        (-5.0, None, "estimated", None, CostStatus.UNKNOWN),
        (0.5, -5.0, "estimated", 0.5, CostStatus.ESTIMATED),
    ],
)
def test_the_host_s_zero_is_a_cost_only_when_its_status_says_so(
    db: Database, estimated: object, actual: object, status: str | None, cost: float | None,
    known: CostStatus | None,
) -> None:  # fmt: skip
    db.session("cron_j_20260504_090002", estimated_cost_usd=estimated, actual_cost_usd=actual, cost_status=status)  # fmt: skip

    spending = db.one("cron_j_20260504_090002").model_usage
    assert (spending.cost_usd, spending.cost_status) == (cost, known)


@pytest.mark.parametrize("damaged", [-5, "two", float("inf"), 1e300, b"\x05"])
def test_a_damaged_number_is_unknown_and_not_0(db: Database, damaged: object) -> None:
    db.session(
        "cron_j_20260504_090002", ended_at="later", tool_call_count=damaged, api_call_count=damaged,
        input_tokens=damaged, output_tokens=1e3,
    )  # fmt: skip

    found = db.one("cron_j_20260504_090002")
    assert (found.ended_ns, found.tool_calls, found.model_usage.api_calls) == (None, None, None)
    assert found.model_usage.usage is None


def test_a_column_that_was_never_written_adds_nothing_to_the_others(db: Database) -> None:
    db.session("cron_j_20260504_090002", input_tokens=7, output_tokens=None, reasoning_tokens=None)

    assert db.one("cron_j_20260504_090002").model_usage.usage == Usage(input_tokens=7)


UNCOUNTED = (None, None, None, CostStatus.UNKNOWN)


def used(db: Database) -> tuple[object, ...]:
    found = db.one("cron_j_20260504_090002").model_usage
    return found.usage, found.api_calls, found.cost_usd, found.cost_status


@pytest.mark.parametrize(
    ("role", "content", "more"),
    [
        ("assistant", "All good.", {"finish_reason": "stop"}),
        ("assistant", "(empty)", {}),
        ("tool", "found", {"tool_call_id": "call_1"}),
    ],
)
def test_an_answer_of_a_provider_that_reports_no_usage_cost_nobody_knows_what(
    db: Database, role: str, content: str, more: dict[str, str]
) -> None:
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "user", 101.0, "Report")
    db.message("cron_j_20260504_090002", role, 105.0, content, **more)

    assert used(db) == UNCOUNTED


def test_a_session_without_an_answer_used_nothing(db: Database) -> None:
    """The first call failed, and the host put its own words in the place of an answer."""
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "user", 101.0, "Report")
    db.message("cron_j_20260504_090002", "assistant", 105.0, "I apologize, but …")

    assert used(db) == (Usage(), 0, None, None)


def test_calls_without_tokens_were_not_reported_and_did_not_cost_nothing(db: Database) -> None:
    db.session(
        "cron_j_20260504_090002", api_call_count=2, estimated_cost_usd=0.0, cost_status="estimated"
    )

    assert used(db) == (None, 2, None, CostStatus.UNKNOWN)


@pytest.mark.parametrize(("counted", "is_lower_bound"), [(1, True), (2, False)])
def test_a_summary_at_the_turn_limit_may_not_be_written(
    db: Database, counted: int, is_lower_bound: bool
) -> None:
    """Hermes 0.13 writes its request alone."""
    session = "cron_j_20260504_090002"
    db.session(session, api_call_count=counted, input_tokens=100, output_tokens=9)
    db.message(session, "user", 101.0, "Report")
    db.message(session, "assistant", 102.0, "", tool_calls="[]", finish_reason="tool_calls")
    db.message(session, "user", 104.0, prompts.TURN_LIMIT + "Please provide a final response.")

    assert db.one(session).has_uncounted_call is is_lower_bound


@pytest.mark.parametrize(("counted", "is_lower_bound"), [(1, True), (2, False)])
def test_a_summary_at_the_turn_limit_may_not_be_counted(
    db: Database, counted: int, is_lower_bound: bool
) -> None:
    session = "cron_j_20260504_090002"
    db.session(session, api_call_count=counted, input_tokens=100, output_tokens=9)
    db.message(session, "user", 101.0, "Report")
    db.message(session, "assistant", 102.0, "", tool_calls="[]", finish_reason="tool_calls")
    db.message(session, "tool", 103.0, "found")
    db.message(session, "user", 104.0, prompts.TURN_LIMIT + "Please provide a final response.")
    db.message(session, "assistant", 105.0, "A summary.")

    assert db.one(session).has_uncounted_call is is_lower_bound


def test_a_row_without_a_readable_start_is_passed_over(db: Database) -> None:
    db.session("cron_j_20260504_090002", "long ago")
    db.session("cron_j_20260504_090003")

    with db.reader() as reader:
        ids = ["cron_j_20260504_090002", "cron_j_20260504_090003"]
        assert [s.session_id for s in reader.sessions(ids)] == ids[1:]


# The last message.


def test_the_last_message_is_the_newest_by_time(db: Database) -> None:
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "assistant", 120.0, "the answer")
    db.message("cron_j_20260504_090002", "tool", 110.0, "a result that was written late")

    last = db.one("cron_j_20260504_090002").last_message
    assert last is not None
    assert (last.role, last.timestamp_ns) == ("assistant", 120 * NS)
    assert (last.head, last.tail) == ("the answer", "the answer")


def test_of_messages_of_one_moment_the_one_written_last_is_the_last(db: Database) -> None:
    """The host stamps a batch that it writes at once with one time."""
    db.session("cron_j_20260504_090002")
    for role, content in (("user", "go"), ("assistant", "calls"), ("tool", "result"), ("assistant", "end")):  # fmt: skip
        db.message("cron_j_20260504_090002", role, 120.0, content)

    last = db.one("cron_j_20260504_090002").last_message
    assert last is not None
    assert (last.role, last.head) == ("assistant", "end")
    contents = [m.content for m in db.conversation("cron_j_20260504_090002").messages]
    assert contents == ["go", "calls", "result", "end"]


def test_a_long_message_is_read_by_its_ends(db: Database) -> None:
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "assistant", 120.0, "é" * 300 + "x" * 300)

    last = db.one("cron_j_20260504_090002").last_message
    assert last is not None
    assert (last.head, last.tail) == ("é" * 200, "x" * 200)


@pytest.mark.parametrize(
    ("columns", "ends_turn"),
    [
        ({"finish_reason": "stop"}, True),
        ({"finish_reason": "stop", "tool_calls": "[]"}, True),
        ({"finish_reason": "stop", "tool_calls": '[{"id": "c"}]'}, False),
        ({"finish_reason": "length"}, False),
        ({}, False),
    ],
)
def test_a_message_with_which_the_model_came_to_its_end_is_known(
    db: Database, columns: dict[str, str], ends_turn: bool
) -> None:
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "assistant", 120.0, "the answer", **columns)

    last = db.one("cron_j_20260504_090002").last_message
    assert last is not None
    assert last.ends_turn is ends_turn


@pytest.mark.parametrize(
    ("written", "content"),
    [
        ('\0json:[{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}]',
         "Look\n[image_url]"),
        ('\0json:["a", {"text": 3}]', "a\n[part]"),
        ('\0json:{"a": 1}', '{"a": 1}'),
        ("\0json:[", "["),
        ("\0json:" + "[" * 100_000, "[" * 100_000),
        ('[{"type": "text"}]', '[{"type": "text"}]'),
    ],
    ids=["text and a picture", "odd parts", "an object", "broken", "deep", "plain"],
)  # fmt: skip
def test_of_a_message_in_parts_the_texts_are_its_content(
    db: Database, written: str, content: str
) -> None:
    """The data of a picture are no text, and are not carried along."""
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "user", 120.0, written)

    (message,) = db.conversation("cron_j_20260504_090002").messages
    assert message.content == content


# Which sessions are read.


def test_new_cron_sessions_are_those_after_the_mark_by_their_id_whatever_their_source(
    db: Database,
) -> None:
    db.session("cron_a_20260504_090002")
    db.session("20260504_090003_chat", source="cli")
    db.session("cron_b_20260504_090004", source="telegram")
    db.session("20260504_090005_child", source="cron", parent_session_id="cron_a_20260504_090002")
    db.session("cron_is_no_run_of_ours")
    db.session("cron_c_20260504_090006")

    with db.reader() as reader:
        chunks = list(reader.new_cron_sessions(1, 6))
    assert [[s.session_id for s in sessions] for sessions, _ in chunks] == [
        ["cron_b_20260504_090004", "cron_c_20260504_090006"]
    ]
    assert chunks[-1][1] == Watermark(6, "cron_c_20260504_090006")


def test_sessions_that_come_while_we_read_wait_for_the_next_time(db: Database) -> None:
    db.session("cron_a_20260504_090002")
    with db.reader() as reader:
        chunks = reader.new_cron_sessions(0, 1)
        db.session("cron_b_20260504_090004")
        assert [s.session_id for sessions, _ in chunks for s in sessions] == ["cron_a_20260504_090002"]  # fmt: skip


def test_a_long_history_comes_in_chunks_each_with_its_watermark(db: Database) -> None:
    with closing(sqlite3.connect(db.path)) as connection, connection:
        connection.executemany(
            "INSERT INTO sessions (id, source, started_at) VALUES (?, 'cron', 1)",
            ((f"cron_j_20260504_{n:06}",) for n in range(CHUNK + 3)),
        )
    with db.reader() as reader:
        chunks = list(reader.new_cron_sessions(0, 10**6))
    assert [len(sessions) for sessions, _ in chunks] == [CHUNK, 3]
    assert chunks[0][1] == Watermark(CHUNK, f"cron_j_20260504_{CHUNK - 1:06}")


def test_the_watermark_holds_only_while_its_row_has_its_id(db: Database) -> None:
    with reading(db.path) as connection:
        assert state_db.newest_row(connection) == Watermark()
    db.session("cron_a_20260504_090002")
    db.session("chat", source="cli")
    with reading(db.path) as connection:
        watermark = state_db.newest_row(connection)
        assert watermark == Watermark(2, "chat")
        assert state_db.still_holds(connection, watermark)
    db.script("DELETE FROM sessions WHERE id = 'chat'")
    with reading(db.path) as connection:
        assert not state_db.still_holds(connection, watermark)
    db.session("cron_b_20260504_090004")  # takes the number of the row that has gone
    with reading(db.path) as connection:
        assert not state_db.still_holds(connection, watermark)


def _plan(db: Database, query: str, values: tuple[object, ...]) -> str:
    with reading(db.path) as connection:
        return " / ".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values))  # fmt: skip


def _traced(db: Database, work: Any) -> list[str]:
    statements: list[str] = []
    with reading(db.path) as connection:
        reader = StateReader(connection, db.path)
        connection.set_trace_callback(statements.append)
        work(reader)
        connection.set_trace_callback(None)
    return [s for s in statements if s.startswith("SELECT")]


def test_no_query_reads_all_of_the_history(db: Database) -> None:
    """A row of the host has 7.5 KB of prompt before most columns: a scan reads gigabytes."""
    db.session("cron_a_20260504_090002")
    db.session("child", parent_session_id="cron_a_20260504_090002")

    def work(reader: StateReader) -> None:
        list(reader.new_cron_sessions(0, 99))
        list(reader.sessions(["cron_a_20260504_090002"]))
        reader.descendants(list(reader.sessions(["cron_a_20260504_090002"])))
        reader.usage.rows(list(reader.sessions(["cron_a_20260504_090002"])))
        reader.messages.last_activity_ns("cron_a_20260504_090002")
        reader.conversations(["cron_a_20260504_090002"])

    statements = _traced(db, work)
    assert len(statements) >= 8
    for statement in statements:
        plan = _plan(db, statement, ())
        assert "SCAN" not in plan, (plan, statement)
        # A session's children, and messages of one moment, are few: sorting those costs nothing.
        if "ORDER BY s.started_at" not in statement:
            assert "TEMP B-TREE FOR ORDER BY" not in plan, (plan, statement)


def test_new_sessions_are_found_by_their_row_and_their_last_message_by_its_index(
    db: Database,
) -> None:
    (statement,) = _traced(db, lambda reader: list(reader.new_cron_sessions(0, 99)))
    plan = _plan(db, statement, ())
    assert "SEARCH s USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan
    assert "SEARCH messages USING COVERING INDEX idx_messages_session" in plan


# What is below a session.


def test_descendants_are_found_by_their_parents_at_every_depth(db: Database) -> None:
    db.session("root")
    for n, parent in ((1, "root"), (2, "c1"), (3, "c2"), (4, "root")):
        db.session(f"c{n}", 100.0 + n, source="subagent", parent_session_id=parent)
    db.session("other")
    db.session("o1", source="subagent", parent_session_id="other")

    with db.reader() as reader:
        found = reader.descendants(list(reader.sessions(["root", "other", "alone"])))
    assert {root: [s.session_id for s in below] for root, below in found.items()} == {
        "root": ["c1", "c4", "c2", "c3"], "other": ["o1"],
    }  # fmt: skip


def test_sessions_that_are_each_other_s_parents_do_not_hang_us(db: Database) -> None:
    db.session("root", parent_session_id="b")
    db.session("a", parent_session_id="root")
    db.session("b", parent_session_id="a")
    db.session("self", parent_session_id="self")

    with db.reader() as reader:
        found = reader.descendants(list(reader.sessions(["root", "self"])))
        assert {r: [s.session_id for s in below] for r, below in found.items()} == {"root": ["a", "b"]}  # fmt: skip
        assert [c.session_id for c in reader.conversations(["root"])["root"].children] == ["a"]


def test_a_subagent_is_told_from_the_continuation_of_a_compressed_session(db: Database) -> None:
    """0.17 and later: source `subagent`. A continuation keeps the source of its parent."""
    db.session("root", ended_at=110.0, end_reason="compression")
    db.session("agent", source="subagent", parent_session_id="root", end_reason="agent_close")
    db.session("early", source="subagent", parent_session_id="root", started_at=109.5)
    db.session(
        "rest",
        source="cron",
        parent_session_id="root",
        end_reason="cron_complete",
        started_at=110.5,
    )

    with db.reader() as reader:
        below = {
            s.session_id: s.is_subagent
            for s in reader.descendants(list(reader.sessions(["root"])))["root"]
        }
    assert below == {"agent": True, "early": True, "rest": False}


def test_a_child_of_a_host_before_0_17_is_a_subagent_too(db: Database) -> None:
    """Its source is `cron` and it never ends; its parent did not end by compression."""
    db.session("root", ended_at=120.0, end_reason="cron_complete")
    db.session("agent", source="cron", parent_session_id="root", model_config='{"_delegate_from": "root"}')  # fmt: skip

    with db.reader() as reader:
        (child,) = reader.descendants(list(reader.sessions(["root"])))["root"]
    assert child.is_subagent


def test_usage_rows_tell_the_task_and_an_unpriced_one_has_no_cost(db: Database) -> None:
    db.session("s1")
    for task, cost, status in (("", 0.5, "estimated"), ("compression", 0.0, None), ("vision", 0.1, None)):  # fmt: skip
        db.insert(
            "session_model_usage", session_id="s1", model="small", billing_provider="acme",
            task=task, api_call_count=1, input_tokens=10, estimated_cost_usd=cost, cost_status=status,
        )  # fmt: skip

    with db.reader() as reader:
        rows = reader.usage.rows(list(reader.sessions(["s1", "s2"])))
    assert list(rows) == ["s1"]
    assert [(task, s.cost_usd, s.cost_status) for task, s in rows["s1"]] == [
        ("", 0.5, CostStatus.ESTIMATED),
        ("compression", None, None),
        ("vision", 0.1, CostStatus.ESTIMATED),
    ]


@pytest.mark.parametrize(
    ("row", "shows_more"),
    [({}, False), ({"model": "b"}, True), ({"billing_provider": "b"}, True), ({"task": "vision"}, True)],
)  # fmt: skip
def test_a_usage_row_is_given_where_it_shows_more_than_its_session(
    db: Database, row: dict[str, str], shows_more: bool
) -> None:
    db.session("s1", model="a", billing_provider="acme", input_tokens=10)
    given = {"model": "a", "billing_provider": "acme", "task": "", "input_tokens": 10, **row}
    db.insert("session_model_usage", session_id="s1", **given)

    with db.reader() as reader:
        rows = reader.usage.rows(list(reader.sessions(["s1"])))
    assert bool(rows) is shows_more


# Conversations.


@pytest.mark.parametrize(
    ("models", "named"),
    [((("a", ""), ("b", "")), None), ((("a", ""), ("b", "vision")), "a"), ((("a", ""),), "a")],
)
def test_where_several_models_answered_no_answer_is_given_to_one(
    db: Database, models: tuple[tuple[str, str], ...], named: str | None
) -> None:
    db.session("s1", model="a", billing_provider="acme", billing_base_url="https://acme.example")
    for model, task in models:
        db.insert(
            "session_model_usage", session_id="s1", model=model, billing_provider="acme", task=task
        )
    found = db.conversation("s1")
    assert (found.model, found.provider) == (named, named and "acme")
    assert found.server_address == (named and "acme.example")


@pytest.mark.parametrize(
    ("base_url", "server"),
    [
        ("https://openrouter.ai/api/v1", "openrouter.ai"),
        ("http://user:secret@LLM.example:8080/v1?key=x", "llm.example"),
        ("http://[::1]:11434", "::1"),
        ("openrouter.ai", None),
        ("http://[broken", None),
        ("", None),
        (None, None),
    ],
)
def test_a_conversation_knows_the_host_of_its_base_url_and_no_more(
    db: Database, base_url: str | None, server: str | None
) -> None:
    db.session("s1", billing_base_url=base_url)
    assert db.conversation("s1").server_address == server


@pytest.mark.parametrize(
    ("estimated", "status", "cost_usd"),
    [(0.5, "estimated", 0.5), (0.0, "included", 0.0), (0.5, "unknown", None), (None, None, None)],
)
def test_a_conversation_has_its_cost_if_all_of_it_is_known(
    db: Database, estimated: float | None, status: str | None, cost_usd: float | None
) -> None:
    db.session("s1", estimated_cost_usd=estimated, cost_status=status)
    assert db.conversation("s1").cost_usd == cost_usd


def test_a_conversation_has_its_messages_in_order_and_its_children(db: Database) -> None:
    calls = (
        '[{"id": "c1", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}]'
    )
    db.session("root", ended_at=130.0)
    db.session("child", source="subagent", parent_session_id="root")
    db.message("root", "user", 101.0, "go")
    db.message("root", "assistant", 102.0, "", tool_calls=calls, finish_reason="tool_calls")
    db.message("root", "tool", 103.0, "done", tool_call_id="c1", tool_name="terminal")
    db.message("child", "assistant", 102.5, "hi")

    found = db.conversation("root")
    assert [(m.role, m.timestamp_ns // NS, m.content) for m in found.messages] == [
        ("user", 101, "go"), ("assistant", 102, None), ("tool", 103, "done"),
    ]  # fmt: skip
    assert found.messages[1].tool_calls == (
        ToolCall(call_id="c1", name="terminal", arguments="{}"),
    )
    assert found.messages[2].tool_call_id == "c1"
    (child,) = found.children
    assert (child.session_id, child.is_subagent, len(child.messages)) == ("child", True, 1)


@pytest.mark.parametrize(("after_result_s", "known", "known_in_ledger"), [
    (0.002, False, False),
    (0.010, False, True),
    (0.030, True, True),
])  # fmt: skip
def test_a_conversation_knows_whether_its_times_are_those_of_its_steps(
    db: Database, after_result_s: float, known: bool, known_in_ledger: bool
) -> None:
    """An answer right after a result was written when the agent was done; a host with a ledger
    writes each message as it comes, so there only what no model could do counts."""
    calls = '[{"id": "c1", "function": {"name": "terminal", "arguments": "{}"}}]'
    db.session("root", started_at=100.0, ended_at=130.0)
    db.message("root", "user", 101.0, "go")
    db.message("root", "assistant", 102.0, "", tool_calls=calls, finish_reason="tool_calls")
    db.message("root", "tool", 110.0, "done", tool_call_id="c1")
    db.message("root", "assistant", 110.0 + after_result_s, "Done.", finish_reason="stop")

    with db.reader() as reader:
        assert reader.conversations(["root"])["root"].times_are_known is known
        found = reader.conversations(["root"], in_ledger={"root"})["root"]
    assert found.times_are_known is known_in_ledger


def asks(name: str) -> str:
    return json.dumps([{"id": name, "function": {"name": "terminal", "arguments": "{}"}}])


def test_what_is_kept_of_a_compressed_conversation_is_no_call_again(db: Database) -> None:
    """0.17 writes it into the next session, a millisecond apart, with the ids it had."""
    db.session("root", ended_at=110.0, end_reason="compression", tool_call_count=2)
    db.session("rest", parent_session_id="root", started_at=110.0, tool_call_count=3)
    for at, name in ((102.0, "c1"), (104.0, "c2")):
        db.message("root", "assistant", at, tool_calls=asks(name), finish_reason="tool_calls")
        db.message("root", "tool", at + 1, "out", tool_call_id=name)
    db.message("rest", "user", 110.001, "So far …")
    db.message("rest", "assistant", 110.002, tool_calls=asks("c2"), finish_reason="tool_calls")
    db.message("rest", "tool", 110.003, "out", tool_call_id="c2")
    # A model may give an id again.
    for at, name in ((112.0, "c3"), (114.0, "c1")):
        db.message("rest", "assistant", at, tool_calls=asks(name), finish_reason="tool_calls")

    (rest,) = db.conversation("root").children
    assert [m.is_copy for m in rest.messages if m.role == "assistant"] == [True, False, False]
    with db.reader() as reader:
        roots = list(reader.sessions(["root"]))
        assert reader.tool_calls(roots, reader.descendants(roots)) == {"root": 2, "rest": 2}


def test_where_nothing_was_compressed_the_host_s_own_count_holds(db: Database) -> None:
    db.session("root", ended_at=110.0, tool_call_count=7)
    db.session("agent", source="subagent", parent_session_id="root")
    db.message("root", "assistant", 102.0, tool_calls=asks("c1"))
    with db.reader() as reader:
        roots = list(reader.sessions(["root"]))
        assert reader.tool_calls(roots, reader.descendants(roots)) == {}


@pytest.mark.parametrize(
    "text", ["", "no json", "{}", "[7, null, {}]", '[{"function": "terminal"}]', '"x"', "null"]
)
def test_tool_calls_in_another_shape_are_passed_over(db: Database, text: str) -> None:
    db.session("root")
    db.message("root", "assistant", 101.0, "x", tool_calls=text)

    (message,) = db.conversation("root").messages
    assert message.tool_calls == ()


def test_a_session_that_the_host_has_pruned_has_no_conversation(db: Database) -> None:
    with db.reader() as reader:
        assert reader.conversations(["gone"]) == {}


def test_more_sessions_than_sqlite_takes_parameters_are_read(db: Database) -> None:
    ids = [f"cron_j_20260504_{n:06}" for n in range(1_200)]
    with closing(sqlite3.connect(db.path)) as connection, connection:
        connection.executemany(
            "INSERT INTO sessions (id, source, started_at) VALUES (?, 'cron', 1)",
            ((i,) for i in ids),
        )
    with db.reader() as reader:
        assert len(list(reader.sessions(ids))) == 1_200
        assert len(reader.conversations(ids)) == 1_200


# Other versions, and faults.


def test_a_host_with_few_columns_is_read_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(
            "CREATE TABLE sessions (id TEXT PRIMARY KEY, started_at REAL);"
            "INSERT INTO sessions VALUES ('cron_j_20260504_090002', 100.0);"
        )
    with reading(path) as connection:
        reader = StateReader(connection, path)
        ((sessions, _),) = reader.new_cron_sessions(0, 99)
        assert sessions[0].model_usage.usage is None
        assert reader.descendants([sessions[0]]) == {}
        assert reader.usage.rows(sessions) == {}
        assert reader.messages.last_activity_ns(sessions[0].session_id) is None
        (conversation,) = reader.conversations([sessions[0].session_id]).values()
        assert conversation.messages == ()


def test_a_host_without_what_is_needed_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE sessions (id TEXT)")
    with pytest.raises(HostSchemaError, match="sessions lacks columns started_at"), reading(path) as c:  # fmt: skip
        StateReader(c, path)


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(HostCorruptError, match=rf"{path} is damaged"), reading(path) as connection:
        connection.execute("SELECT * FROM sessions")


def test_a_missing_file_cannot_be_read_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with pytest.raises(HostDataError, match="cannot be read"), reading(path) as connection:
        connection.execute("SELECT 1")
    assert not path.exists()


def test_a_locked_database_is_met_again(db: Database) -> None:
    with closing(sqlite3.connect(db.path, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HostBusyError, match="next sync"), db.reader() as reader:
            list(reader.sessions(["x"]))


def test_nothing_can_be_written_through_a_reading_connection(db: Database) -> None:
    with pytest.raises(HostDataError, match="readonly"), reading(db.path) as connection:
        connection.execute("DELETE FROM sessions")


def test_a_name_with_special_characters_is_a_plain_file_name(tmp_path: Path) -> None:
    folder = tmp_path / "50% #1? ünïcode"
    folder.mkdir()
    db = Database(folder / "state.db")
    db.session("s1")
    assert db.one("s1").session_id == "s1"


# What the host told the agent had gone wrong before it began.

HINT = "[IMPORTANT: You are running as a scheduled cron job. … say [SILENT] and nothing more.]\n\n"
NOTICE = (
    "[IMPORTANT: The following skill(s) were listed for this job but could not be found and were "
    "skipped: notes, v1.2 rules. Start your response with a brief notice so the user is aware, "
    "e.g.: '⚠️ Skill(s) not found and skipped: notes, v1.2 rules']\n"
)
FAULT = (
    "## Script Error\nThe data-collection script failed. Report this to the user.\n\n"
    "```\nScript exited with code 3\nstderr:\nno disk\n```\n\nSum up"
)
OTHER_JOB = "## Output from job '0123456789ab'\nThe following is …\n\n```\nall well\n```\n\n"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (NOTICE + HINT + "Write", Prompt(missing_skills="notes, v1.2 rules")),
        (
            HINT + FAULT,
            Prompt(script_ran=True, script_error="Script exited with code 3\nstderr:\nno disk"),
        ),
        (
            HINT + OTHER_JOB + FAULT,
            Prompt(script_ran=True, script_error="Script exited with code 3\nstderr:\nno disk"),
        ),
        (
            "a skill\n" * 5_000 + HINT + FAULT,
            Prompt(script_ran=True, script_error="Script exited with code 3\nstderr:\nno disk"),
        ),
        (HINT + "Write", Prompt()),
        (HINT + "My colleague wrote: " + NOTICE, Prompt()),
        (HINT + "Explain what this means: " + FAULT, Prompt()),
        ("", Prompt()),
    ],
)
def test_what_went_wrong_before_the_agent_is_where_the_host_writes_it(
    db: Database, prompt: str, expected: Prompt
) -> None:
    db.session("cron_j_20260504_090002")
    db.message("cron_j_20260504_090002", "user", 1.0, prompt)
    db.message("cron_j_20260504_090002", "user", 2.0, NOTICE)

    with db.reader() as reader:
        found = reader.messages.prompts(["cron_j_20260504_090002", "gone"])
    assert found == {"cron_j_20260504_090002": expected}
