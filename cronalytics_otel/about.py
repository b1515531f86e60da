"""What this package is: its version, and the packages that it needs.

The host imports this module at its start-up: nothing heavy may be imported here.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

__version__ = "0.1.0"

PACKAGES = {
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp>=1.30,<2",
    "opentelemetry.sdk": "opentelemetry-sdk>=1.30,<2",
}
"""The modules that we cannot do without, and the requirements that bring them. The first one brings gRPC
too, which may be missing. The host itself brings croniter, psutil, python-dotenv, pyyaml, requests and
rich; it installs nothing for a plugin."""

GRPC_PACKAGE = "opentelemetry-exporter-otlp-proto-grpc>=1.30,<2"

APPRISE_PACKAGE = "apprise>=2,<3"
"""What sends notices as messages."""


def missing_packages() -> list[str]:
    """Return the requirements that this interpreter lacks. Modules are looked up, not imported."""
    return [name for module, name in PACKAGES.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False
