"""What a rule of redaction is, and how it is applied to a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

MASK = "[masked]"
"""The text that replaces a secret."""


Edit: TypeAlias = tuple[int, int, str]
"""Start, end and replacement of a stretch of text. (A plain tuple: a text may have many.)"""

Edits: TypeAlias = Callable[[Iterator[re.Match[str]]], Iterator[Edit]]
"""Yields the edits of one text, given all matches in it. The edits are in order and do not overlap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One kind of secret: how it is found, and how it is replaced.

    Every pattern must be linear in the length of the text, whatever the text is, since strangers write
    what an agent reads: bound each repetition, or make it possessive.
    """

    name: str
    hints: tuple[str, ...]
    """The rule is tried on a text only if the text in lower case has one of these."""
    pattern: re.Pattern[str]
    replacement: str | Edits
    """A template, as `re.sub` takes it; or a function, where the match is not enough to decide."""

    def apply(self, text: str) -> str:
        """Return the text with every match replaced."""
        if isinstance(self.replacement, str):
            return self.pattern.sub(self.replacement, text)
        return edited(text, self.replacement(self.pattern.finditer(text)))


def edited(text: str, edits: Iterator[Edit]) -> str:
    """Return the text with all edits made."""
    pieces: list[str] = []
    done = 0
    for start, end, replacement in edits:
        pieces += (text[done:start], replacement)
        done = end
    return "".join((*pieces, text[done:])) if pieces else text
