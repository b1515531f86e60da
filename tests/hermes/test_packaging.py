"""The built package, and what it does to the environment of a real Hermes."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.hermes import PLUGIN, HermesHome, hermes_pristine, hermes_with_plugin
from tests.support.venvs import CHECKOUT, build_wheel, clone_venv, pip_run

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    build_wheel(folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (wheel,) = dist.glob("*.whl")
    return wheel


@pytest.fixture
def pristine_clone(tmp_path: Path) -> Path:
    """A venv with a Hermes of its own, to be installed into."""
    venv = tmp_path / "venv"
    clone_venv(hermes_pristine().venv, venv)
    return venv


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == {"cronalytics_otel"}


def test_the_wheel_holds_every_module_the_skill_and_the_typing_marker(wheel: Path) -> None:
    package = CHECKOUT / "cronalytics_otel"
    modules = {str(path.relative_to(CHECKOUT)) for path in package.rglob("*.py")}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("cronalytics_otel/")}

    skill = "cronalytics_otel/skills/cronalytics/SKILL.md"
    assert packed == modules | {"cronalytics_otel/py.typed", skill}


def test_the_wheel_carries_licence_readme_and_the_supported_pythons(wheel: Path) -> None:
    metadata = _metadata(wheel)

    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert str(metadata.get_payload()).startswith("# ")


def test_the_sdist_is_a_git_plugin_too(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"plugin.yaml", "__init__.py", "LICENSE", "README.md", "Makefile"} <= names
    assert not {name for name in names if name.startswith((".venv", ".git/"))}


def test_the_same_sources_build_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    again = build_wheel(tmp_path)

    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("extra", ["", "[grpc]", "[notify]"], ids=["plain", "grpc", "notify"])
def test_installing_it_beside_hermes_moves_nothing_and_conflicts_with_nothing(
    extra: str, wheel: Path, pristine_clone: Path
) -> None:
    before = _installed(pristine_clone)

    _pip(pristine_clone, "install", f"{wheel}{extra}")

    after = _installed(pristine_clone)
    assert {name: after.get(name) for name in before} == before
    assert PLUGIN in after
    assert _pip(pristine_clone, "check").strip() == "No broken requirements found."


def test_pip_uninstall_leaves_hermes_as_it_was(wheel: Path, pristine_clone: Path) -> None:
    before = _installed(pristine_clone)
    _pip(pristine_clone, "install", "--no-deps", str(wheel))

    _pip(pristine_clone, "uninstall", "-y", PLUGIN)

    assert _installed(pristine_clone) == before
    assert not list(pristine_clone.glob("lib/python*/site-packages/cronalytics_otel"))


def test_the_entry_point_names_a_module_with_register() -> None:
    code = (
        "from importlib.metadata import entry_points\n"
        "(point,) = entry_points(group='hermes_agent.plugins', name='cronalytics-otel')\n"
        "print(point.value, callable(point.load().register))\n"
    )

    assert pip_run([hermes_with_plugin().python, "-c", code]).split() == [
        "cronalytics_otel",
        "True",
    ]


def test_the_console_script_is_installed_beside_hermes(tmp_path: Path) -> None:
    home = _home(tmp_path)

    assert "usage: cronalytics-otel" in home.plugin("--help").stdout


def test_the_version_is_the_same_wherever_it_is_told(wheel: Path) -> None:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        version: str = tomllib.load(file)["project"]["version"]
    code = "import cronalytics_otel; print(cronalytics_otel.__version__)"

    assert _metadata(wheel)["Version"] == version
    assert _manifest()["version"] == version
    assert pip_run([hermes_with_plugin().python, "-c", code]).strip() == version


def test_the_manifest_is_one_that_every_host_version_accepts() -> None:
    manifest = _manifest()

    assert manifest["name"] == PLUGIN
    assert manifest["kind"] == "standalone"
    assert manifest.get("manifest_version", 1) == 1


def test_the_manifest_lists_just_the_hooks_that_the_host_sees_registered(tmp_path: Path) -> None:
    code = (
        "from hermes_cli import plugins\n"
        "manager = plugins.get_plugin_manager()\n"
        "manager.discover_and_load()\n"
        "loaded = manager._plugins['cronalytics-otel']\n"
        "assert loaded.error is None, loaded.error\n"
        "assert set(loaded.hooks_registered) <= set(plugins.VALID_HOOKS)\n"
        "print(' '.join(sorted(loaded.hooks_registered)))\n"
    )
    registered = _home(tmp_path).run("-c", code, program="python").stdout.split()

    assert registered == sorted(_manifest()["provides_hooks"])


def _home(folder: Path) -> HermesHome:
    return HermesHome.make(folder / "home", hermes_with_plugin(), model_url="http://127.0.0.1:9/v1")


def _manifest() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((CHECKOUT / "plugin.yaml").read_text())
    return manifest


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def _installed(venv: Path) -> dict[str, str]:
    """Version by normalised name."""
    lines = _pip(venv, "list", "--format=freeze").splitlines()
    pairs = (line.split("==") for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


def _pip(venv: Path, *arguments: str) -> str:
    return pip_run([venv / "bin" / "python", "-m", "pip", *arguments])
