"""Trace and span ids, derived: a re-send, a rebuilt journal or another machine's copy is the same.

Both are the head of a BLAKE2b hash over text parts joined by NUL, which no id of the host holds, so
that ("a", "bc") and ("ab", "c") differ. They depend on the profile's name and on the run's identity
(`Run.identity`), never on a path or a machine. Changing anything here changes every id: a
destination would then hold two copies of the runs it has.
"""

from __future__ import annotations

from hashlib import blake2b

_TRACE_BYTES = 16
_SPAN_BYTES = 8


def trace_id(profile: str, identity: str) -> int:
    """The trace of a run: 128 bits, never 0 (OpenTelemetry's invalid id)."""
    return _hash(_TRACE_BYTES, "trace", profile, identity)


def span_id(profile: str, identity: str, *path: str) -> int:
    """A span of that run: 64 bits, never 0; no `path` is the root.

    `path` says which span, by what stays the same however often the trace is built: the session
    and the ordinal of the step.
    """
    return _hash(_SPAN_BYTES, "span", profile, identity, *path)


def _hash(size: int, *parts: str) -> int:
    # A name with a lone surrogate (jobs.json can hold one) must not stop its run.
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=size).digest(), "big") or 1
