"""The rows of one session of the host, and of the sessions that it started: pure functions."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.home_facts import (
    Auxiliary,
    Row,
    Spent,
    Subagent,
    Tokens,
    ToolUse,
)

TURN_LIMIT_PROMPT = (
    "You've reached the maximum number of tool-calling iterations allowed. Please provide a final "
    "response summarizing what you've found and accomplished so far, without calling any more "
    "tools."
)
BASE_URL = "http://127.0.0.1:18091/v1"

Insert = tuple[str, Row]
"""Table and its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPlan:
    """A session to be written; times are epoch seconds, as the host's columns are.

    `tokens` None: no call succeeded. `reply` None: it never came to an answer.
    """

    session_id: str
    source: str
    started: float
    worked: float
    ended: float | None
    prompt: str
    system_prompt: str
    model: str
    provider: str
    tokens: Tokens | None
    cost: float | None
    cost_status: str | None
    api_calls: int | None
    reply: str | None
    turn_limit: bool = False
    has_messages: bool = True
    tools: Sequence[str | ToolUse] = ()
    subagents: Sequence[Subagent] = ()
    aux_calls: Sequence[Auxiliary] = ()
    parent: str | None = None
    columns: Row = field(default_factory=dict)

    @property
    def uses(self) -> list[ToolUse]:
        """Every tool call in order; one `delegate_task` for each subagent, last."""
        plain = [tool if isinstance(tool, ToolUse) else ToolUse(name=tool) for tool in self.tools]
        return plain + [
            ToolUse(name="delegate_task", arguments={"goal": child.goal}, result='{"results": []}')
            for child in self.subagents
        ]

    @property
    def calls(self) -> int:
        """API calls that succeeded: one for each tool call and one for the answer."""
        if self.tokens is None:
            return 0
        answers = len(self.uses) + (self.reply is not None and not self.turn_limit)
        return self.api_calls or max(1, answers)

    @property
    def host_cost_status(self) -> str | None:
        if self.tokens is None:
            return None
        return self.cost_status or ("unknown" if self.cost is None else "estimated")


def children(plan: SessionPlan, new_id: Callable[[float], str]) -> list[SessionPlan]:
    """The direct subagents, each within the tool call that started it."""
    first = len(plan.tools)
    slots = list(_tool_times(plan))[first:]
    return [
        SessionPlan(
            session_id=new_id(begin),
            source="subagent",
            started=begin + (end - begin) * 0.1,
            worked=end - (end - begin) * 0.1,
            ended=end - (end - begin) * 0.05,
            prompt=child.goal,
            system_prompt=plan.system_prompt,
            model=child.model,
            provider=plan.provider,
            tokens=child.tokens,
            cost=child.cost,
            cost_status=child.cost_status,
            api_calls=None,
            reply="Fake answer: all good.",
            tools=child.tools,
            subagents=child.subagents,
            parent=plan.session_id,
        )
        for child, (begin, end) in zip(plan.subagents, slots, strict=True)
    ]


def spent(plan: SessionPlan, below: Sequence[Spent]) -> Spent:
    """Of the session, its auxiliary calls and those of `below`."""
    tokens = [t for t in (plan.tokens, *(part.tokens for part in below)) if t is not None]
    tokens += [aux.tokens for aux in plan.aux_calls]
    own = [] if plan.host_cost_status is None else [(plan.host_cost_status, plan.cost)]
    own += [("unknown" if aux.cost is None else "estimated", aux.cost) for aux in plan.aux_calls]
    return Spent(
        tokens=sum(tokens[1:], tokens[0]) if tokens else None,
        costs=(*own, *(cost for part in below for cost in part.costs)),
        # The contract counts subagents' calls; auxiliary ones are in tokens and cost alone.
        api_calls=plan.calls + sum(part.api_calls for part in below),
        tool_calls=len(plan.uses) + sum(part.tool_calls for part in below),
        sessions=1 + sum(part.sessions for part in below),
    )


def session_row(plan: SessionPlan) -> Row:
    """As it is made; tokens and end come later."""
    config: dict[str, Any] = {"max_iterations": 6, "reasoning_config": None, "max_tokens": None}
    if plan.parent:
        config["_delegate_from"] = plan.parent
    return {
        "id": plan.session_id,
        "source": plan.source,
        "model": plan.model,
        "model_config": json.dumps(config),
        "system_prompt": plan.system_prompt,
        "parent_session_id": plan.parent,
        "started_at": plan.started,
        **plan.columns,
    }


def accounted_columns(plan: SessionPlan) -> Row:
    """What the row has after the work: NULLs stay where no call succeeded."""
    counts: Row = {
        "message_count": len(messages(plan, random.Random(0))),
        "tool_call_count": len(plan.uses),
    }
    if plan.tokens is None:
        return counts
    return {
        **counts,
        **plan.tokens.columns,
        "billing_provider": plan.provider,
        "billing_base_url": BASE_URL,
        "estimated_cost_usd": plan.cost or 0.0,
        "actual_cost_usd": plan.cost if plan.cost_status == "actual" else None,
        "cost_status": plan.host_cost_status,
        "cost_source": "provider_models_api" if plan.cost else "none",
        "api_call_count": plan.calls,
    }


def usage_rows(plan: SessionPlan) -> Iterator[Insert]:
    """`session_model_usage`: the main loop, then each auxiliary task."""
    if plan.tokens is not None:
        yield _usage_row(
            plan, "", plan.model, plan.provider, plan.tokens, plan.cost, plan.calls,
            cost_status=plan.host_cost_status, base_url=BASE_URL,
        )  # fmt: skip
    for aux in plan.aux_calls:
        yield _usage_row(
            plan, aux.task, aux.model, aux.provider, aux.tokens, aux.cost, aux.calls,
            cost_status=None, base_url="",
        )  # fmt: skip


def messages(plan: SessionPlan, ids: random.Random) -> list[Insert]:
    """The conversation: prompt, each tool call and its result, the answer."""
    if not plan.has_messages:
        return []
    rows = [_message(plan, plan.started + 0.0016, "user", plan.prompt)]
    for use, (asked, answered) in zip(plan.uses, _tool_times(plan), strict=True):
        call_id = f"call_{ids.getrandbits(32):08x}"
        call = {
            "id": call_id,
            "call_id": call_id,
            "response_item_id": call_id.replace("call", "fc"),
            "type": "function",
            "function": {"name": use.name, "arguments": json.dumps(dict(use.arguments))},
        }
        rows += [
            _message(plan, asked, "assistant", "", tool_calls=json.dumps([call]),
                     finish_reason="tool_calls"),
            _message(plan, answered, "tool", use.result, tool_call_id=call_id, tool_name=use.name),
        ]  # fmt: skip
    if plan.turn_limit:
        rows.append(_message(plan, plan.worked - 0.001, "user", TURN_LIMIT_PROMPT))
    if plan.reply is not None:
        is_plain = plan.reply != "(empty)" and not plan.turn_limit
        reason = {"finish_reason": "stop"} if is_plain else {}
        rows.append(_message(plan, plan.worked, "assistant", plan.reply, **reason))
    return rows


def _tool_times(plan: SessionPlan) -> Iterator[tuple[float, float]]:
    """When the model asked for each tool, and when the tool returned."""
    share = (plan.worked - plan.started) / (2 * len(plan.uses) + 1)
    for number in range(len(plan.uses)):
        asked = plan.started + share * (2 * number + 1)
        yield asked, asked + share


def _message(
    plan: SessionPlan, timestamp: float, role: str, content: str, **columns: Any
) -> Insert:
    return "messages", {
        "session_id": plan.session_id,
        "role": role,
        "content": content,
        "timestamp": timestamp,
        **columns,
    }


def _usage_row(
    plan: SessionPlan,
    task: str,
    model: str,
    provider: str,
    tokens: Tokens,
    cost: float | None,
    calls: int,
    *,
    cost_status: str | None,
    base_url: str,
) -> Insert:
    return "session_model_usage", {
        "session_id": plan.session_id,
        "model": model,
        "billing_provider": provider,
        "billing_base_url": base_url,
        "task": task,
        "api_call_count": calls,
        **tokens.columns,
        "estimated_cost_usd": cost or 0.0,
        "cost_status": cost_status,
        "cost_source": None if cost_status is None else "provider_models_api" if cost else "none",
        "first_seen": plan.started + 0.01,
        "last_seen": plan.worked,
    }
