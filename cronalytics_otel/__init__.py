"""Every cron run of Hermes Agent as one true OpenTelemetry trace.

The host imports this module at its start-up: nothing heavy may be imported here.
"""

from __future__ import annotations

from typing import Any

from .about import __version__

__all__ = ["__version__", "register"]


def register(ctx: Any) -> None:
    """The host's entry point: hooks, and `hermes cronalytics-otel …`. Never raises."""
    from .plugin import register as register_plugin

    register_plugin(ctx)
