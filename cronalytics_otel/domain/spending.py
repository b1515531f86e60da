"""What a run spent: tokens, cost, and the model that took most of them."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import CostStatus, ModelUsage, Session, Usage
from .evidence import Evidence

_LEAST_CERTAIN_FIRST = (CostStatus.ESTIMATED, CostStatus.ACTUAL, CostStatus.INCLUDED)


def spent(evidence: Evidence) -> tuple[Usage | None, float | None, CostStatus | None]:
    """Return usage, cost in US dollars and cost status of the run's sessions and auxiliary calls.

    A session's own row has the sum of its tokens. Where several models had a part in it, its usage rows
    know more of the cost: the session's own cost status is that of the last call alone.
    """
    if evidence.session is None:
        return None, None, None
    usages: list[Usage] = []
    priced: list[ModelUsage] = []
    for session in evidence.sessions:
        rows = evidence.usage_rows.get(session.session_id, ())
        own = [usage for task, usage in rows if not task]
        auxiliary = [usage for task, usage in rows if task]
        usages += [session.spending.usage, *(a.usage for a in auxiliary)]
        priced += [*(own if len(own) > 1 else [session.spending]), *auxiliary]
    cost_usd, status = total_cost(priced)
    if cost_usd is not None and any(map(_is_unwritten, evidence.below)):
        status = CostStatus.PARTIAL
    return Usage.sum(usages), cost_usd, status


def main_model(evidence: Evidence) -> tuple[str | None, str | None]:
    """Return the model with the most tokens and its provider, or the session's own if none has any."""
    if evidence.session is None:
        return None, None
    own = evidence.session.spending
    if not evidence.below and not evidence.usage_rows.get(evidence.session.session_id):
        return own.model, own.provider
    tokens: dict[tuple[str, str | None], int] = {}
    for session in evidence.sessions:
        rows = [usage for _, usage in evidence.usage_rows.get(session.session_id, ())]
        for spending in rows or [session.spending]:
            if spending.model is not None:
                key = (spending.model, spending.provider)
                tokens[key] = tokens.get(key, 0) + spending.usage.total_tokens
    best = max(tokens.items(), key=lambda item: item[1], default=None)
    if best is None or best[1] == 0:
        return own.model, own.provider
    return best[0]


def _is_unwritten(session: Session) -> bool:
    """Return whether a subagent's row was left as it was made.

    Hermes closes its database on subagents that are still at work in the background when the run ends.
    """
    spending = session.spending
    nothing = (
        not spending.api_calls and not spending.usage.total_tokens and spending.cost_status is None
    )
    return session.is_subagent and session.ended_ns is None and nothing


def total_cost(parts: Sequence[ModelUsage]) -> tuple[float | None, CostStatus | None]:
    """Return the sum of the known costs; it is `partial` when a part that took tokens has no cost."""
    known = [(p.cost_usd, p.cost_status) for p in parts if p.cost_usd is not None]
    unknown = any(p.cost_usd is None and (p.cost_status or p.usage.total_tokens) for p in parts)
    if not known:
        return None, CostStatus.UNKNOWN if unknown else None
    cost_usd = sum(cost_usd for cost_usd, _ in known)
    statuses = {status for _, status in known}
    if unknown or CostStatus.PARTIAL in statuses:
        return cost_usd, CostStatus.PARTIAL
    least_certain = (status for status in _LEAST_CERTAIN_FIRST if status in statuses)
    return cost_usd, next(least_certain, CostStatus.ESTIMATED)
