"""The resource: which program, on which machine, for which Hermes home and profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from opentelemetry.sdk.version import __version__ as sdk_version

from ..about import __version__
from ..model import AttributeValue
from . import semconv
from .content import value_text

if TYPE_CHECKING:
    from ..config import Settings

_INSTANCE_NAMESPACE: Final = UUID("4d63009a-8d0f-11ee-aad7-4c796ed8e320")
"""What the semantic conventions give for a `service.instance.id` made by UUID v5."""


def resource_attributes(
    settings: Settings, *, home_path: Path, profile: str, hermes_version: str | None, hostname: str
) -> dict[str, AttributeValue]:
    """Our attributes, and OTEL_RESOURCE_ATTRIBUTES over them; OTEL_SERVICE_NAME over both. What is in
    those variables is there to be sent, and goes as it is."""
    ours: dict[str, AttributeValue] = {
        semconv.SERVICE_VERSION: __version__,
        semconv.SERVICE_INSTANCE_ID: _instance_id(hostname, home_path),
        semconv.HOST_NAME: value_text(hostname) or "unknown",
        semconv.HERMES_PROFILE_NAME: value_text(profile) or "unknown",
        semconv.TELEMETRY_SDK_NAME: "opentelemetry",
        semconv.TELEMETRY_SDK_LANGUAGE: "python",
        semconv.TELEMETRY_SDK_VERSION: sdk_version,
    }
    if hermes_version is not None:
        ours[semconv.HERMES_VERSION] = hermes_version
    return {**ours, **settings.resource_attributes, semconv.SERVICE_NAME: settings.service_name}


def _instance_id(hostname: str, home_path: Path) -> str:
    """The same for one home of one machine, whatever process looks at it, and by which link."""
    home = str(home_path.resolve()).encode("utf-8", "backslashreplace").decode("utf-8")
    return str(uuid5(_INSTANCE_NAMESPACE, f"{hostname}\0{home}"))
