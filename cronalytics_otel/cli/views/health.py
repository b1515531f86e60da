"""The findings of `health`, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ...insight.findings import Finding
from .. import formats


def findings(found: Sequence[Finding], now_ns: int) -> Iterator[Text]:
    """Yield a line for each: `✗ failing: nightly digest: failed: …, since … (2 h 00 m ago). …`."""
    for finding in found:
        yield Text.assemble(("✗", "bad"), f" {sentence(finding, now_ns)}")


def sentence(finding: Finding, now_ns: int) -> str:
    parts = [finding.kind.replace("_", " ")]
    if finding.subject is not None:
        parts.append(formats.one_line(finding.subject))
    since = ""
    if finding.since_ns is not None:
        since = (
            f", since {formats.minute(finding.since_ns)} ({formats.ago(finding.since_ns, now_ns)})"
        )
    parts.append(f"{finding.text.rstrip('.')}{since}.")
    return f"{': '.join(parts)} {finding.advice[:1].upper()}{finding.advice[1:]}."
