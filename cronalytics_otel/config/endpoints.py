"""Endpoints: the URLs and gRPC targets of destinations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from .values import InvalidError

OtlpProtocol: TypeAlias = Literal["http/protobuf", "grpc"]

Signal: TypeAlias = Literal["traces", "metrics"]

PATHS: Final[Mapping[Signal, str]] = {"traces": "/v1/traces", "metrics": "/v1/metrics"}
"""The path of each signal behind the base URL of an OTLP service."""

KEY_IN_PATH: Final = re.compile(r"(?<=/)(?=[^/\d]*\d)[^/]{24,}")
_NOT_IN_URLS: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_IS_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""A text that begins otherwise may be anything, even a header with its key."""
_GRPC_TARGET: Final = re.compile(
    r"https?://.+|(?:dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):.+"
    r"|(?:[\w.-]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):\d+"
)


def safe_url(url: str) -> str:
    """Return `url` without user information, and with `***` for each value of its query and for each
    part of its path that is long and has digits, as keys do."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if not parts.netloc:  # a bare gRPC target, such as host:4317
        return url.partition("?")[0].rpartition("@")[2]
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = urlencode([(name, "***") for name in names], safe="*")
    path = KEY_IN_PATH.sub("***", parts.path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))


def at_path(url: str, protocol: OtlpProtocol, signal: Signal) -> str:
    """Return the endpoint of a signal, from a base URL or from a URL that has a signal's path already.

    Raises InvalidError for a URL that no request can be sent to.
    """
    if protocol == "grpc":
        return checked(url, protocol)
    parts = _split(url)
    path = parts.path.removesuffix("/")
    for known in PATHS.values():
        path = path.removesuffix(known)
    return with_path(urlunsplit(parts._replace(path=path)), protocol, signal)


def with_path(url: str, protocol: OtlpProtocol, signal: Signal) -> str:
    """Return a base URL with the path of a signal. Raises InvalidError as `checked` does."""
    base = checked(url, protocol)
    if protocol == "grpc":
        return base
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=parts.path.removesuffix("/") + PATHS[signal]))


def checked(url: str, protocol: OtlpProtocol) -> str:
    """Return `url` if a request can be sent there; raises InvalidError if not."""
    parts = _split(url)
    if protocol == "grpc":
        if "@" in url:
            raise InvalidError("gRPC does not send user information of a URL (use headers)")
        if not _GRPC_TARGET.fullmatch(url):  # not shown: a key may stand in its place
            raise InvalidError("it is neither http://…, https://… nor HOST:PORT")
        return url
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        what = safe_url(url) if _IS_URL.match(url) else "it"
        raise InvalidError(f"{what} does not begin with http:// or https:// and a host")
    return urlunsplit(parts._replace(fragment=""))


def _split(url: str) -> SplitResult:
    if _NOT_IN_URLS.search(url):
        raise InvalidError("a URL has no blanks and no control characters")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number
    except ValueError:
        if "://" not in url:  # a bare gRPC target
            return SplitResult("", "", url, "", "")
        raise InvalidError("not a URL (its host or port)") from None
    return parts
