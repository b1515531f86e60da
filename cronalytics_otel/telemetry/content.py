"""What may leave of a text: whether at all, with secrets masked, and how long. Pure functions.

Masking goes by shape (the key formats of well-known services, PEM blocks, JWTs, URLs with a
password) and by context (a value after a word such as `password` or `Authorization`). It cannot
know every secret; what it lets through on purpose is prose, numbers, UUIDs and git hashes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TypeAlias

from ..model import Message

MASK = "[masked]"

ERROR_TEXT_CHARS = 2_000
"""Length limit of an error text, which always goes onto the wire (masked)."""

NAME_CHARS = 128
"""Length limit of a name in a span's name (job, tool, model): it ends up in drop-downs."""

VALUE_CHARS = 512
"""Length limit of an identifying value (job name, schedule, session)."""

_ELLIPSIS = "…"


class ContentMode(StrEnum):
    """Which runs' prompts, answers, tool arguments and results leave."""

    OFF = "off"
    ERRORS = "errors"
    """Only those of failed runs."""
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPolicy:
    """`max_chars` is the limit of the text in one attribute."""

    mode: ContentMode = ContentMode.OFF
    max_chars: int = 4_096

    def __post_init__(self) -> None:
        if self.max_chars < 1:
            raise ValueError(f"max_chars must be at least 1, not {self.max_chars}")

    def includes(self, *, failed: bool) -> bool:
        """Whether the content of a run goes along."""
        return self.mode is ContentMode.FULL or (self.mode is ContentMode.ERRORS and failed)


@lru_cache(maxsize=1_024)
def name_text(text: str | None) -> str | None:
    """A name on one line, bounded; None when nothing is left. (The same few come in every span.)"""
    if not text:
        return None
    return cut(well_formed(" ".join(text.split())), NAME_CHARS) or None


def value_text(text: str | None) -> str | None:
    """An identifying value as it is, bounded; None when blank. Not masked: it identifies."""
    if not text or text.isspace():
        return None
    return cut(well_formed(text), VALUE_CHARS)


def error_text(text: str | None) -> str | None:
    """An error's text as it may leave: secrets masked, cut; None when there is none."""
    if not text or not text.strip():
        return None
    return masked_and_cut(text.strip(), ERROR_TEXT_CHARS)


def masked_and_cut(text: str, limit: int) -> str:
    """Masked first, so that no secret is cut into a shape that is not recognised.

    A long text is shortened before masking, with a margin to spare: what stood in the last part of
    it, where that cut may have split a secret, never shows.
    """
    rough = limit + 4 * _SPLIT_CHARS
    if len(text) <= rough:
        return cut(mask(well_formed(text)), limit)
    masked = mask(well_formed(text[:rough]))
    return cut(masked[: max(0, len(masked) - _SPLIT_CHARS)] + _ELLIPSIS, limit)


_SPLIT_CHARS = 2_048
"""No secret that we know is longer, a PEM block apart, and that is masked without its end too."""


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; an ellipsis is the last of a text that was longer."""
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS


def well_formed(text: str) -> str:
    """With U+FFFD for each lone surrogate: JSON can hold them, UTF-8 and so OTLP cannot."""
    if text.isascii():
        return text
    return _SURROGATE.sub("\ufffd", text)


_SURROGATE = re.compile("[\ud800-\udfff]")


# --- masking ------------------------------------------------------------------------------------
#
# Every rule is linear in the length of the text, whatever the text is: no rule can be made to
# backtrack over a long run, since what an agent reads is written by strangers.

_QUOTE = r"""\\*["'`]"""
"""A quote, also inside JSON inside JSON."""

_UNMASKED = r"(?!\[masked\])"

_BLOCKS = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)

_SHAPES = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[A-Za-z_-]{0,64}\d)[\w-]{6,}|sk-[\w-]{16,}"  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"|[srp]k_(?:live|test)_\w{8,}|whsec_\w{8,}"  # Stripe
    r"|gh[opsru]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"  # GitHub, GitLab
    r"|(?:AKIA|ASIA)[A-Z0-9]{12,}"  # AWS
    r"|AIza[\w-]{24,}|ya29\.[\w.-]{16,}|GOCSPX-[\w-]{16,}"  # Google
    r"|xox[a-z]-[\w-]{8,}|xapp-[\w-]{8,}"  # Slack
    r"|hf_\w{16,}|gsk_\w{16,}|xai-[\w-]{16,}|pplx-\w{16,}|r8_\w{16,}|nvapi-[\w-]{16,}"  # models
    r"|tvly-[\w-]{12,}|npm_\w{24,}|pypi-[\w-]{24,}|dop_v1_\w{24,}|shp(?:at|ss)_\w{16,}"
    r"|hv[sbr]\.[\w-]{16,}|lin_(?:api|oauth)_\w{16,}"  # Vault, Linear
    r"|SG\.[\w-]{12,}\.[\w-]{12,}"  # SendGrid
    r"|\d{8,10}:[\w-]{34,36}(?![\w-])"  # Telegram bots
    r"|eyJ[\w-]{8,}(?:\.[\w-]*){1,4}|eyJ[\w-]{32,}"  # JWT, whole or cut
    r")"
)

_HOOK_URLS = re.compile(
    r"(hooks\.slack\.com/(?:services|workflows|triggers)/|discord(?:app)?\.com/api/webhooks/"
    rf"|api\.telegram\.org/bot){_UNMASKED}[^\s\"'<>\\]+",
    re.IGNORECASE,
)

_URL_USERINFO = re.compile(
    # A user name may be an e-mail address.
    r"(?<=://)(?:[^\s/:\"'<>\\]{0,256}:[^\s/\"'<>\\]{1,1024}|[^\s/@:\"'<>\\]{16,1024})(?=@)"
)

_URL_QUERY = re.compile(
    r"([?&](?:[\w.-]{0,40}(?:key|sig|signature|credential|auth)|code|session|pwd)=)"
    rf"{_UNMASKED}[^&\s\"'<>\\]+",
    re.IGNORECASE,
)

_HEADERS = re.compile(
    rf"\b(authorization(?:{_QUOTE})?\s*+[:=]\s*+(?:{_QUOTE})?+"
    rf"(?:(?:bearer|basic|token|digest|apikey|aws4-hmac-sha256|negotiate)\s++)?+)"
    rf"{_UNMASKED}[^\s\"'`\\,;<>]+"
    rf"|\b((?:set-)?cookie(?:{_QUOTE})?\s*+:\s*+(?:{_QUOTE})?+){_UNMASKED}[^\n\"'`\\<>]+",
    re.IGNORECASE,
)

_SCHEMES = re.compile(
    r"\b(bearer\s++)"
    # Words of prose that stand after `bearer`.
    r"(?!(?:tokens?|auth\w*|headers?|schemes?|credentials?|realm|format|prefix|of|is|was|not|and|or|"
    r"required|missing|invalid|expired|error\w*|method|security)\b)"
    r"[A-Za-z0-9._~+/=-]{6,}"
    r"|\b(basic\s++)(?:(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{12,}={0,2}|[A-Za-z0-9+/]{6,}={1,2})",
    re.IGNORECASE,
)

_FLAGS = re.compile(
    r"((?<![\w-])--(?!-)[\w-]{0,40}(?:passw(?:or)?d|passphrase|(?<!by)pass|token|secret|api-?key)"
    r"\s++[\"']?)"
    rf"(?![-|&;<>]|\d(?:\s|\Z)){_UNMASKED}[^\s\"'\\]+"
    rf"|((?:\s-u|--user)\s++[\"']?)(?!\d+:\d+\b){_UNMASKED}[^\s:\"'\\]{{1,256}}:[^\s\"'\\]+",
    re.IGNORECASE,
)

_NEXT = rf"{_QUOTE},\s*+{_QUOTE}"
_SHORT_FLAGS = re.compile(
    # In a shell's line, or as Python shows a list: `['sshpass', '-p', 'x']`.
    r"\b(sshpass\s++(?:-v\s++)?+-p\s*+"
    rf"|sshpass{_NEXT}(?:-v{_NEXT})?+-p(?:{_NEXT})?+"
    # `-p 3306` is no password of mysql's, and `-p3306:3306` is a port of docker's.
    r"|(?:mysql|mariadb)[\w-]{0,20}[\s\"'][^\n|;&]{0,200}?(?<=[\s\"'])-p(?!\s|\d+:\d))"
    rf"{_UNMASKED}(?!{_QUOTE}(?:[\s,)}}\]]|\Z))"
    rf"(?:(?P<quote>{_QUOTE})[^\n]{{1,256}}?(?P=quote)|\\*[\"']?[^\s\"'\\]++)"
)

_NEAR = re.compile(
    # `the token is 3f2a...`: a long value of letters and digits, or after `is` a shorter one.
    r"\b((?:secret|token|passw(?:or)?d|credential|api[ -]?key|access[ -]?key|private[ -]?key)s?"
    r"(?:\s+(?:hash|value|provided|used|of|for))?(?:\s+(?P<is>is|was))?[\s:=(\"'`]{1,4})"
    r"(?=[A-Za-z+/_!-]{0,64}\d)(?:[A-Za-z0-9+/_-]{20,}={0,2}|(?(is)(?=\d*[A-Za-z])[^\s\"'`]{6,}|(?!)))",
    re.IGNORECASE,
)

_EMAIL = re.compile(
    r"(?<![\w.%+-])(?!git@)[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)

# Spelt out in three cases: the regex engine is ten times slower when told to ignore case.
_KEY = re.compile(
    r"(?P<word>key|Key|KEY|secret|Secret|SECRET|password|Password|PASSWORD|passwd|Passwd|PASSWD"
    r"|passphrase|Passphrase|PASSPHRASE|passcode|Passcode|PASSCODE|pwd|Pwd|PWD"
    r"|credentials?|Credentials?|CREDENTIALS?|token|Token|TOKEN"
    r"|pass|Pass|PASS|auth|Auth|AUTH)"
    r"(?:[_-]?(?:[iI][dD]|\d{1,2}|hash|HASH|value|VALUE|base64|BASE64))?"
    rf"(?:\s(?:provided|given|supplied))?(?P<quote>{_QUOTE})?\s*+(?::=|=>|[:=])\s*+"
)
_STRONG_KEY = re.compile(
    r"(?:api|access|account|private|signing|encryption|shared|secret|auth|master)[ _-]?\Z",
    re.IGNORECASE,
)
_STRONG_TOKEN = re.compile(
    r"(?:access|auth|refresh|bearer|bot|id|session|api|oauth|csrf|xsrf|personal|push|device|app|"
    r"user|service|deploy|webhook|security)[ _-]?\Z",
    re.IGNORECASE,
)
_IN_BARE = r"""[^\s"'`\\,;&<>()\[\]{}]"""
_NO_PASS = re.compile(r"(?:by|com|sur|tres|under|over)\Z", re.IGNORECASE)
"""`bypass`, `compass` and the like."""
_PART_OF_NAME = re.compile(r"[A-Za-z0-9_]\Z")
_NO_PASSWORD = re.compile(rf"=|\d{{1,3}}(?:[./]\d+)?[%.:]*(?!{_IN_BARE})")
"""A comparison, a count: `pass == x`, `pass=12`."""
_TEST_NAME = re.compile(r"[Tt]ests?(?![a-z])")
_NPM_AUTH = re.compile(r"(?<![A-Za-z0-9])_\Z")
_NO_AUTH = re.compile(r"[A-Za-z]\Z")
"""`oauth`, `unauth`; `proxyAuth` is told by its case."""
_AUTH_METHOD = re.compile(
    r"(?:=|https?://|(?:basic|bearer|digest|plain|login|token|password|ldap|saml|oidc|ntlm|on|off"
    r"|negotiate|kerberos|enabled|disabled|none"
    r"|(?:[a-z]{1,16}[-_]){0,3}(?:oauth|sha|md|sigv|x|v|http|tls)[-_]?\d{0,3}(?:\.\d{1,2})?)"
    rf"(?!{_IN_BARE}))",
    re.IGNORECASE,
)
"""What stands after `auth` and is no secret: `auth=plain`, `auth: scram-sha-256`."""
_MIXED = re.compile(rf"(?=\d{{0,64}}[A-Za-z])(?={_IN_BARE}{{6}})(?:(?!\d){_IN_BARE}){{0,64}}\d")
"""Six characters or more, of letters and digits."""
_BASE64 = re.compile(
    r"(?=[^A-Z]{0,16}[A-Z])(?=[^a-z]{0,16}[a-z])[A-Za-z0-9+/_-]{16,64}+={0,2}+(?!\()"
)
_OPENING = re.compile(_QUOTE)
_BARE = re.compile(rf"{_IN_BARE}+")
_NO_SECRET = re.compile(
    r"(?:true|false|null|none|nil|undefined|yes|no|required|optional|\*+|\[masked\]?)\Z",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?\Z")
_TOKEN_LIKE = re.compile(r"(?=.{6})(?:[^\s\d]{0,64}\d|\S{16})")


def mask(text: str) -> str:
    """`text` with every secret that is recognised, and every e-mail address, as `[masked]`.

    Key and punctuation around a value stay, so that an error still reads: `password=[masked]`.
    """
    has = text.lower().__contains__
    if has("private key"):
        text = _BLOCKS.sub(MASK, text)
    if has("://"):
        text = _URL_USERINFO.sub(MASK, text)
    if has("hooks.slack") or has("/api/webhooks/") or has("api.telegram"):
        text = _HOOK_URLS.sub(rf"\1{MASK}", text)
    if has("authorization") or has("cookie"):
        text = _HEADERS.sub(_keep_key, text)
    if has("bearer") or has("basic"):
        text = _SCHEMES.sub(_keep_key, text)
    if any(map(has, ("key", "secret", "pass", "pwd", "credential", "token", "auth"))):
        text = _mask_assignments(text)
        text = _NEAR.sub(rf"\1{MASK}", text)
    if has("--") or has(" -u"):
        text = _FLAGS.sub(_keep_key, text)
    if has("-p"):
        text = _SHORT_FLAGS.sub(rf"\1{MASK}", text)
    if has("="):
        text = _URL_QUERY.sub(rf"\1{MASK}", text)
    text = _SHAPES.sub(MASK, text)
    return _EMAIL.sub(MASK, text) if has("@") else text


def _keep_key(match: re.Match[str]) -> str:
    """The one group that took part is what stands before the value."""
    return f"{match[match.lastindex or 0]}{MASK}"


def _mask_assignments(text: str) -> str:
    """`key=value`, `key: value`, `"key": "value"` where the key names a secret."""
    pieces: list[str] = []
    done = 0
    for key in _KEY.finditer(text):
        if key.start() < done:
            continue
        opening = _OPENING.match(text, key.end())
        start = opening.end() if opening else key.end()
        if not _may_be_secret(text, key, start, quoted=opening is not None):
            continue
        end = _quoted_end(text, start, opening[0]) if opening else _bare_end(text, start)
        if end == start or _NO_SECRET.match(text, start, min(end, start + _HEAD)):
            continue
        # JSON stays JSON: a bare number beside a quoted key becomes a quoted mask.
        quote = "" if opening else key["quote"] or ""
        pieces += (text[done:start], quote, MASK, quote)
        done = end
    return "".join((*pieces, text[done:])) if pieces else text


_HEAD = 96
"""Characters of a value that decide whether it is one."""


def _may_be_secret(text: str, key: re.Match[str], start: int, *, quoted: bool) -> bool:
    """By the key and the head of the value that begins at `start`."""
    word = key["word"].lower()
    before = text[max(0, key.start() - 16) : key.start()]
    if word == "key":
        return _STRONG_KEY.search(before) is not None
    if word == "pwd":
        # Also the name of the working directory.
        return not text.startswith(("/", "~", "."), start)
    if word == "pass":
        return _may_be_pass(text, key, before, start, quoted=quoted)
    if word == "auth":
        return _may_be_auth(text, key, before, start)
    if word != "token" or _STRONG_TOKEN.search(before) or (key["quote"] and quoted):
        return True
    # `token` alone is also a word of parsers and of bills: `unexpected token: x`, `token = 512`.
    value = _BARE.match(text, start, start + _HEAD)
    if value is None or _NUMBER.match(value[0]):
        return False
    assigned = key[0].endswith("=") and len(value[0]) >= 4
    return assigned or _TOKEN_LIKE.match(value[0]) is not None


def _may_be_pass(text: str, key: re.Match[str], before: str, start: int, *, quoted: bool) -> bool:
    """`DB_PASS=x`, `dbPass: x`; but `pass: x` is also a word of test reports and of prose."""
    if _NO_PASS.search(before) or _NO_PASSWORD.match(text, start):
        return False
    if quoted or "=" in key[0] or _PART_OF_NAME.search(before):
        return True
    return _MIXED.match(text, start, start + _HEAD) is not None and not _TEST_NAME.match(
        text, start
    )


def _may_be_auth(text: str, key: re.Match[str], before: str, start: int) -> bool:
    """`AUTH=x`, `_auth=dXNlcjpwYXNz`, `auth: a1b2c3`; what names a method or an error is none."""
    camel = key["word"] == "Auth" and before[-1:].islower() and before[-1:] != "o"
    if (_NO_AUTH.search(before) and not camel) or _AUTH_METHOD.match(text, start):
        return False
    if _MIXED.match(text, start, start + _HEAD):
        return True
    if key[0].endswith("=") and _NPM_AUTH.search(before):
        return True
    if "=" not in key[0] and not key["quote"]:
        return False
    if key["word"] == "AUTH":
        return _NO_PASSWORD.match(text, start) is None
    return _BASE64.match(text, start, start + _HEAD) is not None


def _bare_end(text: str, start: int) -> int:
    value = _BARE.match(text, start)
    return value.end() if value else start


def _quoted_end(text: str, start: int, quote: str) -> int:
    """Where the quote closes, else the end of the line."""
    closing = text.find(quote, start)
    end = len(text) if closing < 0 else closing
    newline = text.find("\n", start, end)
    return end if newline < 0 else newline


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
    """The GenAI conventions' JSON: a list of `{"role", "parts": [...]}`; None without messages.

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
        if message.tool_call_id:
            response["id"] = well_formed(message.tool_call_id)
        response["response"] = budget.take(message.content or "")
        parts.append(response)
    elif message.content:
        parts.append({"type": "text", "content": budget.take(message.content)})
    for call in message.tool_calls:
        request: dict[str, _Json] = {"type": "tool_call", "name": well_formed(call.name)}
        if call.call_id:
            request["id"] = well_formed(call.call_id)
        if call.arguments:
            request["arguments"] = budget.take(call.arguments)
        parts.append(request)
    shaped: dict[str, _Json] = {"role": well_formed(message.role), "parts": parts}
    if message.role == "assistant":
        # The schema wants one on every output message.
        shaped["finish_reason"] = message.finish_reason or "unknown"
    return shaped
