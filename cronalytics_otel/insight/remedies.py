"""What to do about the fault of a destination. `doctor`, `health` and `status` all say the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..model import DestinationFault

_REMEDIES: Final[Mapping[DestinationFault, str]] = {
    DestinationFault.UNREACHABLE: "start the collector, or correct the host and the port of the endpoint"
    " (the usual ports are 4318 for http/protobuf and 4317 for grpc)",
    DestinationFault.UNKNOWN_HOST: "correct the host name in the endpoint, or find out why this machine"
    " cannot resolve it",
    DestinationFault.CLOSED: "find out what listens on this port: one for TLS (https://), for gRPC or for"
    " another service closes the connection in this way",
    DestinationFault.TLS_REQUIRED: "begin the endpoint with https://, because this port speaks TLS only",
    DestinationFault.NO_TLS: "begin the endpoint with http://, because this port does not speak TLS, or use"
    " the port that does",
    DestinationFault.UNTRUSTED_CERTIFICATE: "name a PEM file with the authority that issued the server's"
    " certificate (or with the certificate itself, if it is self-signed): `certificate`,"
    " OTEL_EXPORTER_OTLP_CERTIFICATE or SSL_CERT_FILE",
    DestinationFault.EXPIRED_CERTIFICATE: "renew the server's certificate, or set the clock of this machine",
    DestinationFault.CERTIFICATE_FOR_OTHER_HOST: "use a host name in the endpoint for which the server's"
    " certificate was issued",
    DestinationFault.CLIENT_CERTIFICATE: "set `client_certificate` and `client_key` to a pair that the server"
    " accepts",
    DestinationFault.LOCAL_FILE: "correct the path of the certificate or key, or the file",
    DestinationFault.WRONG_PROTOCOL: "set `protocol` (OTEL_EXPORTER_OTLP_PROTOCOL) to the one that this port"
    " speaks: usually http/protobuf on 4318 and grpc on 4317",
    DestinationFault.NOT_OTLP: "correct the endpoint: something other than an OTLP service answers there (a"
    " portal, a proxy, a web server). After three such answers it gets empty requests only, until it"
    " answers as OTLP does",
    DestinationFault.CREDENTIALS: "correct the API key or its header (`headers`,"
    " OTEL_EXPORTER_OTLP_HEADERS)",
    DestinationFault.ADDRESS: "correct the path of the endpoint",
    DestinationFault.ACCOUNT: "look at the quota and the bill of the account",
    DestinationFault.PROXY: "correct the proxy (HTTPS_PROXY, HTTP_PROXY) or what it allows, or leave this host"
    " out of it with NO_PROXY",
    DestinationFault.SERVER: "look at the log of the server",
}


def remedy_for(fault: DestinationFault | None) -> str:
    """Return what to do, as an imperative without a full stop."""
    if fault is None:
        return "correct what its answer names: a header (a key, a data set, a project) or the path may be wrong"
    return _REMEDIES[fault]


KEPT: Final = "nothing is lost meanwhile, and what is pending is sent by itself once that is done"
