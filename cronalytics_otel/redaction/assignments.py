"""Values that are assigned to a name that announces a secret: `password=x`, `"api_key": "x"`.

The name does not decide by itself: `token`, `key`, `pass` and `auth` are also words of prose, of bills
and of test reports. So each of them has a judge, which looks at the name around the word and at the
value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from .rule import MASK, Edit
from .syntax import QUOTE, cased

NAME_HINTS = ("key", "secret", "pass", "pwd", "credential", "token", "auth")

NAME = re.compile(
    rf"(?P<word>{cased('key', 'secret', 'password', 'passwd', 'passphrase', 'passcode', 'pwd')}"
    r"|credentials?|Credentials?|CREDENTIALS?"
    rf"|{cased('token', 'pass', 'auth')})"
    r"(?:[_-]?(?:(?P<id>[iI][dD])|\d{1,2}|hash|HASH|value|VALUE|base64|BASE64))?"
    rf"(?:\s(?:provided|given|supplied))?(?P<quote>{QUOTE})?"
    rf"(?:\s*+(?::=|=>|[:=])\s*+"
    # `{"name": "DB_PASSWORD", "value": "x"}`
    rf"|[,;]?(?:\s|\\+n)*+(?:{QUOTE})?[vV]alue(?:{QUOTE})?\s*+[:=]\s*+"
    # `["--password", "x"]`, `("X-API-Key", "x")`
    rf"|(?P<pair>,\s*+)(?=[bu]?{QUOTE})"
    # `<password>x</password>`
    r"|(?P<tag>[\w.-]{0,16}(?:\s[^<>\n]{0,128})?>)(?=[^\s<>][^<>]{0,512}<\\*/))"
)
"""The end of a name, from the word that announces a secret to the beginning of the value."""

_BEFORE_CHARS = 16
"""Characters before the word that may belong to its name."""
_HEAD_CHARS = 96
"""Characters of a value that decide whether it is a secret."""

_IN_BARE = r"""[^\s"'`\\,;&<>()\[\]{}]"""
_BARE = re.compile(rf"{_IN_BARE}+")
_OPENING = re.compile(
    # Python also writes `b'x'` and three quotes, a shell `$'x'`.
    r"(?:(?:[bBrRuUfF]{1,2}|\$)(?=\\*[\"'][^\s,;:)}\]]))?"
    rf"(?P<quote>(?P<one>\\*[\"'])(?P=one){{2}}|{QUOTE})"
)
_CLOSING = re.compile(rf"(?<!\\){QUOTE}")


class Value(NamedTuple):
    """What follows a name in a text."""

    text: str
    """The whole text."""
    before: str
    """The text before the word of the name."""
    name: re.Match[str]
    start: int
    quote: str
    """The opening quote; empty for a value without quotes."""

    def begins(self, form: re.Pattern[str]) -> bool:
        """Return whether the value begins in this form, whatever its length."""
        return form.match(self.text, self.start) is not None

    def head(self, form: re.Pattern[str]) -> re.Match[str] | None:
        """Return the match of this form with the head of the value."""
        return form.match(self.text, self.start, self.start + _HEAD_CHARS)


def mask_assignments(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield an edit for each value that is a secret."""
    done = 0
    for name in matches:
        if name.start() < done:
            continue
        value = _value(name)
        if not _may_be_secret(value):
            continue
        end = _end(value)
        if not _is_secret(value, end):
            continue
        # JSON stays JSON: a bare number beside a quoted name becomes a quoted mask.
        quote = "" if value.quote or name["tag"] else name["quote"] or ""
        yield value.start, end, f"{quote}{MASK}{quote}"
        done = end


def _value(name: re.Match[str]) -> Value:
    text, at = name.string, name.start()
    before = text[max(0, at - _BEFORE_CHARS) : at]
    opening = None if name["tag"] else _OPENING.match(text, name.end())
    if opening is None:
        return Value(text, before, name, name.end(), "")
    return Value(text, before, name, opening.end(), opening["quote"])


# --- whether it is a secret ---------------------------------------------------------------------


def _may_be_secret(value: Value) -> bool:
    """Judge by the name and the head of the value."""
    if value.name["tag"] and not _is_tag(value):
        return False
    judge = _JUDGES.get(value.name["word"].lower())
    return judge is None or judge(value)


_HARMLESS_VALUE = re.compile(
    r"(?:true|false|null|none|nil|undefined|yes|no|required|optional|missing|invalid|expired"
    r"|empty|unset|\*+|\[masked\]?)\Z",
    re.IGNORECASE,
)


def _is_secret(value: Value, end: int) -> bool:
    """Judge by the whole value."""
    if end == value.start or _HARMLESS_VALUE.match(
        value.text, value.start, min(end, value.start + _HEAD_CHARS)
    ):
        return False
    return not value.name["pair"] or _is_pair(value, end)


_OPENED_TAG = re.compile(r"<(?P<name>[\w:.-]{0,48})\Z")


def _is_tag(value: Value) -> bool:
    """Return whether a tag of the same name closes the value."""
    text, name = value.text, value.name
    opened = _OPENED_TAG.search(text, max(0, name.start() - 64), name.start())
    if opened is None:
        return False
    end = text[(at := text.index("<", name.end())) : at + 256].replace("\\", "")
    return end.startswith(f"</{opened['name']}{name['word']}")


_OPENED_PAIR = re.compile(
    rf"(?:[(\[]\s*+[bu]?{QUOTE}(?!-)[\w-]{{0,48}}|(?P<flag>{QUOTE}--?[\w-]{{0,48}}))\Z"
)
_CLOSED_PAIR = re.compile(rf"{QUOTE}\s*+[)\]]")


def _is_pair(value: Value, end: int) -> bool:
    """Return whether this is a name with its value and no more, or an option with the next argument."""
    text, name = value.text, value.name
    opened = _OPENED_PAIR.search(text, max(0, name.start() - 64), name.start())
    if opened is None or not name["quote"]:
        return False
    if opened["flag"]:
        return not text.startswith("-", value.start)
    return _CLOSED_PAIR.match(text, end) is not None


# --- the judges of words that mean more than one thing ------------------------------------------

_MIXED = re.compile(rf"(?=\d{{0,64}}[A-Za-z])(?={_IN_BARE}{{6}})(?:(?!\d){_IN_BARE}){{0,64}}\d")
"""Six characters or more, of letters and digits."""

_AWS_RESOURCE = re.compile(r":\d{12}:\Z")
"""`arn:aws:secretsmanager:eu-west-1:123456789012:secret:name`"""


def _judge_secret(value: Value) -> bool:
    """Refuse the name of a secret: `secret_id: db-main`."""
    if value.name["id"] and not value.head(_MIXED):
        return False
    return _AWS_RESOURCE.search(value.before) is None


_BEFORE_KEY = re.compile(
    r"(?:api|access|account|private|signing|encryption|shared|secret|auth|master|subscription|functions"
    r"|storage|hmac|integration|webhook|deploy|admin|service|application|ingest(?:ion)?|license|insert|write)"
    r"[ _-]?\Z",
    re.IGNORECASE,
)


def _judge_key(value: Value) -> bool:
    """Accept `api_key`, refuse `monkey` and `sort_key`."""
    return _BEFORE_KEY.search(value.before) is not None


def _judge_pwd(value: Value) -> bool:
    """Refuse a path: `pwd` also names the working directory."""
    return not value.text.startswith(("/", "~", "."), value.start)


_BEFORE_TOKEN = re.compile(
    r"(?:access|auth|refresh|bearer|bot|id|session|api|oauth|csrf|xsrf|personal|push|device|app|"
    r"user|service|deploy|webhook|security|private|vault|consul|job)[ _-]?\Z",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?[kKM]?\Z")
_LONG_OR_MIXED = re.compile(r"(?=.{6})(?:[^\s\d]{0,64}\d|\S{16})")


def _judge_token(value: Value) -> bool:
    """Refuse what parsers and bills call a token: `unexpected token: x`, `token = 512`."""
    if _BEFORE_TOKEN.search(value.before) or (value.name["quote"] and value.quote):
        return True
    head = value.head(_BARE)
    if head is None or _NUMBER.match(head[0]):
        return False
    if value.name[0].endswith("=") and len(head[0]) >= 4:
        return True
    return _LONG_OR_MIXED.match(head[0]) is not None


_WORDS_WITH_PASS = re.compile(r"(?:by|com|sur|tres|under|over)\Z", re.IGNORECASE)
"""`bypass`, `compass` and the like."""
_SENTENCE = re.compile(r"[A-Za-z]{1,16} [a-z]{2,64}+(?![\w@+~-]|\.\w)")
"""`sshpass: command not found`. The second word must be a word as a whole: a key after a password is
not a sentence, and it will be masked."""
_PART_OF_NAME = re.compile(r"[A-Za-z0-9_]\Z")
_COMPARISON_OR_COUNT = re.compile(rf"=|\d{{1,3}}(?:[./]\d+)?[%.:]*(?!{_IN_BARE})")
"""A comparison, a count: `pass == x`, `pass=12`."""
_TEST_NAME = re.compile(r"[Tt]ests?(?![a-z])")


def _judge_pass(value: Value) -> bool:
    """Accept `DB_PASS=x`, `dbPass: x`; refuse `pass: x` of test reports and of prose."""
    before = value.before
    assigned = "=" in value.name[0]
    if before.endswith("ssh") and not assigned and value.begins(_SENTENCE):
        return False
    if _WORDS_WITH_PASS.search(before) or value.begins(_COMPARISON_OR_COUNT):
        return False
    if value.quote or assigned or _PART_OF_NAME.search(before):
        return True
    return value.head(_MIXED) is not None and not value.begins(_TEST_NAME)


_BEFORE_NPM_AUTH = re.compile(r"(?<![A-Za-z0-9])_\Z")
_AUTH_METHOD = re.compile(
    r"(?:=|https?://|(?:basic|bearer|digest|plain|login|token|password|ldap|saml|oidc|ntlm|on|off"
    r"|negotiate|kerberos|enabled|disabled|none"
    r"|(?:[a-z]{1,16}[-_]){0,3}(?:oauth|sha|md|sigv|x|v|http|tls)[-_]?\d{0,3}(?:\.\d{1,2})?)"
    rf"(?!{_IN_BARE}))",
    re.IGNORECASE,
)
"""Words after `auth` that are not a secret: `auth=plain`, `auth: scram-sha-256`."""
_BASE64 = re.compile(
    r"(?=[^A-Z]{0,16}[A-Z])(?=[^a-z]{0,16}[a-z])[A-Za-z0-9+/_-]{16,64}+={0,2}+(?!\()"
)


def _judge_auth(value: Value) -> bool:
    """Accept `AUTH=x`, `_auth=dXNlcjpwYXNz`, `auth: a1b2c3`; refuse the name of a method or an error."""
    name = value.name
    if _is_end_of_other_word(value) or value.begins(_AUTH_METHOD):
        return False
    if value.head(_MIXED) or (name[0].endswith("=") and _BEFORE_NPM_AUTH.search(value.before)):
        return True
    if "=" not in name[0] and not name["quote"]:
        return False
    if name["word"] == "AUTH":
        return not value.begins(_COMPARISON_OR_COUNT)
    return value.head(_BASE64) is not None


def _is_end_of_other_word(value: Value) -> bool:
    """Return whether `auth` ends `oauth` or `unauth`; the capital of `proxyAuth` begins a word."""
    last = value.before[-1:]
    if not (last.isascii() and last.isalpha()):
        return False
    return value.name["word"] != "Auth" or last.isupper() or last == "o"


_JUDGES: Mapping[str, Callable[[Value], bool]] = {
    "secret": _judge_secret,
    "key": _judge_key,
    "pwd": _judge_pwd,
    "token": _judge_token,
    "pass": _judge_pass,
    "auth": _judge_auth,
}
"""The other words mean a secret whatever the value is."""


# --- where a value ends -------------------------------------------------------------------------


def _end(value: Value) -> int:
    if value.quote:
        return _quoted_end(value.text, value.start, value.quote)
    if value.name["tag"]:
        return value.text.index("<", value.start)
    bare = _BARE.match(value.text, value.start)
    return bare.end() if bare else value.start


def _quoted_end(text: str, start: int, quote: str) -> int:
    """Return where the quote closes, or the end of the line.

    A quote with more backslashes than the opening one belongs to the value, unless the extra ones are
    pairs and no letter or digit follows.
    """
    end, mark, depth = len(text), quote[-1], len(quote)
    if quote.count(mark) > 1:
        closing = text.find(quote, start)
        end = end if closing < 0 else closing
    else:
        for found in _CLOSING.finditer(text, start):
            more = len(found[0]) - depth
            if found[0][-1] != mark or more < 0 or more % (2 * depth):
                continue
            if not more or not text[found.end() : found.end() + 1].isalnum():
                end = found.end() - depth
                break
    newline = text.find("\n", start, end)
    return end if newline < 0 else newline


# --- in prose -----------------------------------------------------------------------------------

VALUE_IN_PROSE = re.compile(
    rf"((?:{cased('secret', 'token', 'password', 'passwd', 'credential')}"
    rf"|{cased('api key', 'api-key', 'apikey', 'access key', 'private key')}|API key)s?"
    r"(?i:\s+(?:hash|value|provided|used|of|for))?(?:\s+(?P<is>is|was))?[\s:=(\"'`]{1,4})"
    r"(?=[A-Za-z+/_!-]{0,64}\d)"
    r"(?:[A-Za-z0-9+/_-]{20,}={0,2}|(?(is)(?=\d*[A-Za-z])[^\s\"'`\\]{6,}|(?!)))"
)
"""A long value of letters and digits: `the token 3f2a...`. After `is`, a shorter one counts too."""
