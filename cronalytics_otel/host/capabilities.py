"""What a version of Hermes writes, and when.

All that depends on the host's version stands here and in the readers beside it. A reader turns what an
older version writes into the same records, with unknowns; nobody outside of this folder asks for a
version. There are three kinds of differences:

- a column or table that a version lacks: its reader gives None (`sqlite.select_list`);
- a row that shows it by itself: the source of a subagent's session (0.17+), the start of a continuation;
- a rule that no column shows: a field of `Capabilities`.

A home that was upgraded has rows of several versions: `CapabilityHistory` gives the capabilities of the
version that wrote a row. To add

- a rule: a field of `Capabilities`, and its value for each version below;
- a version: a record below, with the columns by which a `state.db` shows it, and its place in `VERSIONS`;
- a version whose rules differ from those of 0.19: also the border from which on its rows begin, in
  `CapabilityHistory.for_run`. The only border that is known today is that of 0.18, because 0.18 and 0.19
  have the same rules for the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum


class SilenceRule(StrEnum):
    """How an answer asks the host not to deliver it."""

    ANYWHERE = "anywhere"
    """`[SILENT]` anywhere in it, in any case, and nothing else."""
    OWN_LINE = "own_line"
    """A marker alone, or on the first or the last line, or `[SILENT]` as a prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one version of Hermes writes, and when."""

    added_columns: frozenset[str]
    """The columns of `state.db`, as `table.column`, that it has and the versions before it lack."""
    keeps_ledger: bool
    """It keeps `cron/executions.db`, from its first run on."""
    writes_messages_when_done: bool
    """It writes an agent's messages when the agent is done, and not as they come."""
    ends_continued_sessions: bool
    """It writes the end of a session that continues a compressed one."""
    raises_answer: bool
    """It counts a run that used its last turn, or was interrupted, as failed, and reports the agent's
    answer as the error message."""
    delivers_notice_of_empty_reply: bool
    """It delivers a notice in place of an empty reply, and marks the run as good."""
    silence: SilenceRule


BEFORE_0_18 = Capabilities(
    added_columns=frozenset(),
    keeps_ledger=False,
    writes_messages_when_done=True,
    ends_continued_sessions=False,
    raises_answer=True,
    delivers_notice_of_empty_reply=True,
    silence=SilenceRule.ANYWHERE,
)
"""0.13 to 0.17."""

SINCE_0_18 = Capabilities(
    added_columns=frozenset({"messages.active", "messages.compacted"}),
    keeps_ledger=False,
    writes_messages_when_done=False,
    ends_continued_sessions=True,
    raises_answer=False,
    delivers_notice_of_empty_reply=False,
    silence=SilenceRule.OWN_LINE,
)

SINCE_0_19 = replace(
    SINCE_0_18, added_columns=frozenset({"session_model_usage.session_id"}), keeps_ledger=True
)

VERSIONS = (BEFORE_0_18, SINCE_0_18, SINCE_0_19)
"""The oldest first."""

_FIRST_WITH_LEDGER = next(version for version in VERSIONS if version.keeps_ledger)


def newest_by(columns: set[str]) -> Capabilities:
    """Return the newest version whose schema a `state.db` with these columns (`table.column`) has."""
    found = VERSIONS[0]
    for version in VERSIONS[1:]:
        if not version.added_columns <= columns:
            break
        found = version
    return found


def _nothing_older() -> int | None:
    return None


@dataclass(slots=True)
class CapabilityHistory:
    """The capabilities of each version that has written to a home."""

    newest: Capabilities = SINCE_0_18
    """Those of the version that the home's files have the schema of."""
    find_last_old_row_ns: Callable[[], int | None] = _nothing_older
    """Finds when the last row of a version before 0.18 ended; None if the files do not prove one. It is
    called once, when it is first needed: it reads messages."""
    _last_old_row_ns: int | None = field(default=None, init=False)
    _was_searched: bool = field(default=False, init=False)

    @property
    def has_older_rows(self) -> bool:
        """Whether a row may be of a version with other rules than the newest."""
        return self.newest is VERSIONS[0] or self.find_last_old_row_ns is not _nothing_older

    def for_run(self, ended_ns: int, *, in_ledger: bool) -> Capabilities:
        """Return the capabilities of the version that wrote a run which ended at this time.

        The versions that keep a ledger wrote all that is in it.
        """
        if in_ledger:
            return self.newest if self.newest.keeps_ledger else _FIRST_WITH_LEDGER
        if self.newest is VERSIONS[0]:
            return self.newest
        if not self._was_searched:
            self._last_old_row_ns = self.find_last_old_row_ns()
            self._was_searched = True
        is_older = self._last_old_row_ns is not None and ended_ns <= self._last_old_row_ns
        return BEFORE_0_18 if is_older else self.newest
