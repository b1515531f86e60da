"""Encodings in which a secret hides from the rules: escapes of JSON, colours, and encoding as in URLs.

A secret in base64 is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .keys import KEY_FORMS
from .rule import MASK, Edit, edited

# --- escapes and colours ------------------------------------------------------------------------

_ESCAPED = re.compile(
    r"\\+u00(2[1346-9a-f]|3[0-9a-f]|40|5[bdf]|[46][1-9a-f]|[57][0-9a]|7e)", re.IGNORECASE
)
"""Plain characters that a JSON text need not escape, and some do: `\u0026`. Neither a quote nor a
backslash is among them."""
_ESCAPED_URL = re.compile(r":(?:\\+/){2}")
_ESCAPED_SLASH = re.compile(r"\\+/")

_COLOURS = re.compile(
    r"(?:\x1b(?:\[[0-?]{0,64}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)|[()][0-9A-Z])?"
    r"|(?<!\\)\\+(?:u001[bB]|x1[bB]|0?33|e)\[[0-9;:]{0,64}[mK])+"
)
"""The control sequences of a terminal's colours, links and movements, also as JSON or Python shows them."""
_SHOWN_COLOUR = re.compile(r"\\(?:u001[bB]|x1[bB]|0?33|e)\[")


def decoded(text: str) -> str:
    """Return the text without needless escapes and without colours.

    Colours are not put back: the end of one would look like the beginning of a word.
    """
    if "\\" in text:
        if "\\u00" in text:
            text = _ESCAPED.sub(_unescaped, text)
        if "\\/" in text and _ESCAPED_URL.search(text):
            text = _ESCAPED_SLASH.sub("/", text)
        if _SHOWN_COLOUR.search(text):
            text = _COLOURS.sub(_uncoloured, text)
    if "\x1b" in text:
        text = _COLOURS.sub(_uncoloured, text)
    return text


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _uncoloured(match: re.Match[str]) -> str:
    """Return an empty text, since a word may be coloured in part, but a blank before a service's key."""
    end = match.end()
    glued = match.string[max(0, match.start() - 1) : match.start()].isalnum()
    return " " if glued and KEY_FORMS.match(match.string[end : end + 256]) else ""


# --- encoding as in URLs ------------------------------------------------------------------------

_TELLING_PERCENT = re.compile(r"%(?:25){0,3}(?:3[adAD]|2[027]|40)")
"""An encoded colon, equals sign, blank, quote or `@`: a secret may follow it."""
_PERCENT = re.compile(r"%(?:25){0,3}(0[9aAdD]|2[0-9a-fA-F]|3[0-9a-fA-F]|40|5[bdfBDF]|7[b-eB-E])")
_NOT_ENCODED = " \n\t\r\"'`<>\\"
_REST = re.compile(rf"[^{re.escape(_NOT_ENCODED)}]*+")
_TELLING_WORDS = (
    "key", "secret", "pass", "pwd", "credential", "token", "auth", "bearer", "cookie", "sess", "code", "sig",
    "identified", "%40", "%2540", "%252540", "%25252540",
)  # fmt: skip
"""The words that rules look for when they recognise a secret by its context."""


def mask_encoded(text: str, mask: Callable[[str], str]) -> str:
    """Return the text with each encoded stretch decoded and masked if there is a secret in it.

    A stretch without a secret stays as it is.
    """
    return edited(text, _encoded_edits(text, mask)) if "%" in text else text


def _encoded_edits(text: str, mask: Callable[[str], str]) -> Iterator[Edit]:
    done = 0
    for percent in _TELLING_PERCENT.finditer(text):
        at = percent.start()
        if at < done:
            continue
        start = max(done, max([text.rfind(char, done, at) for char in _NOT_ENCODED]) + 1)
        rest = _REST.match(text, at)
        done = rest.end() if rest else at
        stretch = text[start:done]
        if any(map(stretch.lower().__contains__, _TELLING_WORDS)):
            yield start, done, _mask_stretch(stretch, mask)


def _mask_stretch(stretch: str, mask: Callable[[str], str]) -> str:
    """Mask before and after decoding; keep the decoded form only if it shows more secrets."""
    plain = mask(stretch)
    masked = mask(_PERCENT.sub(_character, plain))
    return masked if masked.count(MASK) > plain.count(MASK) else plain


def _character(match: re.Match[str]) -> str:
    """Return the character, or one like it that does not end the string of a JSON text."""
    char = chr(int(match[1], 16))
    return " " if char < " " else char.replace('"', "'")
