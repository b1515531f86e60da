"""The resource of this process: what runs become final with, and what a test span carries."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ..config import Settings
from ..host.home import Home
from ..journal.instance import Instance

if TYPE_CHECKING:
    from ..model import Resource


def current_resource(
    home: Home, *, hermes_version: str | None, instance: Instance | None
) -> Resource:
    """Return the resource of this process; a home that was never synced has no instance id yet."""
    from ..telemetry.resource import build_resource

    return build_resource(
        profile=home.profile,
        hermes_version=hermes_version,
        hostname=socket.gethostname(),
        instance_id=instance.id if instance is not None else None,
    )


def metrics_resource(resource: Resource, settings: Settings) -> Resource:
    """Return what of the resource of this process is sent with metrics: what identifies the home, and
    no version, since an upgrade must not begin other series."""
    from ..telemetry.resource import IDENTIFYING, with_settings

    kept = tuple((name, value) for name, value in resource.attributes if name in IDENTIFYING)
    return with_settings(replace(resource, attributes=kept), settings)


def resource_as_sent(settings: Settings) -> Callable[[Resource | None], Resource]:
    """Return a function from the resource that a run became final with to the one that is sent."""
    from ..model import Resource
    from ..telemetry.resource import with_settings

    @cache
    def as_sent(resource: Resource | None) -> Resource:
        return with_settings(resource or Resource(), settings)

    return as_sent
