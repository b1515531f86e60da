"""What the host's hooks report: that a cron run has begun, failed or ended, and what its calls took.

The host calls hooks inline, in the threads of its runs. So a callback only marks the time, or copies
a few arguments as they are, and wakes the worker, which does the rest. How a run ended is read from
the host's files: the arguments of a hook are not the outcome.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from .clock import SYSTEM_CLOCK, Clock

_V = TypeVar("_V")
_Arguments = dict[str, object]
"""The keyword arguments of one hook call. Python makes a new dictionary for each call."""
_Handler = Callable[[_Arguments], None]

HOOKS: Final = (
    "on_session_start", "on_session_end", "api_request_error", "post_api_request",
    "post_tool_call", "pre_approval_request", "post_approval_response", "subagent_start",
)  # fmt: skip
"""The hooks that plugin.yaml lists. A run whose model answers 401 fires only the first and the third."""

MAX_OBSERVATIONS: Final = 5_000
"""The most observations in memory. Each one more drops the oldest, which is counted as lost."""

MANY_OBSERVATIONS: Final = 1_000
"""This many observations in memory wake the worker even if no run has ended."""

ERROR_CHARS: Final = 4_000
"""Characters of an error's text that are copied; the rest never leaves the hook."""

MAX_KNOWN_IDS: Final = 2_000
"""Sessions and tasks that are known to belong to cron runs, and as many approvals."""

_MODEL_REFUSAL = "ContentPolicyBlocked"
"""The host's error class for a model's own refusal. A provider's refusal has its exception's class."""

OBSERVED_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "post_api_request": (
        "model", "provider", "base_url", "response_model", "started_at", "ended_at", "api_duration",
        "finish_reason", "usage",
    ),
    "api_request_error": (
        "model", "provider", "base_url", "started_at", "ended_at", "status_code", "retry_count",
        "max_retries", "retryable", "reason", "exception_type", "message",
    ),
    "post_tool_call": (
        "tool_call_id", "tool_name", "duration_ms", "status", "error_type", "error_message",
        "approval",
    ),
}  # fmt: skip
"""The arguments of each hook that an observation holds. `exception_type` and `message` come from the
argument `error`; `approval` comes from the hooks of the approval."""


class RawObservation(NamedTuple):
    """One hook call, with the host's values as they were; `host.hook_payloads` turns it into a record."""

    hook: str
    run_session_id: str
    """The session of the cron run."""
    session_id: str
    """The session of the call: the run's, a subagent's, or one that continues the run's."""
    at_ns: int
    """When the host called the hook, in nanoseconds since the epoch."""
    values: tuple[object, ...]
    """The values of `OBSERVED_ARGUMENTS`, in that order; None where the host gave none."""

    @property
    def arguments(self) -> dict[str, object]:
        return dict(zip(OBSERVED_ARGUMENTS[self.hook], self.values, strict=True))


class Activity:
    """When hooks last saw a cron run, and the event that wakes the worker."""

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.last_hook_s: float | None = None
        """The monotonic time of the newest hook of a cron run; None before the first one."""
        self.last_end_s: float | None = None
        """The same for the newest hook that may be the last one of its run."""


class ObservationBuffer:
    """Observations in memory, oldest first, until the worker writes them into the journal.

    Many threads may add at the same time; one thread takes.
    """

    def __init__(self) -> None:
        # Plain tuples: to make a `RawObservation` costs more than all else that a hook does.
        self._items: deque[tuple[str, str, str, int, tuple[object, ...]]] = deque(
            maxlen=MAX_OBSERVATIONS
        )
        self._lost = 0

    def add(self, item: tuple[str, str, str, int, tuple[object, ...]]) -> bool:
        """Add the fields of a `RawObservation`. Return whether the buffer has just become large."""
        items = self._items
        if len(items) == MAX_OBSERVATIONS:
            self._lost += 1
        items.append(item)
        return len(items) == MANY_OBSERVATIONS

    def count_lost(self) -> None:
        self._lost += 1

    @property
    def is_large(self) -> bool:
        return len(self._items) >= MANY_OBSERVATIONS

    def take(self) -> tuple[list[RawObservation], int]:
        """Empty the buffer. Return its observations, oldest first, and how many were lost."""
        taken: list[RawObservation] = []
        while self._items:
            taken.append(RawObservation(*self._items.popleft()))
        lost, self._lost = self._lost, 0
        return taken, lost

    def put_back(self, observations: Sequence[RawObservation], lost: int) -> None:
        """Put observations that could not be written before those that came since."""
        room = MAX_OBSERVATIONS - len(self._items)
        self._lost += lost + max(0, len(observations) - room)
        self._items.extendleft(reversed(observations[-room:] if room else ()))


class Hooks:
    """The callbacks for one home, and what they collect for its worker."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._now_ns = clock.now_ns
        self._monotonic_s = clock.monotonic_s
        self.forget()

    def forget(self) -> None:
        """Start afresh. A forked child calls this: its parent's runs are not its own."""
        self.activity = Activity()
        self.observations = ObservationBuffer()
        self._started = False
        self._run_sessions: dict[str, str] = {}
        """The session of the cron run, by the ids of its other sessions and of its tasks."""
        self._approvals: dict[str, dict[str, object]] = {}
        """Approvals that were asked for, by the id of their tool call."""
        self._eviction_lock = threading.Lock()

    def callback(self, name: str, start_worker: Callable[[], None]) -> Callable[..., None]:
        """Return the callback for a hook; it never raises anything but a `KeyboardInterrupt`.

        The first callback that sees a cron run calls `start_worker`. If that raises, the next one does.
        """
        handler: _Handler
        match name:
            case "post_api_request":
                handler = self._observe_model_call
            case "post_tool_call":
                handler = self._observe_tool_call
            case "api_request_error":
                handler = self._error_handler(start_worker)
            case "pre_approval_request":
                handler = self._approval_requested
            case "post_approval_response":
                handler = self._approval_answered
            case "subagent_start":
                handler = self._subagent_started
            case _:
                handler = self._signaller(start_worker, may_end_run=name != "on_session_start")
        return self._never_raising(handler)

    def _never_raising(self, handler: _Handler) -> Callable[..., None]:
        def hook(**arguments: object) -> None:
            try:
                handler(arguments)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - the host's run comes first
                self.observations.count_lost()

        return hook

    # Signals to the worker.

    def _signaller(self, start_worker: Callable[[], None], *, may_end_run: bool) -> _Handler:
        """`may_end_run`: the hook may be the last one of its run."""

        def signal(arguments: _Arguments) -> None:
            session_id = arguments.get("session_id")
            if isinstance(session_id, str) and session_id.startswith("cron_"):
                activity = self.activity
                activity.last_hook_s = self._monotonic_s()
                if may_end_run:
                    activity.last_end_s = activity.last_hook_s
                if not self._started:
                    start_worker()  # the next hook calls it again if the machine is out of threads
                    self._started = True
                if not activity.wake.is_set():  # the worker clears it before it looks
                    activity.wake.set()

        return signal

    # Observations. The values are a tuple, because Python makes that in one call of C code.

    def _observe_model_call(self, arguments: _Arguments) -> None:
        values = tuple(map(arguments.get, OBSERVED_ARGUMENTS["post_api_request"]))
        self._observe("post_api_request", arguments, values)

    def _observe_tool_call(self, arguments: _Arguments) -> None:
        values = tuple(map(arguments.get, OBSERVED_ARGUMENTS["post_tool_call"]))
        if self._approvals:
            approval = self._approvals.pop(str(arguments.get("tool_call_id")), None)
            values = (*values[:-1], approval)
        self._observe("post_tool_call", arguments, values)

    def _error_handler(self, start_worker: Callable[[], None]) -> _Handler:
        signal = self._signaller(start_worker, may_end_run=True)
        keys = OBSERVED_ARGUMENTS["api_request_error"][:-2]

        def error(arguments: _Arguments) -> None:
            values = (*map(arguments.get, keys), *_error_values(arguments.get("error")))
            self._observe("api_request_error", arguments, values)
            if not _will_be_retried(arguments):
                signal(arguments)

        return error

    def _observe(self, hook: str, arguments: _Arguments, values: tuple[object, ...]) -> None:
        session_id = arguments.get("session_id")
        run_session_id = self._run_session(session_id, arguments.get("task_id"))
        if run_session_id is None:
            return
        item = (hook, run_session_id, str(session_id), self._now_ns(), values)
        if self.observations.add(item):
            self.activity.wake.set()

    def _run_session(self, session_id: object, task_id: object) -> str | None:
        """Return the session of the cron run that a session belongs to; None for a chat's session.

        A session that continues a run after a compression has an id of its own, and the run's task.
        """
        if not isinstance(session_id, str):
            return None
        if not session_id.startswith("cron_"):
            return self._run_sessions.get(session_id) or (
                self._run_sessions.get(task_id) if isinstance(task_id, str) else None
            )
        if isinstance(task_id, str) and task_id and task_id not in self._run_sessions:
            self._remember(self._run_sessions, task_id, session_id)
        return session_id

    def _subagent_started(self, arguments: _Arguments) -> None:
        child_id = arguments.get("child_session_id")
        run_session_id = self._run_session(arguments.get("parent_session_id"), None)
        if run_session_id is not None and isinstance(child_id, str):
            self._remember(self._run_sessions, child_id, run_session_id)

    def _approval_requested(self, arguments: _Arguments) -> None:
        """Keep the request until its tool call is observed: an approval names no session."""
        call_id = arguments.get("tool_call_id")
        if isinstance(call_id, str) and call_id:
            approval = {"surface": arguments.get("surface"), "asked_ns": self._now_ns()}
            self._remember(self._approvals, call_id, approval)

    def _approval_answered(self, arguments: _Arguments) -> None:
        call_id = arguments.get("tool_call_id")
        approval = self._approvals.get(call_id) if isinstance(call_id, str) else None
        if approval is not None:
            approval |= {"choice": arguments.get("choice"), "answered_ns": self._now_ns()}

    def _remember(self, known: dict[str, _V], key: str, value: _V) -> None:
        """Add an entry, and drop the oldest ones when there are too many.

        No hook marks the end of a run, so nothing else removes them.
        """
        with self._eviction_lock:
            while len(known) >= MAX_KNOWN_IDS:
                known.pop(next(iter(known)), None)
            known[key] = value


def _error_values(error: object) -> tuple[object, object]:
    """Return the class and the text of a hook's argument `error`; None where it has none."""
    if not isinstance(error, dict):
        return None, None
    exception_type = error.get("type")
    if exception_type == _MODEL_REFUSAL:
        return exception_type, None  # the host quotes what the model said in a successful answer
    message = error.get("message")
    if isinstance(message, str) and len(message) > ERROR_CHARS:
        message = message[:ERROR_CHARS]  # a server may answer with a whole page
    return exception_type, message


def _will_be_retried(arguments: _Arguments) -> bool:
    """Return whether the host tries the call again, so that its error does not end the run."""
    attempt, limit = arguments.get("retry_count"), arguments.get("max_retries")
    has_more = isinstance(attempt, int) and isinstance(limit, int) and attempt + 1 < limit
    return has_more and arguments.get("retryable") is True
