"""What a version of Hermes writes, and when.

All that depends on the host's version stands here and in the readers beside it. A reader turns what an
older version writes into the same records, with unknowns; nobody outside of this folder asks for a
version. There are three kinds of differences:

- a column or table that a version lacks: its reader gives None (`sqlite.select_list`);
- a row that tells by itself: the source of a subagent's session (0.17+), the start of a continuation;
- a rule that no column shows: a field of `Capabilities`.

A new rule is a field here, with its value for each version below. A home that was upgraded has rows of
several versions: `CapabilityHistory` gives those of the version that wrote a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum


class SilenceRule(StrEnum):
    """How an answer asks the host that it be not delivered."""

    ANYWHERE = "anywhere"
    """`[SILENT]` anywhere in it, in any case, and nothing else."""
    OWN_LINE = "own_line"
    """A marker alone, or on the first or the last line, or `[SILENT]` as a prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one version of Hermes writes, and when."""

    keeps_ledger: bool
    """It keeps `cron/executions.db`, from its first run on."""
    writes_messages_when_done: bool
    """It writes an agent's messages when the agent is done, and not as they come. It does not write the
    end of a session that continues a compressed one."""
    raises_answer_at_turn_limit: bool
    """It calls a run that used its last turn failed, and gives the answer for the error."""
    delivers_notice_of_empty_reply: bool
    """It delivers a notice in place of an empty reply, and marks the run as good."""
    silence: SilenceRule


BEFORE_0_18 = Capabilities(
    keeps_ledger=False,
    writes_messages_when_done=True,
    raises_answer_at_turn_limit=True,
    delivers_notice_of_empty_reply=True,
    silence=SilenceRule.ANYWHERE,
)
"""0.13 to 0.17."""

SINCE_0_18 = Capabilities(
    keeps_ledger=False,
    writes_messages_when_done=False,
    raises_answer_at_turn_limit=False,
    delivers_notice_of_empty_reply=False,
    silence=SilenceRule.OWN_LINE,
)

SINCE_0_19 = replace(SINCE_0_18, keeps_ledger=True)


def _nothing_older() -> int | None:
    return None


@dataclass(slots=True)
class CapabilityHistory:
    """The capabilities of each version that has written to a home."""

    newest: Capabilities = SINCE_0_18
    """Those of the version that the home's files have the schema of."""
    find_last_old_row_ns: Callable[[], int | None] = _nothing_older
    """Finds until when a version before 0.18 wrote to this home; None if the files do not prove it. It is
    called once, when it is first needed: it reads messages."""
    _older_until_ns: int | None = field(default=None, init=False)
    _was_searched: bool = field(default=False, init=False)

    @property
    def has_older_rows(self) -> bool:
        """Whether a row may be of a version with other rules than the newest."""
        return self.newest is BEFORE_0_18 or self.find_last_old_row_ns is not _nothing_older

    def for_run(self, ended_ns: int, *, in_ledger: bool) -> Capabilities:
        """Return those of the version that wrote a run which ended at this time.

        The versions that keep a ledger wrote all that stands in it.
        """
        if in_ledger:
            return SINCE_0_19
        if self.newest is BEFORE_0_18:
            return self.newest
        if not self._was_searched:
            self._older_until_ns = self.find_last_old_row_ns()
            self._was_searched = True
        is_older = self._older_until_ns is not None and ended_ns <= self._older_until_ns
        return BEFORE_0_18 if is_older else self.newest
