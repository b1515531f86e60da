"""The resource: which program, on which machine, for which profile of Hermes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.version import __version__ as sdk_version

from ..about import __version__
from ..model import AttributeValue, Resource
from . import semconv
from .content import value_text

if TYPE_CHECKING:
    from ..config import Settings


IDENTIFYING: Final = frozenset({semconv.SERVICE_INSTANCE_ID, semconv.HOST_NAME})
"""The attributes that identify a home, beside the name of the service."""


def build_resource(
    *, profile: str, hermes_version: str | None, hostname: str, instance_id: str | None
) -> Resource:
    """Return the resource of this process: what a run keeps when it becomes final."""
    attributes: dict[str, AttributeValue] = {
        semconv.SERVICE_VERSION: __version__,
        semconv.HOST_NAME: value_text(hostname) or "unknown",
        semconv.HERMES_PROFILE_NAME: value_text(profile) or "unknown",
        semconv.TELEMETRY_SDK_NAME: "opentelemetry",
        semconv.TELEMETRY_SDK_LANGUAGE: "python",
        semconv.TELEMETRY_SDK_VERSION: sdk_version,
    }
    if instance_id is not None:
        attributes[semconv.SERVICE_INSTANCE_ID] = instance_id
    if hermes_version is not None:
        attributes[semconv.HERMES_VERSION] = hermes_version
    return Resource(attributes=tuple(sorted(attributes.items())), scope_version=__version__)


def with_settings(resource: Resource, settings: Settings) -> Resource:
    """Return the resource as it is sent.

    OTEL_RESOURCE_ATTRIBUTES wins over our attributes, and OTEL_SERVICE_NAME over both. What the user
    has put there is meant to be sent, and goes as it is. It applies to all that is sent from then on.
    """
    attributes = {
        **dict(resource.attributes),
        **settings.resource_attributes,
        semconv.SERVICE_NAME: settings.service_name,
    }
    return replace(resource, attributes=tuple(sorted(attributes.items())))
