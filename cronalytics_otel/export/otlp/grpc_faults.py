"""Why a gRPC request did not get through: by the words of gRPC's C core, which are its only sign."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from ...config import safe_url
from ...model import DestinationFault
from .trouble import Trouble

_KINDS: Final[Mapping[str, tuple[str, DestinationFault]]] = {
    r"HTTP proxy returned response code (\d+)": (
        "the proxy answered {}",
        DestinationFault.PROXY,
    ),
    r"errors? resolving|lookup (?:error|failed)|DNS resolution failed": (
        "the name of the host is not known",
        DestinationFault.UNKNOWN_HOST,
    ),
    r"CERTIFICATE_VERIFY_FAILED: ((?:certificate has expired|certificate is not yet valid))": (
        "TLS: the server's certificate was not accepted: {}",
        DestinationFault.EXPIRED_CERTIFICATE,
    ),
    r"CERTIFICATE_VERIFY_FAILED: ([\w' -]+)": (
        "TLS: the server's certificate was not accepted: {}",
        DestinationFault.UNTRUSTED_CERTIFICATE,
    ),
    r"Hostname Verification Check failed|Peer name .* is not in peer certificate": (
        "TLS: the server's certificate is for another host",
        DestinationFault.CERTIFICATE_FOR_OTHER_HOST,
    ),
    r"WRONG_VERSION_NUMBER|HTTP_REQUEST": (
        "TLS: the answer is not TLS",
        DestinationFault.NO_TLS,
    ),
    r"ALERT_(?:\w*CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)": (
        "TLS: the server does not accept this client",
        DestinationFault.CLIENT_CERTIFICATE,
    ),
    r"ALPN|http1\.x server|Expected SETTINGS frame": (
        "its answer is not gRPC: is this an HTTP port?",
        DestinationFault.WRONG_PROTOCOL,
    ),
    r"Connection refused|No route to host|Network is unreachable|Host is unreachable": (
        "{0}",
        DestinationFault.UNREACHABLE,
    ),
    r"Socket closed|Connection reset by peer|Handshake read failed|EOF": (
        "the connection was closed without an answer",
        DestinationFault.CLOSED,
    ),
}
"""By a pattern in gRPC's text, the words for people (`{}` is what the pattern captures, else what it matches)
and the fault. The first that matches counts."""

_NOT_CONNECTED: Final = re.compile("failed to connect to all addresses|resolving|DNS resolution")
"""gRPC's words for a request that was never sent."""


def explained(details: str, *, via_proxy: bool) -> Trouble | None:
    """Return why a request did not get through; None when it did, or when the text shows no more.

    A server's own text is not searched for such words.
    """
    if not _NOT_CONNECTED.search(details):
        return None
    for pattern, (words, fault) in _KINDS.items():
        if (found := re.search(pattern, details)) is not None:
            text = found[1] if found.re.groups else found[0]
            is_of_proxy = via_proxy and fault in _ON_THE_WAY
            return Trouble(
                reason=words.format(text.strip()),
                fault=DestinationFault.PROXY if is_of_proxy else fault,
            )
    return None


_ON_THE_WAY: Final = frozenset({DestinationFault.UNREACHABLE, DestinationFault.UNKNOWN_HOST})
"""Faults that are those of the proxy where there is one: gRPC connects to nothing else."""

_PROXY_VARIABLES: Final = ("grpc_proxy", "https_proxy", "http_proxy")
_NO_PROXY_VARIABLES: Final = ("no_grpc_proxy", "no_proxy")
"""What gRPC reads, in lower case only (doc/environment_variables.md of gRPC)."""


def proxy_of(endpoint: str) -> str | None:
    """Return the proxy through which gRPC reaches an endpoint, without its credentials; None without one."""
    proxy = _first_set(_PROXY_VARIABLES)
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname or ""
    left_out = filter(None, map(str.strip, _first_set(_NO_PROXY_VARIABLES).split(",")))
    return None if not proxy or any(map(host.endswith, left_out)) else safe_url(proxy)


def _first_set(names: Iterable[str]) -> str:
    return next(filter(None, (os.environ.get(name) for name in names)), "")
