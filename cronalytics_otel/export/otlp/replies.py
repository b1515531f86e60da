"""What a server replied, in words that are fit for a log and without secrets."""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ...config.destinations import KEY_IN_PATH
from ...telemetry.content import masked_and_cut
from ..acknowledgement import Receipt, Verdict

if TYPE_CHECKING:
    from ...config import Destination


_REASON_CHARS: Final = 200
_LEAST_SECRET_CHARS: Final = 4
"""Shorter header values (`1`, `eu`) are no secrets, and masking them would garble any text."""

_PERCENT: Final = re.compile("%[0-9A-F]{2}")

_SAYS_TOO_LARGE: Final = re.compile(
    r"(body|message|payload|request)( length| size)? (is )?too (large|big)|larger than max",
    re.IGNORECASE,
)
"""How servers say it under another status: the Collector's HTTP receiver answers 400 `http:
request body too large`, tonic (rotel, other Rust servers) OUT_OF_RANGE `message length too
large`, gRPC in Go and C RESOURCE_EXHAUSTED `received message larger than max`."""


def one_liner(destination: Destination) -> Callable[[str], str]:
    """A function that makes a server's or an exception's words fit for a log: one line, short,
    without control characters, header values, secrets of the URL, and what else looks like one."""
    said = {form for secret in _secrets(destination) for form in _as_quoted(secret)}
    secrets = sorted(said, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, "***")
        words = "".join(char if char.isprintable() else " " for char in text).split()
        return masked_and_cut(" ".join(words), _REASON_CHARS)

    return clean


def _secrets(destination: Destination) -> Iterable[str]:
    found = [value for _, value in destination.headers]
    found += [part for value in found for part in value.split()]  # `Bearer TOKEN`
    found += [part for value in found for part in _of_basic(value)]
    if destination.protocol != "grpc":
        parts = urlsplit(destination.endpoint)
        found += KEY_IN_PATH.findall(parts.path)
        found += [value for _, value in parse_qsl(parts.query)]
        found += parts.query.replace("&", "=").split("=")[1::2]
        found += parts.netloc.rpartition("@")[0].split(":")
        user = unquote(parts.netloc.rpartition("@")[0])
        found += [*user.split(":"), b64encode(user.encode()).decode()]  # sent as `Basic …`
    return (secret for secret in found if len(secret) >= _LEAST_SECRET_CHARS)


def _of_basic(value: str) -> list[str]:
    """User and password out of `Basic …`."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        return b64decode(encoded).decode().split(":", 1)
    except ValueError:
        return []


def _as_quoted(secret: str) -> Iterator[str]:
    """The forms in which servers repeat it: as it is, in a URL, in JSON (some escape `/` there)."""
    in_json = json.dumps(secret)[1:-1]
    in_urls = quote(secret), quote(secret, safe="")
    yield from (secret, in_json, in_json.replace("/", "\\/"), secret.replace("/", "\\/"), *in_urls)
    for in_url in in_urls:
        yield _PERCENT.sub(lambda found: found[0].lower(), in_url)


def says_too_large(text: str) -> bool:
    return _SAYS_TOO_LARGE.search(text) is not None


def receipt_of_success(rejected: int, message: str, *, sent: int) -> Receipt:
    """What `partial_success` makes of a success; a message alone is a warning of the server's."""
    if rejected <= 0:
        return Receipt(verdict=Verdict.ACCEPTED, reason=message)
    said = f": {message}" if message else ""
    if rejected >= sent:
        return Receipt(verdict=Verdict.REFUSED, reason=f"all {sent} spans were rejected{said}")
    return Receipt(
        verdict=Verdict.PARTIAL,
        reason=f"{rejected} of {sent} spans were rejected{said}",
        rejected_spans=rejected,
    )
