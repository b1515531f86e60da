"""The user's settings, from config.yaml, .env and the environment."""

from __future__ import annotations

from .destinations import Destination
from .endpoints import safe_url
from .links import LOCAL_ADDRESSES, ExplorerAddress, ExplorerName
from .notify import NotifyTarget
from .settings import Content, Settings, load_settings

__all__ = [
    "LOCAL_ADDRESSES",
    "Content",
    "Destination",
    "ExplorerAddress",
    "ExplorerName",
    "NotifyTarget",
    "Settings",
    "load_settings",
    "safe_url",
]
