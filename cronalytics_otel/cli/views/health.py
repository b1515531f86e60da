"""The findings of `health`, one line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from ...insight.findings import Finding, FoundIn
from .. import formats


def findings(
    found: Sequence[FoundIn], now_ns: int, *, with_profile: bool = False
) -> Iterator[Text]:
    """Yield a line for each: `✗ failing: nightly digest: failed: …, since … (2 h 00 m ago). …`."""
    for profile, finding in found:
        about = subject(profile if with_profile else "", finding)
        yield Text.assemble(("✗", "bad"), f" {_sentence(about, finding, now_ns)}")


def subject(profile: str, finding: Finding) -> str:
    """Return what a finding is about: `nightly digest`, `work/nightly digest`, or nothing."""
    return "/".join(part for part in (profile, formats.one_line(finding.subject or "")) if part)


def _sentence(about: str, finding: Finding, now_ns: int) -> str:
    since = ""
    if finding.since_ns is not None:
        since = (
            f", since {formats.minute(finding.since_ns)} ({formats.ago(finding.since_ns, now_ns)})"
        )
    kind = finding.kind.replace("_", " ")
    parts = [kind, *([about] if about else []), f"{finding.text.rstrip('.')}{since}."]
    return f"{': '.join(parts)} {finding.advice[:1].upper()}{finding.advice[1:]}."
