"""The version of Hermes that is installed."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata


@lru_cache(maxsize=1)
def installed_hermes() -> str | None:
    """Return the version of the Hermes that this interpreter would import; None when there is none."""
    try:
        return metadata.version("hermes-agent")
    except metadata.PackageNotFoundError:
        return None
