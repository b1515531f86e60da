"""What a run took: the sums of tokens and cost over its sessions and auxiliary calls."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import (
    CostStatus,
    ModelUsage,
    Session,
)


def _is_unheard(session: Session) -> bool:
    """Whether a subagent's row was left as it was made: 0.18 closes its database on those that are
    still at work in the background when the run ends."""
    spent = session.spending
    nothing = not spent.api_calls and not spent.usage.total_tokens and spent.cost_status is None
    return session.is_subagent and session.ended_ns is None and nothing


def total_cost(parts: Sequence[ModelUsage]) -> tuple[float | None, CostStatus | None]:
    """The sum of what is known; `partial` when a part that took tokens has no known cost."""
    known = [p for p in parts if p.cost_usd is not None]
    unknown = [p for p in parts if p.cost_usd is None and (p.cost_status or p.usage.total_tokens)]
    if not known:
        return None, CostStatus.UNKNOWN if unknown else None
    cost_usd = sum(p.cost_usd for p in known if p.cost_usd is not None)
    statuses = {p.cost_status for p in known}
    if unknown or CostStatus.PARTIAL in statuses:
        return cost_usd, CostStatus.PARTIAL
    for status in (CostStatus.ESTIMATED, CostStatus.ACTUAL, CostStatus.INCLUDED):
        if status in statuses:  # the least certain of them speaks for the sum
            return cost_usd, status
    return cost_usd, CostStatus.ESTIMATED
