"""A person who goes on with the session of a run, as `hermes chat --resume` writes it."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.support.homes import BuiltRun, HomeBuilder

QUESTION = "Between us: what does the contract pay?"
REPLY = "It pays 4,000 a month."

_ADDED = (
    "UPDATE {table} SET input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, "
    "api_call_count = api_call_count + 1, estimated_cost_usd = estimated_cost_usd + ?{also} "
    "WHERE {key} = ?"
)


def resume(
    home: HomeBuilder,
    run: BuiltRun,
    at: datetime,
    *,
    model: str = "fake-model",
    closed: bool = True,
    asks: bool = True,
) -> None:
    """Open the run's session again at `at`, ask one question in it, and close it if `closed`.

    With another `model` than the run's, the host keeps the chat's usage apart from that of the run.
    """
    session_id = run.expected.session_id or ""

    def write() -> None:
        sessions = home.disk.database("sessions")
        sessions.execute(
            "UPDATE sessions SET ended_at = NULL, end_reason = NULL WHERE id = ?", (session_id,)
        )
        if asks:
            _ask(home, session_id, at, model)
        if closed:
            sessions.execute(
                "UPDATE sessions SET ended_at = ?, end_reason = 'cli_close' WHERE id = ?",
                ((at + timedelta(minutes=5)).timestamp(), session_id),
            )

    home.do(write)


def _ask(home: HomeBuilder, session_id: str, at: datetime, model: str) -> None:
    answered = at + timedelta(seconds=8)
    for moment, role, content, reason in (
        (at, "user", QUESTION, None),
        (answered, "assistant", REPLY, "stop"),
    ):
        row = {"session_id": session_id, "role": role, "content": content, "finish_reason": reason}
        home.disk.insert("messages", {**row, "timestamp": moment.timestamp()})
    home.disk.database("sessions").execute(
        _ADDED.format(table="sessions", also="", key="id"), (7_000, 300, 0.5, session_id)
    )
    if "session_model_usage" in home.disk.shape.without_tables:
        return
    usage = home.disk.database("session_model_usage")
    usage.execute(
        "INSERT OR IGNORE INTO session_model_usage (session_id, model, billing_provider, "
        "billing_base_url, first_seen) SELECT id, ?, billing_provider, billing_base_url, ? "
        "FROM sessions WHERE id = ?",
        (model, answered.timestamp(), session_id),
    )
    usage.execute(
        _ADDED.format(
            table="session_model_usage", also=", last_seen = ?", key="model = ? AND session_id"
        ),
        (7_000, 300, 0.5, answered.timestamp(), model, session_id),
    )
