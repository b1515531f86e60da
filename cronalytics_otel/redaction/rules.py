"""The rules by which secrets are recognised, and the function that applies them.

Some secrets are known by their form: keys of well-known services, private keys, tokens, URLs with a
password. The others are known by their context: a value after `password` or `Authorization`. The rules
cannot know every secret. They let prose, numbers, UUIDs and git hashes through on purpose.
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import assignments, command_options, headers, urls
from .addresses import AT_HOST, addresses_masked
from .encodings import decoded, encoded_masked
from .keys import LONG_WORD, keys_masked
from .rule import MASK, Rule

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
"""A PEM block. Without its end, it goes on to the end of the text."""

_AFTER_GROUP = rf"\g<1>{MASK}"
"""The first group is what stands before the secret and stays."""

RULES = (
    Rule(
        name="private key",
        hints=("private key",),
        pattern=_PRIVATE_KEY,
        replacement=MASK,
    ),
    Rule(
        name="user and password in a URL",
        hints=("://",),
        pattern=urls.USER_INFO,
        replacement=MASK,
    ),
    Rule(
        name="user and password of a Go database",
        hints=("@tcp(", "@unix("),
        pattern=urls.GO_DATABASE,
        replacement=MASK,
    ),
    Rule(
        name="webhook",
        hints=urls.WEBHOOK_HINTS,
        pattern=urls.WEBHOOK,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="header",
        hints=("authorization", "cookie", "honeycomb-team"),
        pattern=headers.HEADER,
        replacement=headers.HEADER_MASKED,
    ),
    Rule(
        name="credentials after their scheme",
        hints=("bearer", "basic"),
        pattern=headers.CREDENTIALS,
        replacement=headers.credentials_masked,
    ),
    Rule(
        name="assignment",
        hints=assignments.NAME_HINTS,
        pattern=assignments.NAME,
        replacement=assignments.assignments_masked,
    ),
    Rule(
        name="value in prose",
        hints=assignments.NAME_HINTS,
        pattern=assignments.SPOKEN_VALUE,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="password of SQL or a .netrc",
        hints=("password", "identified"),
        pattern=command_options.SPOKEN_PASSWORD,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="secret option",
        hints=("--",),
        pattern=command_options.SECRET_OPTION,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="user option",
        hints=("curl", "-u"),
        pattern=command_options.USER_OPTION,
        replacement=command_options.users_masked,
    ),
    Rule(
        name="password of sshpass",
        hints=("sshpass",),
        pattern=command_options.SSHPASS_OPTION,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="password of mysql",
        hints=("mysql", "mariadb"),
        pattern=command_options.MYSQL_OPTION,
        replacement=command_options.mysql_masked,
    ),
    Rule(
        name="query parameter",
        hints=("=",),
        pattern=urls.QUERY_PARAMETER,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="session id",
        hints=("id=",),
        pattern=urls.SESSION_ID,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="key of a service",
        hints=("",),
        pattern=LONG_WORD,
        replacement=keys_masked,
    ),
    Rule(
        name="e-mail address",
        hints=("@",),
        pattern=AT_HOST,
        replacement=addresses_masked,
    ),
)
"""In the order in which they are applied."""

_HINTS = tuple(dict.fromkeys(hint for rule in RULES for hint in rule.hints))


def mask(text: str) -> str:
    """Return the text with every secret that is recognised, and every e-mail address, as `[masked]`.

    A key and the punctuation around a value stay, so that an error still reads: `password=[masked]`.
    Needless escapes and the colours of a terminal go.
    """
    return _apply(encoded_masked(decoded(text), _apply))


def _apply(text: str) -> str:
    lowered = text.lower()
    for rule in _rules_for(tuple([hint for hint in _HINTS if hint in lowered])):
        text = rule.apply(text)
    return text


@lru_cache(maxsize=1_024)
def _rules_for(hints: tuple[str, ...]) -> tuple[Rule, ...]:
    """Return the rules that may match a text with these hints in it. (Most texts have the same few.)"""
    return tuple(rule for rule in RULES if not set(hints).isdisjoint(rule.hints))
