"""Why an HTTP request got no answer: in a few words, and by what has to be mended."""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Mapping
from ssl import SSLCertVerificationError, SSLError
from typing import Final

import requests
import urllib3

from ...model import DestinationFault
from .trouble import Trouble

_CERTIFICATE_FAULT: Final[Mapping[int, DestinationFault]] = {
    9: DestinationFault.EXPIRED_CERTIFICATE,  # X509_V_ERR_CERT_NOT_YET_VALID
    10: DestinationFault.EXPIRED_CERTIFICATE,  # X509_V_ERR_CERT_HAS_EXPIRED
    62: DestinationFault.CERTIFICATE_FOR_OTHER_HOST,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: DestinationFault.CERTIFICATE_FOR_OTHER_HOST,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
"""By OpenSSL's codes (x509_vfy.h). Any other means that the certificate is of no authority that we trust."""

_NOT_TLS: Final = re.compile(
    "WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER|LENGTH_TOO_LONG"
)
"""OpenSSL's reasons for an answer that is not TLS."""

_CLIENT_REFUSED: Final = re.compile("ALERT_(.*CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)")
"""OpenSSL's reasons for a server that refuses the client."""

_TLS_RECORD: Final = re.compile("[\x14-\x17]\x03")
"""How an answer in TLS begins (an alert, mostly)."""

_WANTS_TLS: Final = re.compile(
    r"HTTP request (was sent )?to (an )?HTTPS (server|port)|plain HTTP to an SSL", re.IGNORECASE
)
"""What servers answer to HTTP on a port for TLS: Go (so the Collector), nginx, Apache."""


def explained(error: Exception, limit_s: float) -> Trouble:
    """Return an exception of requests in a few words: its own text is long and quotes the URL."""
    cause = _cause(error)
    is_of_proxy = _is_of_proxy(error)
    if isinstance(cause, SSLError):
        return _of_tls(cause)
    if isinstance(cause, TimeoutError) or isinstance(error, requests.Timeout):
        reason = f"no answer within {limit_s:g} s"
        return Trouble(reason=reason, fault=DestinationFault.UNREACHABLE, timed_out=True)
    if isinstance(cause, http.client.BadStatusLine) and _TLS_RECORD.match(str(cause)):
        reason = "its answer is TLS, and the endpoint begins with http://"
        return Trouble(reason=reason, fault=DestinationFault.TLS_REQUIRED)
    for kind, (words, fault) in _KINDS.items():
        if isinstance(cause, kind):
            return Trouble(reason=words, fault=DestinationFault.PROXY if is_of_proxy else fault)
    if isinstance(cause, OSError):
        fault = DestinationFault.PROXY if is_of_proxy else _of_os_error(cause)
        return Trouble(reason=cause.strerror or str(cause), fault=fault)
    return Trouble(reason=f"{type(cause or error).__name__}: {cause or error}", fault=None)


_KINDS: Final[Mapping[type[Exception], tuple[str, DestinationFault]]] = {
    http.client.RemoteDisconnected: (
        "the connection was closed without an answer",
        DestinationFault.CLOSED,
    ),
    http.client.BadStatusLine: (
        "its answer is not HTTP: is this a gRPC port?",
        DestinationFault.WRONG_PROTOCOL,
    ),
}
"""Exceptions in words; a class stands before those that it inherits from."""


def wants_tls(text: str) -> bool:
    """Return whether a server's answer says that its port is for TLS."""
    return _WANTS_TLS.search(text) is not None


def _of_tls(error: SSLError) -> Trouble:
    if isinstance(error, SSLCertVerificationError):
        fault = DestinationFault.UNTRUSTED_CERTIFICATE
        return Trouble(
            reason=f"TLS: the server's certificate was not accepted: {error.verify_message}",
            fault=_CERTIFICATE_FAULT.get(error.verify_code, fault),
        )
    reason = str(error.reason or error)
    if _NOT_TLS.search(reason):
        return Trouble(
            reason=f"TLS: the answer is not TLS ({reason})", fault=DestinationFault.NO_TLS
        )
    is_of_client = _CLIENT_REFUSED.search(reason) is not None
    fault = DestinationFault.CLIENT_CERTIFICATE if is_of_client else DestinationFault.CLOSED
    return Trouble(reason=f"TLS: {reason}", fault=fault)


def _of_os_error(error: OSError) -> DestinationFault:
    if isinstance(error, socket.gaierror):
        return DestinationFault.UNKNOWN_HOST
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return DestinationFault.CLOSED
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return DestinationFault.LOCAL_FILE
    is_file_fault = "invalid path" in str(error)  # requests, for a certificate that is not there
    return DestinationFault.LOCAL_FILE if is_file_fault else DestinationFault.UNREACHABLE


def _is_of_proxy(error: BaseException | None) -> bool:
    """Return whether the request did not get further than a proxy."""
    while error is not None:
        if isinstance(error, (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)):
            return True
        error = _inner(error)
    return False


def _cause(error: BaseException | None) -> BaseException | None:
    """Return the first exception in the chain that is the system's, and not a wrapper of requests or
    urllib3."""
    wrappers = (requests.RequestException, urllib3.exceptions.HTTPError)
    while error is not None and isinstance(error, wrappers):
        error = _inner(error)
    return error


def _inner(error: BaseException) -> BaseException | None:
    """Return the exception that this one wraps. Some wrappers were never raised, and hold it as their
    argument."""
    held = (part for part in error.args if isinstance(part, BaseException))
    return error.__cause__ or error.__context__ or next(held, None)
