"""Values of the host's tables and hooks: texts, counts, tokens."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from ..model import Usage

MAX_COST_USD = 1e9
"""The most that a run can cost, so that sums of costs and of their squares fit."""

MAX_COUNT = 10**15
"""A larger number is no count. Sums of smaller ones can be stored."""


def text(value: object) -> str | None:
    """Return a text that is not empty, else None."""
    return value if isinstance(value, str) and value else None


@lru_cache(maxsize=256)
def server_address(base_url: str | None) -> str | None:
    """Return the host of a base URL, without port, user and path; None where there is none.

    (Cached: a home asks few servers.)
    """
    if base_url is None:
        return None
    try:
        return urlsplit(base_url).hostname
    except ValueError:
        return None


def usage(*, fresh: int, output: int, cache_read: int, cache_write: int, reasoning: int) -> Usage:
    """Return the tokens as GenAI counts them: its input includes what a cache served, the host's (`fresh`)
    does not."""
    return Usage(
        input_tokens=fresh + cache_read + cache_write,
        output_tokens=output,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
    )
