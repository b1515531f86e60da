"""Secrets in HTTP headers, and credentials that follow the name of their scheme."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .rule import MASK, Edit
from .syntax import QUOTE, UNMASKED, WORD

_STATE = (
    r"(?!(?:required|optional|missing|none|null|empty|unset|invalid|expired|failed|denied|refused"
    r"|rejected|forbidden|unauthori[sz]ed|not|is|was)(?:[\s.,;!?)\]}\"'`\\<]|\Z))"
)
"""The text that follows does not say that the header is missing or was refused."""

_PARAMETER = rf"[A-Za-z][\w-]{{0,31}}=(?:{QUOTE}[^\"'`\\\n]{{0,512}}(?:{QUOTE})?|[^\s\"'`\\,<>]+)"
_PARAMETERS = rf"{_PARAMETER}(?:(?:,\s*+|\s++){_PARAMETER})*+"
"""The parameters of Digest or AWS: `Credential=x, SignedHeaders=host;date, Signature=y`."""

HEADER = re.compile(
    rf"(authorization(?:{QUOTE})?\s*+[:=]\s*+(?:{QUOTE})?+"
    r"(?P<scheme>(?:bearer|basic|token|digest|apikey|aws4-hmac-sha256|negotiate)\s++)?+)"
    # After a scheme that is not known, the second word is the secret.
    rf"{UNMASKED}{_STATE}(?:{_PARAMETERS}|{WORD}"
    rf"(?(scheme)|(?:[ \t]++(?:{_PARAMETERS}"
    rf"|(?={WORD[:-1]}{{6}})(?=[^\s\"'`\\,;<>\d]{{0,64}}\d|{WORD[:-1]}{{16}}){WORD}))?+))"
    rf"|((?:set-)?cookie(?:{QUOTE})?\s*+:\s*+(?:{QUOTE})?+){UNMASKED}[^\n\"'`\\<>]+"
    rf"|(x-honeycomb-team(?:(?:{QUOTE})?\s*+[:=]\s*+(?:{QUOTE})?+|{QUOTE},\s*+[bu]?{QUOTE}))"
    rf"{UNMASKED}{WORD}",
    re.IGNORECASE,
)
"""`Authorization`, `Cookie` and `X-Honeycomb-Team`. Other headers are assignments to a name that
announces a secret."""

HEADER_MASKED = rf"\g<1>\g<3>\g<4>{MASK}"
"""One of these groups is there; the group `scheme` (2) is part of the first."""

CREDENTIALS = re.compile(
    r"(bearer\s++)"
    # Words of prose after `bearer`.
    r"(?!(?:tokens?|auth\w*|headers?|schemes?|credentials?|realm|format|prefix|of|is|was|not|and|or|"
    r"required|missing|invalid|expired|error\w*|method|security)\b)"
    r"[A-Za-z0-9._~+/=-]{6,}"
    r"|(?P<basic>basic\s++)(?:(?=[A-Za-z+/]*\d)[A-Za-z0-9+/]{12,}={0,2}|[A-Za-z0-9+/]{6,}={1,2})",
    re.IGNORECASE,
)
"""`Bearer x`, `Basic x`, without the name of a header."""

_TITLE = re.compile(r"[Bb]asic\s+(?:[A-Z]?[a-z]{3,}+|(?:19|20)\d\d)++\Z")
"""`Basic Weekly2024Report`: words and a year."""


def mask_credentials(matches: Iterator[re.Match[str]]) -> Iterator[Edit]:
    """Yield the edits that leave the scheme and mask what follows it, titles aside."""
    for match in matches:
        if not (match["basic"] and _TITLE.match(match[0])):
            yield match.end(match.lastindex or 0), match.end(), MASK
