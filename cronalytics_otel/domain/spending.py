"""What a run spent: tokens, cost, and the model that took most of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar

from ..model import CostStatus, ModelUsage, Session, Usage
from .evidence import Evidence, UsageRows

T = TypeVar("T", int, float)


class Spent(NamedTuple):
    """What a run spent in its sessions and auxiliary calls. None means unknown."""

    model: str | None = None
    """The model with the most tokens; the session's own if none has any."""
    provider: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    cost_status: CostStatus | None = None
    parts: tuple[ModelUsage, ...] = ()
    """One for each model, provider and cost status; none where there is just one part."""
    api_calls: int | None = None
    """The calls of the conversations. Auxiliary calls are in tokens and cost alone."""


def spent(evidence: Evidence) -> Spent:
    """Return what the run's sessions and auxiliary calls spent.

    A session's own row has the sum of its tokens. Where several models had a part in it, its usage rows
    know more of the cost: the session's own cost status is that of the last call alone.
    """
    session = evidence.session
    if session is None:
        return Spent()
    own = session.model_usage
    if not evidence.descendants and session.session_id not in evidence.usage_rows:
        # Most runs have one session, of one model.
        cost = _bounded(total_cost([own]), evidence.sessions)
        return Spent(own.model, own.provider, own.usage, *cost, (), own.api_calls)
    usages: list[Usage | None] = []
    priced: list[ModelUsage] = []
    for each in evidence.sessions:
        usages.append(each.model_usage.usage)
        rows = evidence.usage_rows.get(each.session_id, ())
        if len(rows) < 2 and not any(task for task, _ in rows):
            priced.append(each.model_usage)
        else:
            _add_rows(rows, each.model_usage, usages, priced)
    cost_usd, status = _bounded(total_cost(priced), evidence.sessions)
    return Spent(
        *_main_model(evidence.sessions, evidence.usage_rows),
        usage=_sum_of_known(usages),
        cost_usd=cost_usd,
        cost_status=status,
        parts=_merged(priced) if len(priced) > 1 else (),
        api_calls=sum_known(each.model_usage.api_calls for each in evidence.sessions),
    )


def _add_rows(
    rows: Sequence[tuple[str, ModelUsage]],
    whole: ModelUsage,
    usages: list[Usage | None],
    priced: list[ModelUsage],
) -> None:
    """Add auxiliary calls, which the session's row (`whole`) lacks, and the cost by model."""
    own = [usage for task, usage in rows if not task]
    auxiliary = [usage for task, usage in rows if task]
    usages += [part.usage for part in auxiliary]
    priced += [*(own if len(own) > 1 else [whole]), *auxiliary]


def _merged(parts: Sequence[ModelUsage]) -> tuple[ModelUsage, ...]:
    """Return the parts with those of one model, provider and cost status added up, in their order."""
    groups: dict[tuple[str | None, str | None, CostStatus | None], list[ModelUsage]] = {}
    for part in parts:
        groups.setdefault((part.model, part.provider, part.cost_status), []).append(part)
    return tuple(
        ModelUsage(
            model=model,
            provider=provider,
            usage=_sum_of_known([part.usage for part in group]),
            api_calls=sum_known(part.api_calls for part in group),
            cost_usd=sum_known(part.cost_usd for part in group),
            cost_status=status,
        )
        for (model, provider, status), group in groups.items()
    )


def _sum_of_known(usages: Iterable[Usage | None]) -> Usage | None:
    known = [usage for usage in usages if usage is not None]
    return Usage.sum(known) if known else None


def sum_known(values: Iterable[T | None]) -> T | None:
    """Return the sum of what is known, None where nothing is: that is not 0."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


def _main_model(sessions: Sequence[Session], rows: UsageRows) -> tuple[str | None, str | None]:
    """Return the model with the most tokens and its provider, or the session's own if none has any."""
    parts = [
        part for session in sessions for part in _by_model(session, rows) if part.model is not None
    ]
    if not any(part.total_tokens for part in parts):
        own = sessions[0].model_usage
        return own.model, own.provider
    if len(parts) == 1:
        return parts[0].model, parts[0].provider
    tokens: dict[tuple[str | None, str | None], int] = {}
    for part in parts:
        key = (part.model, part.provider)
        tokens[key] = tokens.get(key, 0) + part.total_tokens
    return max(tokens, key=lambda key: tokens[key])


def _by_model(session: Session, rows: UsageRows) -> Sequence[ModelUsage]:
    """Return what each model had a part in, or all of the session where no row shows that."""
    return [part for _, part in rows.get(session.session_id, ())] or [session.model_usage]


Cost = tuple[float | None, CostStatus | None]


def _bounded(cost: Cost, sessions: Sequence[Session]) -> Cost:
    """Return the cost as a lower bound if one of the sessions lacks calls. A subscription covers these
    too."""
    cost_usd, status = cost
    is_complete = cost_usd is None or status is CostStatus.INCLUDED
    if is_complete or not any(s.has_uncounted_call or _is_unwritten(s) for s in sessions):
        return cost
    return cost_usd, CostStatus.PARTIAL


def _is_unwritten(session: Session) -> bool:
    """Return whether a subagent's row was left as it was made.

    Hermes closes its database on subagents that are still at work in the background when the run ends.
    """
    spending = session.model_usage
    nothing = not spending.api_calls and not spending.total_tokens and spending.cost_status is None
    return session.is_subagent and session.ended_ns is None and nothing


def total_cost(parts: Sequence[ModelUsage]) -> Cost:
    """Return the sum of the known costs; it is `partial` when a part that took tokens has no cost."""
    costs: list[float] = []
    is_partial = False
    statuses: set[CostStatus | None] = set()
    for part in parts:
        if part.cost_usd is not None:
            costs.append(part.cost_usd)
            statuses.add(part.cost_status)
        elif part.cost_status or part.total_tokens:
            is_partial = True
    if not costs:
        return None, CostStatus.UNKNOWN if is_partial else None
    if is_partial or CostStatus.PARTIAL in statuses:
        return sum(costs), CostStatus.PARTIAL
    return sum(costs), _least_certain(statuses)


def _least_certain(statuses: Collection[CostStatus | None]) -> CostStatus:
    for status in (CostStatus.ESTIMATED, CostStatus.ACTUAL, CostStatus.INCLUDED):
        if status in statuses:
            return status
    return CostStatus.ESTIMATED
