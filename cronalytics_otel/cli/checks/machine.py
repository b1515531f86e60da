"""Checks of this machine: the Python packages, Hermes, the settings, and whether it is enabled."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import cast

from ...about import __version__, missing_packages
from ...config import Settings
from ...config.settings import PLUGIN_KEY
from ...host.home import Home
from .. import formats
from ..errors import command
from .check import Check, failed, ok, warning

_ENTRY_POINTS = "hermes_agent.plugins"


def check_packages() -> Check:
    missing = missing_packages()
    if missing:
        return failed(
            "packages",
            f"{', '.join(missing)} missing in {sys.executable}",
            f"{sys.executable} -m pip install {' '.join(missing)}",
        )
    sdk = metadata.version("opentelemetry-sdk")
    return ok("packages", f"cronalytics-otel {__version__}, opentelemetry-sdk {sdk}")


def check_hermes(installed: str | None, last_run_in: str | None) -> Check:
    """Check that Hermes is beside this command, or that the plugin has run in it.

    `installed` is the version beside this command; `last_run_in` the version of the last sync.
    """
    if installed is not None or last_run_in is not None:
        return ok("hermes", installed or f"{last_run_in}, as the plugin found it")
    return warning(
        "hermes",
        f"not in the Python of this command ({sys.executable}), and the plugin has not run in it",
        "install cronalytics-otel into the environment that holds Hermes, so that its runs are"
        " sent by themselves",
    )


def check_config(settings: Settings) -> Iterator[Check]:
    for problem in settings.problems:
        yield failed("config", problem, "correct it in config.yaml, .env or the environment")
    if not settings.problems:
        by_job = formats.content_by_job(settings.content_jobs)
        yield ok("config", f"valid; content {settings.content}{by_job}")


def check_plugin(home: Home) -> Check:
    """Check that the host loads the plugin. `plugins.disabled` wins over `plugins.enabled`."""
    enable = f"hermes plugins enable {PLUGIN_KEY}"
    enabled, disabled = _plugin_lists(home.path / "config.yaml")
    if PLUGIN_KEY in disabled:
        return failed("plugin", "plugins.disabled of config.yaml names it", enable)
    if PLUGIN_KEY not in enabled:
        return failed("plugin", f"not enabled: runs are sent only by `{command('sync')}`", enable)
    if not _host_finds_it(home):
        return warning(
            "plugin",
            f"enabled, but neither in {home.path / 'plugins'} nor installed in {sys.executable}",
            "install cronalytics-otel into the environment that holds Hermes",
        )
    return ok("plugin", "enabled in config.yaml")


def is_enabled(home: Home) -> bool:
    """Return whether config.yaml enables the plugin in this home."""
    enabled, disabled = _plugin_lists(home.path / "config.yaml")
    return PLUGIN_KEY in enabled and PLUGIN_KEY not in disabled


def _plugin_lists(config: Path) -> tuple[list[object], list[object]]:
    """Return `plugins.enabled` and `.disabled`; empty if the file cannot be read (`check_config`)."""
    import yaml

    try:
        content: object = yaml.safe_load(config.read_bytes())
    except (OSError, yaml.YAMLError, ValueError):
        content = None
    plugins = content.get("plugins") if isinstance(content, dict) else None
    found = plugins if isinstance(plugins, dict) else {}
    return _as_list(found.get("enabled")), _as_list(found.get("disabled"))


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _host_finds_it(home: Home) -> bool:
    if os.path.exists(home.path / "plugins" / PLUGIN_KEY / "plugin.yaml"):  # noqa: PTH110 - raises nothing
        return True
    return any(point.name == PLUGIN_KEY for point in metadata.entry_points(group=_ENTRY_POINTS))
