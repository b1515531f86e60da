"""Trace and span ids are derived: a re-send, a rebuilt journal or another machine's copy has the same.

Both are the head of a BLAKE2b hash over text parts joined by NUL, which no id of the host holds, so
that ("a", "bc") and ("ab", "c") differ. They depend on the profile's name and on the run's identity
(`Run.identity`), never on a path or a machine. Changing anything here changes every id: a
destination would then hold two copies of the runs it has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

_TRACE_BYTES = 16
_SPAN_BYTES = 8


@lru_cache(maxsize=1_024)
def trace_id(profile: str, identity: str) -> int:
    """Return the id of a run's trace: 128 bits, never 0 (OpenTelemetry's invalid id).

    (Cached: the next run of the job links to it.)
    """
    return _hash(_TRACE_BYTES, "trace", profile, identity)


def span_id(profile: str, identity: str, *path: str) -> int:
    """Return the id of a span of that run: 64 bits, never 0; no `path` is the root.

    `path` says which span, by what stays the same however often the trace is built: the session
    and the ordinal of the step.
    """
    return span_ids(profile, identity)(path)


@lru_cache(maxsize=1_024)
def span_ids(profile: str, identity: str) -> Callable[[tuple[str, ...]], int]:
    """Return `span_id` for the many spans of one run: their common part is hashed once."""
    common = blake2b(_bytes("span", profile, identity), digest_size=_SPAN_BYTES)

    def id_of(path: tuple[str, ...]) -> int:
        hashed = common.copy()
        if path:
            hashed.update(("\0" + "\0".join(path)).encode("utf-8", _SURROGATES))
        return int.from_bytes(hashed.digest(), "big") or 1

    return id_of


def _hash(size: int, *parts: str) -> int:
    return int.from_bytes(blake2b(_bytes(*parts), digest_size=size).digest(), "big") or 1


def _bytes(*parts: str) -> bytes:
    return "\0".join(parts).encode("utf-8", _SURROGATES)


_SURROGATES = "surrogatepass"
"""A name with a lone surrogate (jobs.json can hold one) must not stop its run."""
