"""Texts of servers: cleaned for logs, and what they say about a request."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ...config.endpoints import KEY_IN_PATH
from ...telemetry.content import masked_and_cut
from ..acknowledgement import Receipt, Verdict

if TYPE_CHECKING:
    from ...config import Destination


_REASON_CHARS: Final = 200
_MIN_SECRET_CHARS: Final = 4
"""Shorter header values (`1`, `eu`) are not secrets, and masking them would garble any text."""

_PERCENT: Final = re.compile("%[0-9A-F]{2}")

_SAYS_TOO_LARGE: Final = re.compile(
    r"(body|message|payload|request)( length| size)? (is )?too (large|big)|larger than max",
    re.IGNORECASE,
)
"""The words of servers that refuse a large request with another status than 413. The Collector's HTTP
receiver answers 400 `http: request body too large`, tonic (rotel, other Rust servers) OUT_OF_RANGE
`message length too large`, gRPC in Go and C RESOURCE_EXHAUSTED `received message larger than max`."""


def log_text_for(destination: Destination) -> Callable[[str], str]:
    """Return a function that makes a server's or an exception's words fit for a log.

    Its result is one short line without control characters, header values, secrets of the URL, and
    anything else that looks like a secret.
    """
    forms = {form for secret in _secrets(destination) for form in _as_quoted(secret)}
    secrets = sorted(forms, key=len, reverse=True)

    def log_text(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        words = "".join(char if char.isprintable() else " " for char in text).split()
        return masked_and_cut(" ".join(words), _REASON_CHARS)

    return log_text


def _secrets(destination: Destination) -> Iterable[str]:
    found = [value for _, value in destination.headers]
    found += [part for value in found for part in value.split()]  # `Bearer TOKEN`
    found += [part for value in found for part in _basic_credentials(value)]
    if destination.protocol != "grpc":
        parts = urlsplit(destination.endpoint)
        found += KEY_IN_PATH.findall(parts.path)
        found += [value for _, value in parse_qsl(parts.query)]
        found += parts.query.replace("&", "=").split("=")[1::2]
        found += parts.netloc.rpartition("@")[0].split(":")
        user = unquote(parts.netloc.rpartition("@")[0])
        found += [*user.split(":"), b64encode(user.encode()).decode()]  # sent as `Basic …`
    return (secret for secret in found if len(secret) >= _MIN_SECRET_CHARS)


def _basic_credentials(value: str) -> list[str]:
    """Return user and password out of `Basic …`."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return b64decode(encoded).decode().split(":", 1)
    except ValueError:
        return []


def _as_quoted(secret: str) -> Iterator[str]:
    """Yield the forms in which servers repeat a secret: as it is, in a URL, in JSON (where some escape
    `/`)."""
    in_json = json.dumps(secret)[1:-1]
    in_urls = quote(secret), quote(secret, safe="")
    yield from (secret, in_json, in_json.replace("/", "\\/"), secret.replace("/", "\\/"), *in_urls)
    for in_url in in_urls:
        yield _PERCENT.sub(lambda found: found[0].lower(), in_url)


def says_too_large(text: str) -> bool:
    return _SAYS_TOO_LARGE.search(text) is not None


def receipt_of_success(rejected: int, message: str, *, sent: int, noun: str = "spans") -> Receipt:
    """Return the receipt of a success with its `partial_success`. A message without rejected spans is
    a warning."""
    if rejected <= 0:
        return Receipt(verdict=Verdict.ACCEPTED, reason=message)
    words = f": {message}" if message else ""
    if rejected >= sent:
        return Receipt(
            verdict=Verdict.BAD_REQUEST, reason=f"all {sent} {noun} were rejected{words}"
        )
    return Receipt(
        verdict=Verdict.PARTIAL,
        reason=f"{rejected} of {sent} {noun} were rejected{words}",
        rejected=rejected,
    )
