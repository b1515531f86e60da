"""The sessions of `state.db` as their runs left them, by their messages."""

from __future__ import annotations

from collections.abc import Sequence

from ..model import LastMessage, Message, Session
from . import prompts
from .messages import Messages
from .resumed import first_of_chat, may_be_resumed, usage_of_run
from .usage_table import UsageTable


class SessionsOfRuns:
    """Corrects what the rows of sessions say, where the messages know better."""

    def __init__(self, messages: Messages, usage: UsageTable) -> None:
        self._messages = messages
        self._usage = usage

    def as_left(self, sessions: Sequence[Session]) -> list[Session]:
        """Return the sessions without what somebody added after their runs, and marked if the host did
        not count a call."""
        return self._with_uncounted_marked(self._without_chats(sessions))

    def _with_uncounted_marked(self, sessions: Sequence[Session]) -> list[Session]:
        """Mark the sessions whose summary at the turn limit the host did not count."""
        suspects = [s.session_id for s in sessions if _may_end_at_turn_limit(s.last_message)]
        at_limit = self._messages.sessions_at_turn_limit(suspects)
        messages = self._messages.of(list(at_limit), with_content=False)
        return [
            session._replace(
                has_uncounted_call=(session.model_usage.api_calls or 0)
                < _model_answers(messages[session.session_id])
            )
            if session.session_id in at_limit
            else session
            for session in sessions
        ]

    def _without_chats(self, sessions: Sequence[Session]) -> list[Session]:
        changed: dict[str, Session] = {}
        suspects = [session for session in sessions if may_be_resumed(session)]
        messages = self._messages.of([s.session_id for s in suspects], with_content=False)
        for session in suspects:
            own = messages.get(session.session_id, [])
            at = first_of_chat(own)
            if at is not None:
                resumed = self._as_run_left_it(session, own, at)
            elif session.end_reason is not None and own:
                # It was opened again and closed, perhaps only to read it: the end is that of the visit.
                resumed = session._replace(ended_ns=max(session.started_ns, own[-1].timestamp_ns))
            else:
                continue
            changed[session.session_id] = resumed
        return [changed.get(session.session_id, session) for session in sessions]

    def _as_run_left_it(self, session: Session, messages: Sequence[Message], at: int) -> Session:
        """Return a session that somebody went on with. `at` is the position of the first message of that
        chat."""
        resumed = session._replace(
            resumed_ns=messages[at].timestamp_ns,
            ended_ns=max(session.started_ns, messages[at - 1].timestamp_ns),
            last_message=self._messages.last_of(session.session_id, at),
        )
        return resumed._replace(model_usage=usage_of_run(resumed, self._usage.of(resumed)))


def _may_end_at_turn_limit(last: LastMessage | None) -> bool:
    """Return whether a session may end with the summary at the turn limit: an answer without a finish
    reason. Hosts before 0.16 write only their request for it."""
    if last is None or last.ends_turn:
        return False
    return last.role == "assistant" or (
        last.role == "user" and last.head.startswith(prompts.TURN_LIMIT.strip())
    )


def _model_answers(messages: Sequence[Message]) -> int:
    """Return how many answers a model gave, with the summary that the host asked for last."""
    answers = sum(message.role == "assistant" and not message.is_copy for message in messages)
    return answers + messages[-1].at_turn_limit
