"""What the package needs: what may be missing, and what the project's own file says."""

from __future__ import annotations

import importlib.util
import re
import tomllib

import pytest

from cronalytics_otel import about
from tests.support.venvs import CHECKOUT


def project() -> dict[str, object]:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        content: dict[str, object] = tomllib.load(file)["project"]
    return content


def dependencies() -> dict[str, str]:
    """Requirements of the project to their markers."""
    listed = project()["dependencies"]
    assert isinstance(listed, list)
    split = (requirement.partition(";") for requirement in listed)
    return {name.strip(): marker.strip() for name, _, marker in split}


def test_what_is_to_be_installed_by_hand_is_what_the_project_depends_on() -> None:
    assert set(about.PACKAGES.values()) <= set(dependencies())


def test_http_is_installed_on_every_machine_and_grpc_where_its_library_has_a_wheel() -> None:
    http, both = (
        dependencies()[f"opentelemetry-exporter-otlp{part}>=1.30,<2"]
        for part in ("-proto-http", "")
    )
    assert http == ""
    machines = re.fullmatch(r"platform_machine in '([\w ]+)'", both)
    assert machines is not None
    assert {"x86_64", "AMD64", "aarch64", "arm64"} <= set(machines[1].split())
    assert not {"armv6l", "riscv64", "ARM64"} & set(machines[1].split())


def test_the_former_extra_can_still_be_named() -> None:
    assert project()["optional-dependencies"] == {"grpc": [], "notify": ["apprise>=2,<3"]}


def test_a_machine_without_grpc_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        about, "find_spec", lambda name: None if "grpc" in name else find_spec(name)
    )
    assert about.missing_packages() == []


def test_what_http_needs_is_missing_when_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(about, "_is_there", lambda module: module == "opentelemetry.sdk")
    assert about.missing_packages() == ["opentelemetry-exporter-otlp>=1.30,<2"]
