"""Virtual environments that tests, benches and the demo need, in the cache of this machine.

A venv is cloned from another with hard links (0.2 s, no space) and only then added to, so that
every version of the plugin's wheel can have a whole Hermes of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.support.cache import MARKER, cached, prune

CHECKOUT = Path(__file__).resolve().parents[2]

HERMES_VERSION = "0.19.0"
OLDER_HERMES_VERSIONS = ("0.13.0", "0.16.0", "0.17.0", "0.18.2")
"""Before 0.19 Hermes keeps no ledger. The newest of each minor version, from the oldest on."""
ROTEL_VERSION = "0.0.1a15"
VENDOR_SCHEMAS = ("datadog-api-client==2.62.0", "honeycomb-api==0.7.4")
"""Clients made from the OpenAPI documents of Datadog (its own) and of Honeycomb (another's)."""

_KEPT_PLUGIN_VENVS = 3
_PROGRAM = "bin/python"
_PYTHON = f"py{sys.version_info.major}.{sys.version_info.minor}"


def hermes_venv(version: str = HERMES_VERSION) -> Path:
    """Hermes as PyPI has it, and nothing of ours."""
    return _cached(f"hermes-{version}-{_PYTHON}", requirements=[f"hermes-agent=={version}"])


def hermes_with_packages_venv(version: str = HERMES_VERSION) -> Path:
    """Hermes and the packages that the plugin needs, without the plugin."""
    requirements = project_requirements()
    return _cached(
        f"hermes-{version}-{_PYTHON}-packages-{_digest(chr(10).join(requirements).encode())}",
        base=hermes_venv(version),
        requirements=requirements,
    )


def hermes_with_plugin_venv(version: str = HERMES_VERSION) -> Path:
    """Hermes with the plugin's wheel, built from the checkout as it is now."""
    with tempfile.TemporaryDirectory(prefix="cronalytics-otel-wheel-") as folder:
        wheel = build_wheel(Path(folder))
        prefix = f"hermes-{version}-{_PYTHON}-plugin-"
        venv = _cached(
            prefix + _digest(wheel.read_bytes()),
            base=hermes_with_packages_venv(version),
            requirements=["--no-index", "--no-deps", str(wheel)],
        )
    prune(prefix, kept=_KEPT_PLUGIN_VENVS)
    return venv


def rotel_venv() -> Path:
    """The collector: a Python package around one Rust program."""
    return _cached(f"rotel-{ROTEL_VERSION}", requirements=["--pre", f"rotel=={ROTEL_VERSION}"])


def vendor_schemas_venv() -> Path:
    """The models of the vendors' APIs, which are too large for the venv of every checkout."""
    digest = _digest(" ".join(VENDOR_SCHEMAS).encode())
    return _cached(f"vendor-schemas-{_PYTHON}-{digest}", requirements=VENDOR_SCHEMAS)


def build_venv() -> Path:
    """What builds a wheel, so that a build needs no download each time."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        backend: list[str] = tomllib.load(file)["build-system"]["requires"]
    requirements = ["build>=1.2", *backend]
    return _cached(
        f"build-{_PYTHON}-{_digest(chr(10).join(requirements).encode())}",
        requirements=requirements,
    )


def build_wheel(folder: Path) -> Path:
    """The checkout's wheel (by way of its sdist, as it is released), put into `folder`."""
    pip_run([_python(build_venv()), "-m", "build", "--no-isolation", "-o", folder, CHECKOUT])
    (wheel,) = folder.glob("*.whl")
    return wheel


def project_requirements() -> list[str]:
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        requirements: list[str] = tomllib.load(file)["project"]["dependencies"]
    return sorted(requirements)


def clone_venv(base: Path, target: Path) -> None:
    """Make `target` the same environment as `base`, sharing its files by hard links.

    Hard links are safe because pip replaces files, and never writes into one. A venv knows its
    own path in the scripts of `bin`: those become files of their own.
    """
    shutil.copytree(
        base,
        target,
        symlinks=True,
        copy_function=_link_or_copy,
        ignore=shutil.ignore_patterns(MARKER),
    )
    for script in (target / "bin").iterdir():
        if script.is_symlink() or script.is_dir():
            continue
        text = script.read_bytes()
        if bytes(base) in text:
            mode = script.stat().st_mode
            script.unlink()
            script.write_bytes(text.replace(bytes(base), bytes(target)))
            script.chmod(mode)


def _link_or_copy(source: str, target: str) -> str:
    """A hard link, or a copy where `target` is on another file system (pytest's /tmp)."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def pip_install(venv: Path, requirements: Sequence[str]) -> None:
    pip_run([_python(venv), "-m", "pip", "install", "-q", *requirements])


def pip_run(command: Sequence[str | Path]) -> str:
    """Run a command of the packaging tools; its output is in the error if it fails."""
    environment = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        **os.environ,
    }
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=600
    )
    if done.returncode != 0:
        line = " ".join(str(part) for part in command)
        raise RuntimeError(f"{line}\nexited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _cached(name: str, *, requirements: Sequence[str], base: Path | None = None) -> Path:
    """The finished venv `name`, built first if it is not there."""
    return cached(name, program=_PROGRAM, build=lambda path: _build(path, requirements, base))


def _build(path: Path, requirements: Sequence[str], base: Path | None) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if base is None:
        pip_run([sys.executable, "-m", "venv", path])
    else:
        clone_venv(base, path)
    pip_install(path, requirements)


def _python(venv: Path) -> Path:
    return venv / _PROGRAM


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def main(arguments: Sequence[str]) -> None:
    """Fetch all that the tests need, so that a slow download is seen and no test waits for it.

    Of Hermes the newest and the oldest version; with `--all-hosts` those between them too.
    """
    older = OLDER_HERMES_VERSIONS if "--all-hosts" in arguments else OLDER_HERMES_VERSIONS[:1]
    for version in (HERMES_VERSION, *older):
        hermes_with_packages_venv(version)
    rotel_venv()
    build_venv()
    vendor_schemas_venv()


if __name__ == "__main__":
    main(sys.argv[1:])
