"""Why a request got no answer. Each protocol finds it out by itself."""

from __future__ import annotations

from dataclasses import dataclass

from ...model import DestinationFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a request got no answer. `fault` is None where that is not known."""

    reason: str
    fault: DestinationFault | None
    timed_out: bool = False


def by_way_of(proxy: str | None) -> str:
    """Return the words that name a proxy in a reason; none without one."""
    return f" (by way of the proxy {proxy})" if proxy else ""
