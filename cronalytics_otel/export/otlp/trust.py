"""The authorities that are trusted where the settings name none: the system's, and those that the libraries carry.

requests and gRPC by themselves know only what they carry, so a company's own authority would be unknown to them.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

from urllib3.util.ssl_ import create_urllib3_context

_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their authorities (the list of Go's crypto/x509, root_linux.go). A Python that was built
elsewhere, such as uv's, may look in none of these places."""

_GRPC_VARIABLE: Final = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


def system_context() -> ssl.SSLContext:
    """Return a context for urllib3 that trusts the system's authorities. It takes some 30 ms."""
    context = create_urllib3_context()
    context.load_default_certs()  # OpenSSL reads SSL_CERT_FILE and SSL_CERT_DIR here
    if not context.cert_store_stats()["x509_ca"] and not ssl.get_default_verify_paths().capath:
        bundle = next(filter(os.path.isfile, _BUNDLES), None)
        if bundle is not None:
            context.load_verify_locations(bundle)
    return context


def authorities_for_grpc() -> bytes | None:
    """Return the authorities as PEM; None where gRPC's own choice holds, by its variable or for want of others."""
    found = system_context().get_ca_certs(binary_form=True)
    if not found or os.environ.get(_GRPC_VARIABLE):
        return None
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    system = "".join(map(ssl.DER_cert_to_PEM_cert, found))
    return system.encode() + Path(DEFAULT_CA_BUNDLE_PATH).read_bytes()
