"""The resource: whose word wins, and what stays the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.sdk.version import __version__ as sdk_version

from cronalytics_otel.about import __version__
from cronalytics_otel.config import Settings, load_settings
from cronalytics_otel.model import AttributeValue, Resource
from cronalytics_otel.telemetry.resource import build_resource, with_settings

INSTANCE = "8f7c3c56-6d7e-4e0c-9a55-0f4f3f0f3c11"


def resource_of(
    settings: Settings | None = None,
    hostname: str = "laptop",
    hermes_version: str | None = "0.19.0",
    instance_id: str | None = INSTANCE,
) -> Resource:
    resource = build_resource(
        profile="default",
        hermes_version=hermes_version,
        hostname=hostname,
        instance_id=instance_id,
    )
    return with_settings(resource, settings or Settings(destinations=()))


def attributes_of(
    settings: Settings | None = None,
    *,
    hermes_version: str | None = "0.19.0",
    instance_id: str | None = INSTANCE,
) -> dict[str, AttributeValue]:
    resource = resource_of(settings, hermes_version=hermes_version, instance_id=instance_id)
    return dict(resource.attributes)


def test_the_resource_says_which_program_where_and_for_whom() -> None:
    attributes = attributes_of()
    assert attributes.pop("service.instance.id") == INSTANCE
    assert attributes == {
        "service.name": "hermes-cron",
        "service.version": __version__,
        "host.name": "laptop",
        "hermes.profile.name": "default",
        "hermes.version": "0.19.0",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": sdk_version,
    }
    assert resource_of().scope_version == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", __version__)


def test_an_unknown_version_of_hermes_is_absent() -> None:
    assert "hermes.version" not in attributes_of(hermes_version=None)


def test_an_instance_that_is_unknown_is_absent() -> None:
    assert "service.instance.id" not in attributes_of(instance_id=None)


def test_two_looks_at_the_same_process_give_equal_resources() -> None:
    """They are the keys by which runs are grouped in a request."""
    assert resource_of() == resource_of()
    assert hash(resource_of()) == hash(resource_of())


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=res,host.name=own"}, "res"),
        (
            {
                "OTEL_RESOURCE_ATTRIBUTES": "service.name=res,host.name=own",
                "OTEL_SERVICE_NAME": "named",
            },
            "named",
        ),
    ],
)
def test_the_user_wins_and_the_variable_for_the_name_wins_over_all(
    tmp_path: Path, environ: dict[str, str], name: str
) -> None:
    attributes = attributes_of(load_settings(tmp_path, environ))
    assert (attributes["service.name"], attributes["host.name"]) == (name, "own")


def test_attributes_of_the_user_are_added(tmp_path: Path) -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=prod"}
    attributes = attributes_of(load_settings(tmp_path, environ))
    assert attributes["deployment.environment.name"] == "prod"
