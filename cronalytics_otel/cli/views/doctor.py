"""The result of each check, and the line that sums them up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from .. import formats
from ..checks.check import Check, State

_ICONS = {State.OK: ("✓", "good"), State.WARNING: ("!", "warning"), State.FAILED: ("✗", "bad")}


def lines(check: Check) -> Iterator[Text]:
    yield Text.assemble(
        _ICONS[check.state], " ", (f"{check.name:<12}", "heading"), " ", check.detail
    )
    if check.fix is not None:
        yield Text(f"{'':<14} fix: {check.fix}")


def summary(checks: Sequence[Check]) -> str:
    """`14 checks: 2 failed, 1 warning`."""
    states = Counter(check.state for check in checks)
    failed, warnings = states[State.FAILED], states[State.WARNING]
    verdict = (
        f"{failed} failed, {formats.counted(warnings, 'warning')}"
        if failed + warnings
        else "all is well"
    )
    return f"{formats.counted(len(checks), 'check')}: {verdict}"
