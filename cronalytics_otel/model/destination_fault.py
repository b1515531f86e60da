"""Why a destination takes nothing."""

from __future__ import annotations

from enum import StrEnum


class DestinationFault(StrEnum):
    """What is wrong with a destination or on the way to it, as far as its answers show it.

    Each has its own remedy: `insight/remedies.py`.
    """

    UNREACHABLE = "unreachable"
    """Nothing listens there, or nothing answers in time."""
    UNKNOWN_HOST = "unknown_host"
    CLOSED = "closed"
    """The connection is closed without an answer."""
    TLS_REQUIRED = "tls_required"
    """The port speaks TLS only, and the endpoint begins with http://."""
    NO_TLS = "no_tls"
    """The port does not speak TLS, and the endpoint begins with https://."""
    UNTRUSTED_CERTIFICATE = "untrusted_certificate"
    EXPIRED_CERTIFICATE = "expired_certificate"
    CERTIFICATE_FOR_OTHER_HOST = "certificate_for_other_host"
    CLIENT_CERTIFICATE = "client_certificate"
    """The server asks for a client certificate, or does not accept the one that it got."""
    LOCAL_FILE = "local_file"
    """A certificate or key file of ours cannot be used."""
    WRONG_PROTOCOL = "wrong_protocol"
    """The port speaks gRPC and the setting is HTTP, or the reverse."""
    NOT_OTLP = "not_otlp"
    """Another service answers: a success without OTLP's answer, or a redirect."""
    CREDENTIALS = "credentials"
    ADDRESS = "address"
    """The server has nothing at this path."""
    ACCOUNT = "account"
    """The quota is used up, or the account is not paid."""
    PROXY = "proxy"
    SERVER = "server"
    """The server is overloaded, or does not work."""
