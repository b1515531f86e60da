"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .rule import MASK, Edit

EMAIL_HOST = re.compile(r"@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
"""The part of an address from the `@`. The search begins there, since every word of a text could be
the part before it."""

_MAILBOX = re.compile(r"[\w.%+-]{1,64}\Z")
_MAILBOX_CHARS = 64
_JSON_ESCAPE = re.compile(r"(?<=\\)(?:[nrtbf]|u[0-9a-fA-F]{4})(?=.)")


def mask_addresses(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield an edit for each address; `git@host` names a repository and stays."""
    done = 0
    for host in matches:
        text, at = host.string, host.start()
        mailbox = _MAILBOX.search(text, max(done, at - _MAILBOX_CHARS), at)
        if mailbox is None or mailbox[0] == "git":
            continue
        # In a JSON text the letter after a backslash belongs to the backslash.
        escape = _JSON_ESCAPE.match(text, mailbox.start(), at)
        done = host.end()
        yield escape.end() if escape else mailbox.start(), done, MASK
