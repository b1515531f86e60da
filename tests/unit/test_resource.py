"""The resource: whose word wins, and what stays the same."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest
from opentelemetry.sdk.version import __version__ as sdk_version

from cronalytics_otel.about import __version__
from cronalytics_otel.config import Settings, load_settings
from cronalytics_otel.model import AttributeValue
from cronalytics_otel.telemetry.resource import resource_attributes


def attributes_of(
    settings: Settings | None = None,
    home_path: Path = Path("/home/somebody/.hermes"),
    hostname: str = "laptop",
    hermes_version: str | None = "0.19.0",
) -> dict[str, AttributeValue]:
    return resource_attributes(
        settings or Settings(destinations=()),
        home_path=home_path,
        profile="default",
        hermes_version=hermes_version,
        hostname=hostname,
    )


def test_the_resource_says_which_program_where_and_for_whom() -> None:
    attributes = attributes_of()
    instance = attributes.pop("service.instance.id")
    assert UUID(str(instance)).version == 5
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
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", __version__)


def test_an_unknown_version_of_hermes_is_absent() -> None:
    assert "hermes.version" not in attributes_of(hermes_version=None)


def test_the_instance_is_the_same_for_one_home_however_it_is_reached(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    link = tmp_path / "link"
    link.symlink_to(home)
    ids = {
        attributes_of(home_path=path)["service.instance.id"]
        for path in (home, link, home / ".." / "home")
    }
    assert len(ids) == 1


def test_the_instance_differs_by_home_and_by_machine(tmp_path: Path) -> None:
    ids = {
        attributes_of(home_path=tmp_path / name, hostname=host)["service.instance.id"]
        for name in ("a", "b")
        for host in ("laptop", "server")
    }
    assert len(ids) == 4


def test_a_home_whose_name_is_no_utf8_has_an_instance_too() -> None:
    assert attributes_of(home_path=Path("/home/\udcff"))["service.instance.id"]


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
