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
_Told = dict[str, object]
"""The arguments of a hook: ours alone, Python makes it for each call."""
_Callback = Callable[[_Told], None]

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

_REFUSAL = "ContentPolicyBlocked"
"""The host's class of a model's own refusal; a provider's has the class of its exception."""

NAMES_KEPT = 2_000
"""Sessions, tasks and approvals that are known to belong to a cron run."""

KEPT: dict[str, tuple[str, ...]] = {
    "post_api_request": (
        "model", "provider", "response_model", "started_at", "ended_at", "api_duration",
        "finish_reason", "usage",
    ),
    "api_request_error": (
        "model", "provider", "started_at", "ended_at", "status_code", "retry_count", "max_retries",
        "retryable", "reason", "exception_type", "message",
    ),
    "post_tool_call": (
        "tool_call_id", "tool_name", "duration_ms", "status", "error_type", "error_message",
        "approval",
    ),
}  # fmt: skip
"""Of the arguments of each hook, what is noted; `approval` is ours."""


class Note(NamedTuple):
    """What one hook told of a call, as it told it; `host.notes` reads it."""

    hook: str
    root_id: str
    """The session of the cron run."""
    session_id: str
    """That session, a subagent's, or one that the run went on with after a compression."""
    time_s: float
    """Epoch seconds."""
    kept: tuple[object, ...]
    """In the order of `KEPT`; None for what it did not tell."""

    @property
    def told(self) -> dict[str, object]:
        return dict(zip(KEPT[self.hook], self.kept, strict=True))


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
        self._notes: deque[tuple[str, str, str, float, tuple[object, ...]]] = deque(
            maxlen=NOTES_KEPT
        )
        self._lost = 0
        self._roots: dict[str, str] = {}
        self._approvals: dict[str, dict[str, object]] = {}

    @property
    def has_many_notes(self) -> bool:
        return len(self._notes) >= NOTES_WAKE

    def take_notes(self) -> tuple[list[Note], int]:
        """What came since the last time, oldest first, and how many more there were."""
        notes: list[Note] = []
        while self._notes:
            notes.append(Note(*self._notes.popleft()))
        lost, self._lost = self._lost, 0
        return notes, lost

    def give_back(self, notes: list[Note], lost: int) -> None:
        """They could not be written down yet."""
        room = NOTES_KEPT - len(self._notes)
        self._lost += lost + max(0, len(notes) - room)
        self._notes.extendleft(reversed(notes[-room:] if room else []))

    def hook_for(self, name: str, started: Callable[[], None]) -> Callable[..., None]:
        """A callback that never raises; `started` is called at the first hook that marks a cron run."""
        callback: _Callback
        match name:
            case "post_api_request":
                callback = self._call
            case "post_tool_call":
                callback = self._tool
            case "api_request_error":
                callback = self._error_for(started)
            case "pre_approval_request":
                callback = self._asked
            case "post_approval_response":
                callback = self._answered
            case "subagent_start":
                callback = self._subagent
            case _:
                callback = self._mark_for(name, started)
        return self._harmless(callback)

    def _harmless(self, callback: _Callback) -> Callable[..., None]:
        def hook(**told: object) -> None:
            try:
                callback(told)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - the host's run comes first
                self._lost += 1

        return hook

    # Marks.

    def _mark_for(self, name: str, started: Callable[[], None]) -> _Callback:
        ends = name != "on_session_start"

        def mark(told: _Told) -> None:
            session_id = told.get("session_id")
            if isinstance(session_id, str) and session_id.startswith("cron_"):
                self.last_s = time.monotonic()
                if ends:
                    self.ended_s = self.last_s
                if not self._started:
                    started()  # again at the next hook if the machine is out of threads
                    self._started = True
                if not self.event.is_set():  # the worker clears it before it looks
                    self.event.set()

        return mark

    # Notes. What a hook keeps is a tuple in the order of `KEPT`: it is made once, and in C.

    def _call(self, told: _Told) -> None:
        self._keep("post_api_request", told, tuple(map(told.get, KEPT["post_api_request"])))

    def _tool(self, told: _Told) -> None:
        kept = tuple(map(told.get, KEPT["post_tool_call"]))
        if self._approvals:
            approval = self._approvals.pop(str(told.get("tool_call_id")), None)
            kept = (*kept[:-1], approval)
        self._keep("post_tool_call", told, kept)

    def _error_for(self, started: Callable[[], None]) -> _Callback:
        mark = self._mark_for("api_request_error", started)
        keys = KEPT["api_request_error"][:-2]

        def error(told: _Told) -> None:
            exception_type = message = None
            said = told.get("error")
            if isinstance(said, dict):
                exception_type = said.get("type")
                # Of a refusal in a successful answer the host gives what the model said.
                message = said.get("message") if exception_type != _REFUSAL else None
                if isinstance(message, str) and len(message) > ERROR_CHARS:
                    message = message[:ERROR_CHARS]  # a server may answer with a whole page
            kept = (*map(told.get, keys), exception_type, message)
            self._keep("api_request_error", told, kept)
            if not _is_tried_again(told):
                mark(told)

        return error

    def _keep(self, hook: str, told: _Told, kept: tuple[object, ...]) -> None:
        session_id = told.get("session_id")
        root_id = self._root_of(session_id, told.get("task_id"))
        if root_id is None:
            return
        notes = self._notes
        if len(notes) == NOTES_KEPT:
            self._lost += 1
        notes.append((hook, root_id, str(session_id), time.time(), kept))
        if len(notes) == NOTES_WAKE:
            self.event.set()

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

    def _subagent(self, told: _Told) -> None:
        child_id = told.get("child_session_id")
        root_id = self._root_of(told.get("parent_session_id"), None)
        if root_id is not None and isinstance(child_id, str):
            _put(self._roots, child_id, root_id)

    def _asked(self, told: _Told) -> None:
        """Whose it is will be told by its tool call: an approval names no session."""
        call_id = told.get("tool_call_id")
        if isinstance(call_id, str) and call_id:
            _put(self._approvals, call_id, {"surface": told.get("surface"), "asked_s": time.time()})

    def _answered(self, told: _Told) -> None:
        call_id = told.get("tool_call_id")
        approval = self._approvals.get(call_id) if isinstance(call_id, str) else None
        if approval is not None:
            approval |= {"choice": told.get("choice"), "answered_s": time.time()}


def _is_tried_again(told: _Told) -> bool:
    """Whether another attempt follows: then this error does not end the run."""
    failed, limit = told.get("retry_count"), told.get("max_retries")
    counted = isinstance(failed, int) and isinstance(limit, int) and failed + 1 < limit
    return counted and told.get("retryable") is True


def _put(known: dict[str, _V], key: str, value: _V) -> None:
    """The oldest go when there are too many: nothing tells us that a run is quite over."""
    with _making_room:
        while len(known) >= NAMES_KEPT:
            known.pop(next(iter(known)), None)
        known[key] = value


_making_room = threading.Lock()
