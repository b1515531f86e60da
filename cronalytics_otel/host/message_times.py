"""Whether an agent's messages were written when the agent was done, by their times alone.

Hosts before 0.18 write them so, and the file's schema does not show it: the home may have been upgraded
since.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model import Message

AT_ONCE_NS = 20_000_000
"""No model answers so soon: messages that are closer were written in one go."""

FASTEST_NS = 3_000_000
"""The same for a run in the ledger (0.19+). Its host writes each message as it comes, so the limit is
what no model could ever reach."""


def written_when_done(
    started_ns: int, messages: Sequence[Message], *, at_once_ns: int = AT_ONCE_NS
) -> bool:
    """Return whether the times show that all messages were written at the end.

    Either the prompt is closer to the last message than to the session's start (0.13 to 0.16), or an
    answer follows a tool result faster than a model can answer (0.17). One answer alone from 0.17
    cannot be judged.
    """
    if not messages:
        return False
    prompt_ns, last_ns = messages[0].timestamp_ns, messages[-1].timestamp_ns
    if 0 <= last_ns - prompt_ns < min(prompt_ns - started_ns, at_once_ns * len(messages)):
        return True
    before = messages[0]
    for message in messages:
        if (
            message.role == "assistant"
            and before.role == "tool"
            and 0 <= message.timestamp_ns - before.timestamp_ns < at_once_ns
            and message.finish_reason  # else the host may have written it itself
            and not message.is_copy
        ):
            return True
        before = message
    return False
