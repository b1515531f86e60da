"""Which texts are sent, masked and cut to a length.

Pure functions. `redaction` knows what a secret looks like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias, cast

from ..model import AttributeValue, Conversation, Message, Run
from ..redaction import mask

TRACE_BYTES = 3_000_000
"""The most content of one trace: collectors take 4 MiB a request, and a trace is never split."""

ERROR_TEXT_CHARS = 2_000
"""Length limit of an error text. (Error texts are always sent, masked.)"""

NAME_CHARS = 128
"""Length limit of a name in a span's name (job, tool, model): it ends up in drop-downs."""

VALUE_CHARS = 512
"""Length limit of an identifying value (job name, schedule, session)."""

_ELLIPSIS = "…"


class ContentMode(StrEnum):
    """Which runs send their prompts, answers, tool arguments and results."""

    OFF = "off"
    ERRORS = "errors"
    """Only failed runs."""
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPolicy:
    """Which content is sent.

    `jobs` overrides `mode` for single jobs, by id or by the name at the time of the run; an id wins.
    `max_chars` is the limit of the text in one attribute.
    """

    mode: ContentMode = ContentMode.OFF
    jobs: Mapping[str, ContentMode] = field(default_factory=dict)
    max_chars: int = 4_096

    def __post_init__(self) -> None:
        if self.max_chars < 1:
            raise ValueError(f"max_chars must be at least 1, not {self.max_chars}")

    def includes(self, run: Run) -> bool:
        """Return whether the content of this run is sent."""
        of_name = self.jobs.get(run.job_name.strip(), self.mode)
        mode = self.jobs.get(run.job_id, of_name) if self.jobs else self.mode
        return mode is ContentMode.FULL or (mode is ContentMode.ERRORS and run.failed)

    def limited_to(self, conversation: Conversation) -> ContentPolicy:
        """Return this policy with a limit under which the conversation's content fits into a request.

        Long texts are cut shorter, and short ones stay whole.
        """
        texts = [text[: self.max_chars] for text in _texts(conversation)]
        chars, size = sum(map(len, texts)), sum(map(_wire_bytes, texts))
        if _COPIES_PER_TEXT * size <= TRACE_BYTES:
            return self
        fitting = TRACE_BYTES * chars // (_COPIES_PER_TEXT * size)
        return replace(self, max_chars=_fair_limit(list(map(len, texts)), fitting, self.max_chars))


_COPIES_PER_TEXT = 2
"""Nearly every text is sent twice: a tool's result on its call and on the next chat."""


def _texts(conversation: Conversation) -> Iterator[str]:
    for message in conversation.messages:
        yield message.content or ""
        yield from (call.arguments or "" for call in message.tool_calls)
    for child in conversation.children:
        yield from _texts(child)


def _wire_bytes(text: str) -> int:
    """Return a text's size as JSON in UTF-8."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace"))


def _fair_limit(lengths: list[int], total: int, most: int) -> int:
    """Return the greatest limit, from 1 to `most`, to which texts may be cut to be `total` together."""
    left = total
    for at, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - at)
        if length > share:
            return max(1, min(share, most))
        left -= length
    return most


@lru_cache(maxsize=1_024)
def name_text(text: str | None) -> str | None:
    """Return a name on one line, masked and cut, or None when nothing is left. (The result is cached:
    the same few names come in every span.)"""
    if not text:
        return None
    return masked_and_cut(" ".join(text.split()), NAME_CHARS) or None


def value_text(text: str | None) -> str | None:
    """Return an identifying value, masked and cut but otherwise as it is, or None when it is blank."""
    if not text or text.isspace():
        return None
    return _cached_text(text, VALUE_CHARS)


def _cached_text(text: str, limit: int) -> str:
    """Mask and cut a text that is mostly short and that occurs again in the next step or run."""
    return (_cached_short if len(text) <= VALUE_CHARS else masked_and_cut)(text, limit)


@lru_cache(maxsize=1_024)
def _cached_short(text: str, limit: int) -> str:
    return text if _HOST_ID.fullmatch(text) else masked_and_cut(text, limit)


_HOST_ID = re.compile(
    r"cron_[0-9a-f]{1,32}_\d{8}_\d{6}|\d{8}_\d{6}_[0-9a-f]{1,16}|(?:call_)?[0-9a-f]{1,32}"
)
"""The host's ids. Each run has a different one, and no rule of redaction matches them."""


def error_text(text: str | None) -> str | None:
    """Return an error's text, masked and cut, or None when there is none."""
    stripped = text.strip() if text else ""
    if not stripped:
        return None
    return _cached_text(stripped, ERROR_TEXT_CHARS)


def masked_and_cut(text: str, limit: int) -> str:
    """Mask a text before it is cut, since half a secret is not recognised.

    A long text is shortened before it is masked, with a margin: the last part, where this first cut may
    have split a secret, never shows.
    """
    rough = limit + 4 * _SPLIT_CHARS
    if len(text) <= rough:
        return cut(mask(well_formed(text)), limit)
    masked = mask(well_formed(text[:rough]))
    return cut(masked[: max(0, len(masked) - _SPLIT_CHARS)] + _ELLIPSIS, limit)


_SPLIT_CHARS = 2_048
"""No secret that we know is longer, but for a PEM block, which is also masked without its end."""


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters; a text that was longer ends with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def well_formed(text: str) -> str:
    """Replace by U+FFFD what no text that is sent may contain.

    These are lone surrogates, which JSON can hold and UTF-8 (so OTLP) cannot, and NUL, also as JSON writes
    it: a store on Postgres refuses the whole request for one.
    """
    if is_well_formed(text):
        return text
    return _UNSENDABLE.sub("\ufffd", text.replace(_NUL_IN_JSON, r"\ufffd"))


def is_well_formed(text: str) -> bool:
    if "\0" in text or _NUL_IN_JSON in text:
        return False
    return text.isascii() or _UNSENDABLE.search(text) is None


_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_NUL_IN_JSON = r"\u0000"


def well_formed_attributes(
    attributes: Mapping[str, AttributeValue],
) -> Mapping[str, AttributeValue]:
    """Return attributes with well-formed texts: the same mapping if they are, as nearly always."""
    for value in attributes.values():
        if isinstance(value, str):
            if not value.isascii() or "\0" in value:
                break
        elif isinstance(value, tuple) and not all(map(is_well_formed, value)):
            break
    else:
        return attributes
    return {name: _with_well_formed_texts(value) for name, value in attributes.items()}


def _with_well_formed_texts(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return well_formed(value)
    return tuple(map(well_formed, value)) if isinstance(value, tuple) else value


# --- messages -----------------------------------------------------------------------------------

_Json: TypeAlias = "str | dict[str, _Json] | list[_Json]"


class _Budget:
    """Spends the limit of one attribute over its texts, first come first served."""

    def __init__(self, chars: int) -> None:
        self._left = chars

    def take(self, text: str) -> str:
        if self._left < 1:
            return _ELLIPSIS
        taken = masked_and_cut(text, self._left)
        self._left -= len(taken)
        return taken


def messages_json(messages: Sequence[Message], max_chars: int) -> str | None:
    """Return the GenAI conventions' JSON, a list of `{"role", "parts": [...]}`; None without messages.

    Parts are `text`, `tool_call` and `tool_call_response`. Together the texts have at most
    `max_chars` characters; secrets are masked.
    """
    if not messages:
        return None
    budget = _Budget(max_chars)
    shaped = [_message(message, budget) for message in messages]
    return json.dumps(shaped, ensure_ascii=False, separators=(",", ":"))


def _message(message: Message, budget: _Budget) -> _Json:
    parts: list[_Json] = []
    if message.role == "tool":
        response: dict[str, _Json] = {"type": "tool_call_response"}
        if call_id := value_text(message.tool_call_id):
            response["id"] = call_id
        response["response"] = budget.take(message.content or "")
        parts.append(response)
    elif message.content:
        parts.append({"type": "text", "content": budget.take(message.content)})
    for call in message.tool_calls:
        request: dict[str, _Json] = {"type": "tool_call", "name": name_text(call.name) or "unknown"}
        if call_id := value_text(call.call_id):
            request["id"] = call_id
        if call.arguments:
            request["arguments"] = _as_object(budget.take(call.arguments))
        parts.append(request)
    shaped: dict[str, _Json] = {"role": name_text(message.role) or "unknown", "parts": parts}
    if message.role == "assistant":
        # Up to v1.41 the schema requires one on every output message.
        reason = name_text(message.finish_reason) or "unknown"
        shaped["finish_reason"] = _FINISH_REASON.get(reason, reason)
    return shaped


_FINISH_REASON = {"tool_calls": "tool_call"}
"""The host's word (OpenAI's), and the schema's; the others are the same."""


def _as_object(text: str) -> _Json:
    """Return arguments as the object that the conventions ask for, or as text if they are none or cut."""
    if not text.startswith("{"):
        return text
    try:
        found = json.loads(text)
        # It is nested deeper here than in its message, which is written later without this check.
        plain = json.dumps([[[[[[[[found]]]]]]]], ensure_ascii=False, allow_nan=False)
    except (ValueError, RecursionError):
        return text
    # A secret that was written in escapes is recognised only now.
    return cast("_Json", found) if mask(plain) == plain and is_well_formed(plain) else text
