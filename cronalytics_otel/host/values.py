"""What the host's values have in common, from its tables and from its hooks."""

from __future__ import annotations

from ..model import Usage

MAX_COUNT = 10**15
"""Beyond it nothing was counted; sums of less can be kept."""


def text(value: object) -> str | None:
    """None for an empty one, too."""
    return value if isinstance(value, str) and value else None


def usage(*, fresh: int, output: int, cache_read: int, cache_write: int, reasoning: int) -> Usage:
    """The host's input (`fresh`) excludes what a cache served; GenAI's includes it."""
    return Usage(
        input_tokens=fresh + cache_read + cache_write,
        output_tokens=output,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
    )
