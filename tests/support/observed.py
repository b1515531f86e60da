"""Runs as the host wrote them down, and as spans that a collector received, side by side.

What a span should say is worked out here from the host's ledger, databases and jobs.json alone,
and in another way than the plugin does it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.collector import SpanDict
from tests.support.hermes import Row
from tests.support.thirteen import Thirteen


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The runs as the host wrote them down, and as spans that the collector handed on."""

    jobs: Thirteen
    jobs_before: dict[str, Row]
    """jobs.json before the first run, by job id."""
    spans: list[SpanDict]

    def job(self, key: str) -> Row:
        return self.jobs_before[self.jobs.job_ids[key]]

    def execution(self, key: str) -> Row:
        (row,) = (e for e in self.jobs.home.executions() if e["job_id"] == self.job(key)["id"])
        return row

    def family(self, key: str) -> list[Row]:
        """The run's session and all that it started, the run's first; empty without an agent."""
        rows = self.jobs.home.sessions()
        found = [row for row in rows if row["id"].startswith(f"cron_{self.job(key)['id']}_")]
        for parent in found:  # grows while it is walked: subagents of subagents
            found += [row for row in rows if row["parent_session_id"] == parent["id"]]
        return found

    def spending(self, key: str) -> list[Row]:
        """What adds up to the run: its sessions' rows, and those of auxiliary calls beside them."""
        family = self.family(key)
        usage = (row for s in family for row in self.jobs.home.model_usage(s["id"]))
        return [*family, *(row for row in usage if row["task"])]

    def root(self, key: str) -> SpanDict:
        job_id = self.job(key)["id"]
        (span,) = (s for s in roots(self.spans) if s["attributes"]["hermes.cron.job.id"] == job_id)
        return span

    def trace(self, key: str) -> list[SpanDict]:
        trace_id = self.root(key)["trace_id"]
        return [span for span in self.spans if span["trace_id"] == trace_id]

    def turns(self, session_id: str) -> list[Row]:
        """The messages without what the host says to the model between the prompt and the end.

        It does so at the turn limit, and writes that down only with the answer.
        """
        prompt, *others = self.jobs.home.messages(session_id)
        return [prompt, *(message for message in others if message["role"] != "user")]

    def agents(self, key: str) -> dict[str, SpanDict]:
        """The `invoke_agent` spans of a run by session id."""
        return {
            span["attributes"]["gen_ai.conversation.id"]: span
            for span in self.trace(key)
            if span["attributes"].get("gen_ai.operation.name") == "invoke_agent"
        }

    def children(self, parent: SpanDict) -> list[SpanDict]:
        """In the order of their ends."""
        found = [span for span in self.spans if span["parent_id"] == parent["span_id"]]
        return sorted(found, key=lambda span: (span["end_ns"], span["start_ns"]))


def roots(spans: list[SpanDict]) -> list[SpanDict]:
    return [span for span in spans if span["parent_id"] is None]


def facts(span: SpanDict, prefix: str) -> dict[str, Any]:
    """The attributes of one family, by what follows the prefix."""
    attributes = span["attributes"]
    return {n.removeprefix(prefix): v for n, v in attributes.items() if n.startswith(prefix)}


def total(rows: list[Row], column: str) -> int:
    return sum(row[column] or 0 for row in rows)


def usage_of(rows: list[Row]) -> dict[str, int]:
    """What `hermes.cron.usage.*` should say of these rows: input includes what came from a cache, which
    the host counts apart."""
    read, written = total(rows, "cache_read_tokens"), total(rows, "cache_write_tokens")
    sent = total(rows, "input_tokens") + read + written
    received = total(rows, "output_tokens")
    return {
        "input_tokens": sent,
        "output_tokens": received,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "reasoning_tokens": total(rows, "reasoning_tokens"),
        "total_tokens": sent + received,
    }


def step(span: SpanDict) -> dict[str, Any]:
    """All that a step tells but its ids, and its usage and cost, which have tests of their own."""
    attributes = span["attributes"].items()
    attributes_of_step = {
        name: value
        for name, value in attributes
        if not name.startswith(("gen_ai.usage.", "hermes.cron.step.cost"))
    }
    return {
        **{name: span[name] for name in ("name", "kind", "start_ns", "end_ns")},
        **{name: span[name] for name in ("status", "status_message")},
        "attributes": attributes_of_step,
    }


def expected_steps(observed: Observed, session: Row) -> list[dict[str, Any]]:
    """One for each answer and each result of a tool, from the message before it to its own."""
    called = {
        call["id"]: call["function"]["name"]
        for message in observed.turns(session["id"])
        for call in json.loads(message["tool_calls"] or "[]")
    }
    return [
        {
            **_expected_step(message, session, called),
            "start_ns": near(before["timestamp"]),
            "end_ns": near(message["timestamp"]),
            "status": "unset",
            "status_message": "",
        }
        for before, message in pairwise(observed.turns(session["id"]))
    ]


def _expected_step(message: Row, session: Row, called: dict[str, str]) -> dict[str, Any]:
    if message["role"] == "assistant":
        reason = message["finish_reason"]
        return {
            "name": f"chat {session['model']}",
            "kind": "client",
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.conversation.id": session["id"],
                "gen_ai.request.model": session["model"],
                "gen_ai.provider.name": session["billing_provider"],
                "gen_ai.agent.name": agent_name(session),
                "server.address": urlsplit(session["billing_base_url"]).hostname,
                **({"gen_ai.response.finish_reasons": [reason]} if reason else {}),
            },
        }
    return {
        # Hermes 0.13 leaves `tool_name` of the result empty.
        "name": f"execute_tool {called[message['tool_call_id']]}",
        "kind": "internal",
        "attributes": {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.conversation.id": session["id"],
            "gen_ai.agent.name": agent_name(session),
            "gen_ai.tool.name": called[message["tool_call_id"]],
            "gen_ai.tool.call.id": message["tool_call_id"],
        },
    }


def agent_name(session: Row) -> str:
    return "hermes" if session["parent_session_id"] is None else "subagent"


def near(epoch_s: float) -> Any:
    """The host's floating-point seconds as nanoseconds; they are good for a quarter of a µs."""
    return pytest.approx(epoch_s * 1e9, rel=0, abs=1000)


def iso_utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso_ns(text: str) -> int:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (datetime.fromisoformat(text) - epoch) // timedelta(microseconds=1) * 1000


def time_of(role: str, messages: list[Row]) -> float:
    """Seconds before the messages of one role, added up."""
    spans = [
        (before["timestamp"], message["timestamp"])
        for before, message in pairwise(messages)
        if message["role"] == role
    ]
    return float(sum(end - start for start, end in spans))


def seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
