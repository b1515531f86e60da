"""The host's rule for an answer that asks not to be delivered (cron/scheduler.py)."""

from __future__ import annotations

from .capabilities import SilenceRule

_MARKER = "[SILENT]"
_MARKERS = frozenset({_MARKER, "SILENT", "NO_REPLY", "NO REPLY"})


def asks_for_silence(head: str, tail: str, rule: SilenceRule = SilenceRule.OWN_LINE) -> bool:
    """Return whether a text that begins and ends like this is not to be delivered."""
    if rule is SilenceRule.ANYWHERE:
        return any(_MARKER in part.upper() for part in (head, tail))
    shown = (head + tail).upper()
    if "SILENT" not in shown and "REPLY" not in shown:
        return False
    head, tail = head.strip(), tail.strip()
    if not head:
        return False
    lines = {head, head.splitlines()[0], tail.splitlines()[-1] if tail else ""}
    return head.upper().startswith(_MARKER) or any(map(_is_marker, lines))


def _is_marker(line: str) -> bool:
    return " ".join(line.upper().split()) in _MARKERS
