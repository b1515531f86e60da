"""What this package is: its version, and the packages that it needs.

The host imports this module at its start-up: nothing heavy may be imported here.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

__version__ = "0.1.0"

PACKAGES = {
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http>=1.30,<2",
    "opentelemetry.sdk": "opentelemetry-sdk>=1.30,<2",
}
"""Module to requirement: what we need that the host does not bring (it pins croniter, psutil,
python-dotenv, pyyaml, requests and rich itself, and installs nothing for a plugin)."""


def missing_packages() -> list[str]:
    """The requirements that this interpreter lacks; looked up, not imported."""
    return [name for module, name in PACKAGES.items() if not _is_there(module)]


def _is_there(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module) is not None
    except (ImportError, ValueError):
        return False
