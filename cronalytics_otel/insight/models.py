"""What each model took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..domain.projections import change_against
from ..journal.figures import Dimension
from ..journal.filters import RunFilter
from ..model import CostStatus, ModelAmounts, Usage
from .profiles import Profiles
from .windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFigures:
    """One model of one provider. None is an unknown name."""

    model: str | None
    provider: str | None
    runs: int
    """Runs in which it had a part; a run counts once for each cost status that its parts have."""
    api_calls: int
    cost_usd: float | None
    """The known cost; None if nothing is known of any."""
    cost_is_lower_bound: bool
    cost_share: float | None
    """Of the known cost of all models that match."""
    cost_change: float | None
    """By which part the cost changed against the prior window; None where that has no known cost, or was not
    observed as a whole."""
    usage: Usage
    tokens_share: float | None

    @property
    def tokens(self) -> int:
        return self.usage.total_tokens


def model_figures(
    profiles: Profiles, wanted: RunFilter, window: Window, *, known_since_ns: int | None
) -> list[ModelFigures]:
    """Return what each model took in the runs that match: the most expensive first, then by tokens.

    `known_since_ns` is since when the job, or the history of all, is known: a change is computed only
    where the window before was observed as a whole. The window is taken `for_usage`.
    """
    window = window.for_usage(wanted)
    now = _by_model(profiles, wanted, window)
    prior: dict[tuple[str, str], dict[str, ModelAmounts]] = {}
    if window.prior is not None and window.prior_was_observed(known_since_ns=known_since_ns):
        prior = _by_model(profiles, wanted, window.prior)
    total = ModelAmounts.sum(amounts for parts in now.values() for amounts in parts.values())
    found = []
    for (model, provider), parts in now.items():
        amounts = ModelAmounts.sum(parts.values())
        cost_usd = _known_cost(parts)
        before_usd = _known_cost(prior.get((model, provider), {}))
        found.append(
            ModelFigures(
                model=model or None,
                provider=provider or None,
                runs=amounts.runs,
                api_calls=amounts.api_calls,
                cost_usd=cost_usd,
                cost_is_lower_bound=not _UNSURE.isdisjoint(parts),
                cost_share=share(cost_usd, total.cost_usd),
                cost_change=change_against(cost_usd, before_usd),
                usage=amounts.usage,
                tokens_share=share(amounts.usage.total_tokens, total.usage.total_tokens),
            )
        )
    return sorted(
        found, key=lambda model: (-(model.cost_usd or 0.0), -model.tokens, str(model.model))
    )


def share(part: float | None, total: float) -> float | None:
    """Return which part of a total this is; None if it is unknown or there is nothing."""
    return None if part is None or not total else part / total


_UNSURE = frozenset({"", str(CostStatus.UNKNOWN), str(CostStatus.PARTIAL)})
"""Cost statuses with which the sum of the costs is a lower bound."""
_UNKNOWN = frozenset({"", str(CostStatus.UNKNOWN)})


def _by_model(
    profiles: Profiles, wanted: RunFilter, window: Window
) -> dict[tuple[str, str], dict[str, ModelAmounts]]:
    """Return by model and provider, then by cost status, what was taken."""
    found: dict[tuple[str, str], dict[str, ModelAmounts]] = {}
    for _, journal in profiles:
        sums = journal.figures.usage(
            window.of_runs(wanted),
            by=[Dimension.MODEL, Dimension.PROVIDER, Dimension.COST_STATUS],
        )
        for (model, provider, status), amounts in sums.items():
            parts = found.setdefault((model, provider), {})
            parts[status] = _plus(parts.get(status), amounts)
    return found


def _plus(known: ModelAmounts | None, more: ModelAmounts) -> ModelAmounts:
    return more if known is None else ModelAmounts.sum([known, more])


def _known_cost(parts: dict[str, ModelAmounts]) -> float | None:
    """Return the sum of the known costs; None if no part has one."""
    if all(status in _UNKNOWN and not amounts.cost_usd for status, amounts in parts.items()):
        return None
    return _sum(amounts.cost_usd for amounts in parts.values())


def _sum(costs_usd: Iterable[float]) -> float:
    return sum(costs_usd, 0.0)
