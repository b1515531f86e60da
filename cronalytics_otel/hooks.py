"""What the host's hooks tell: that a cron run has begun, gone wrong or ended, and what its calls took.

Hooks run inline in the host's threads, so a callback only leaves a mark, or keeps a few of its
arguments as they are; the worker does the rest. What became of the run is read from the host's files:
a hook's arguments are not the outcome.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeVar

_V = TypeVar("_V")

HOOKS = (
    "on_session_start", "on_session_end", "api_request_error", "post_api_request",
    "post_tool_call", "pre_approval_request", "post_approval_response", "subagent_start",
)  # fmt: skip
"""As listed in plugin.yaml. A run whose model answers 401 fires the first and the third only."""

NOTES_KEPT = 5_000
"""Between two looks of the worker; beyond that the oldest go, and are counted."""

NOTES_WAKE = 1_000
"""So many wake the worker, whatever else happens."""

ERROR_CHARS = 4_000
"""Of an error's text; the rest never leaves."""

NAMES_KEPT = 2_000
"""Sessions, tasks and approvals that are known to belong to a cron run."""

_KEPT: dict[str, tuple[str, ...]] = {
    "post_api_request": (
        "model", "provider", "response_model", "started_at", "ended_at", "api_duration",
        "finish_reason", "usage",
    ),
    "api_request_error": (
        "model", "provider", "started_at", "ended_at", "status_code", "retry_count", "max_retries",
        "retryable", "reason", "error",
    ),
    "post_tool_call": (
        "tool_call_id", "tool_name", "duration_ms", "status", "error_type", "error_message",
    ),
}  # fmt: skip


class Note(NamedTuple):
    """What one hook told of a call, as it told it; `host.notes` reads it."""

    hook: str
    root_id: str
    """The session of the cron run."""
    session_id: str
    """That session, a subagent's, or one that the run went on with after a compression."""
    time_s: float
    """Epoch seconds."""
    told: dict[str, object]


class Signal:
    """Set and filled by hooks, waited for and emptied by the worker."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: its parent's hooks are not its own."""
        self.event = threading.Event()
        self.last_s: float | None = None
        """`time.monotonic()` of the newest hook that marks a cron run; None before the first."""
        self.ended_s: float | None = None
        """The same of the newest that may be the last of its run."""
        self._started = False
        self._notes: deque[Note] = deque(maxlen=NOTES_KEPT)
        self._lost = 0
        self._roots: dict[str, str] = {}
        self._approvals: dict[str, dict[str, object]] = {}

    def take_notes(self) -> tuple[list[Note], int]:
        """What came since the last time, oldest first, and how many more there were."""
        notes: list[Note] = []
        while self._notes:
            notes.append(self._notes.popleft())
        lost, self._lost = self._lost, 0
        return notes, lost

    def give_back(self, notes: list[Note], lost: int) -> None:
        """They could not be written down yet."""
        room = NOTES_KEPT - len(self._notes)
        self._lost += lost + max(0, len(notes) - room)
        self._notes.extendleft(reversed(notes[-room:] if room else []))

    def hook_for(self, name: str, started: Callable[[], None]) -> Callable[..., None]:
        """A callback that never raises; `started` is called at the first hook that marks a cron run."""
        callback: Callable[..., None]
        match name:
            case "post_api_request" | "post_tool_call":
                callback = self._note_for(name)
            case "api_request_error":
                callback = _both(self._note_for(name), self._mark_for(name, started))
            case "pre_approval_request":
                callback = self._asked
            case "post_approval_response":
                callback = self._answered
            case "subagent_start":
                callback = self._subagent
            case _:
                callback = self._mark_for(name, started)
        return self._harmless(callback)

    def _harmless(self, callback: Callable[..., None]) -> Callable[..., None]:
        def hook(**told: object) -> None:
            try:
                callback(**told)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - the host's run comes first
                self._lost += 1

        return hook

    # Marks.

    def _mark_for(self, name: str, started: Callable[[], None]) -> Callable[..., None]:
        ends = name != "on_session_start"

        def mark(session_id: object = None, **_: object) -> None:
            if isinstance(session_id, str) and session_id.startswith("cron_"):
                self.last_s = time.monotonic()
                if ends:
                    self.ended_s = self.last_s
                if not self._started:
                    started()  # again at the next hook if the machine is out of threads
                    self._started = True
                self.event.set()

        return mark

    # Notes.

    def _note_for(self, name: str) -> Callable[..., None]:
        keys = _KEPT[name]

        def note(session_id: object = None, task_id: object = None, **told: object) -> None:
            root_id = self._root_of(session_id, task_id)
            if root_id is None:
                return
            kept = {key: told[key] for key in keys if key in told}
            if "error" in kept:
                kept["error"] = _short(kept["error"])
            if self._approvals and name == "post_tool_call":
                approval = self._approvals.pop(str(told.get("tool_call_id")), None)
                if approval is not None:
                    kept["approval"] = approval
            if len(self._notes) == NOTES_KEPT:
                self._lost += 1
            self._notes.append(Note(name, root_id, str(session_id), time.time(), kept))
            if len(self._notes) == NOTES_WAKE:
                self.event.set()

        return note

    def _root_of(self, session_id: object, task_id: object) -> str | None:
        """The cron session that this one belongs to; None for a chat's.

        A session that a run goes on with has an id of its own, and the run's task.
        """
        if not isinstance(session_id, str):
            return None
        if not session_id.startswith("cron_"):
            return self._roots.get(session_id) or (
                self._roots.get(task_id) if isinstance(task_id, str) else None
            )
        if isinstance(task_id, str) and task_id and task_id not in self._roots:
            _put(self._roots, task_id, session_id)
        return session_id

    def _subagent(
        self, parent_session_id: object = None, child_session_id: object = None, **_: object
    ) -> None:
        root_id = self._root_of(parent_session_id, None)
        if root_id is not None and isinstance(child_session_id, str):
            _put(self._roots, child_session_id, root_id)

    def _asked(self, tool_call_id: object = None, surface: object = None, **_: object) -> None:
        """Whose it is will be told by its tool call: an approval names no session."""
        if isinstance(tool_call_id, str) and tool_call_id:
            _put(self._approvals, tool_call_id, {"surface": surface, "asked_s": time.time()})

    def _answered(self, tool_call_id: object = None, choice: object = None, **_: object) -> None:
        approval = self._approvals.get(tool_call_id) if isinstance(tool_call_id, str) else None
        if approval is not None:
            approval |= {"choice": choice, "answered_s": time.time()}


def _short(error: object) -> object:
    """A server may answer with a whole page."""
    if not isinstance(error, dict):
        return None
    texts = ((key, error.get(key)) for key in ("type", "message"))
    return {key: text[:ERROR_CHARS] for key, text in texts if isinstance(text, str)}


def _both(first: Callable[..., None], second: Callable[..., None]) -> Callable[..., None]:
    def both(**told: object) -> None:
        first(**told)
        second(**told)

    return both


def _put(known: dict[str, _V], key: str, value: _V) -> None:
    """The oldest go when there are too many: nothing tells us that a run is quite over."""
    with _making_room:
        while len(known) >= NAMES_KEPT:
            known.pop(next(iter(known)), None)
        known[key] = value


_making_room = threading.Lock()
