"""The rules by which secrets are recognised, and the function that applies them.

Some secrets are known by their form: keys of well-known services, private keys, tokens, URLs with a
password. The others are known by their context: a value after `password` or `Authorization`. The rules
cannot know every secret. They let prose, numbers, UUIDs and git hashes through on purpose.
"""

from __future__ import annotations

import re
from functools import lru_cache

from . import assignments, command_options, headers, urls
from .addresses import EMAIL_HOST, mask_addresses
from .encodings import decoded, mask_encoded
from .keys import LONG_WORD, mask_keys
from .rule import MASK, Rule

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
"""A PEM block. Without its end, it goes on to the end of the text."""

_AFTER_GROUP = rf"\g<1>{MASK}"
"""The first group is the text before the secret, which stays."""

ALWAYS = ("",)
"""The hint of a rule that is tried on every text."""

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
        replacement=headers.mask_credentials,
    ),
    Rule(
        name="assignment",
        hints=assignments.NAME_HINTS,
        pattern=assignments.NAME,
        replacement=assignments.mask_assignments,
    ),
    Rule(
        name="value in prose",
        hints=assignments.NAME_HINTS,
        pattern=assignments.VALUE_IN_PROSE,
        replacement=_AFTER_GROUP,
    ),
    Rule(
        name="password of SQL or a .netrc",
        hints=("password", "identified"),
        pattern=command_options.PASSWORD_IN_PROSE,
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
        replacement=command_options.mask_users,
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
        replacement=command_options.mask_mysql_passwords,
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
        hints=ALWAYS,
        pattern=LONG_WORD,
        replacement=mask_keys,
    ),
    Rule(
        name="e-mail address",
        hints=("@",),
        pattern=EMAIL_HOST,
        replacement=mask_addresses,
    ),
)
"""In the order in which they are applied."""

_HINTS = tuple(dict.fromkeys(hint for rule in RULES for hint in rule.hints))


def mask(text: str) -> str:
    """Return the text with every secret that is recognised, and every e-mail address, as `[masked]`.

    The name before a value, and the punctuation around it, stay, so that an error still reads:
    `password=[masked]`. Needless escapes and the colours of a terminal are removed.
    """
    return _apply(mask_encoded(decoded(text), _apply))


def _apply(text: str) -> str:
    lowered = text.lower()
    for rule in _rules_for(tuple([hint for hint in _HINTS if hint in lowered])):
        text = rule.apply(text)
    return text


@lru_cache(maxsize=1_024)
def _rules_for(hints: tuple[str, ...]) -> tuple[Rule, ...]:
    """Return the rules that may match a text with these hints in it. (Most texts have the same few.)"""
    return tuple(rule for rule in RULES if not set(hints).isdisjoint(rule.hints))
