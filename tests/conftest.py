"""What all tests share: nothing of the user's environment gets in, and the servers they talk to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

if TYPE_CHECKING:  # the fixtures import these where they are used: most tests need none of them
    from tests.support.collector import FaultyCollector
    from tests.support.fake_llm import FakeModel
    from tests.support.fault_process import SyncProcesses
    from tests.support.prometheus import Prometheus

pytest.register_assert_rewrite("tests.support.fault_checks")

# The same examples in every run, so that a change is judged by itself; `make search` looks for new
# ones. A test of properties is slow on a busy machine, and that is no failure.
SEARCH = int(os.environ.get("SEARCH", "0"))
settings.register_profile(
    "project", deadline=None, derandomize=not SEARCH, max_examples=100 * max(SEARCH, 1)
)
settings.load_profile("project")

# Hypothesis also draws examples from the constants in the source of all modules that are loaded when a
# test begins. So a test would get other examples alone than after others, in another worker of xdist,
# and whenever a constant changes anywhere in the package. No setting switches this off, and loading
# every module first would not settle it: the script that starts pytest is among the modules. So the
# pool of these constants stays empty. If Hypothesis renames the function, this line raises.
if not SEARCH:
    pytest.MonkeyPatch().setattr(providers, "_get_local_constants", Constants)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Building a backend does not count for a test's time limit, because it takes longer."""
    for item in items:
        if any(name.endswith("_programs") for name in getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(func_only=True))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OTEL_* or HERMES_* setting of the user, and no proxy between us and loopback."""
    for name in os.environ:
        if name.startswith(("OTEL_", "HERMES_")):
            monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, f"127.0.0.1,localhost,{os.environ.get(name, '')}")


@pytest.fixture
def collector() -> Iterator[FaultyCollector]:
    """A collector that takes everything, until a test gives it other answers."""
    from tests.support.collector import FaultyCollector

    with FaultyCollector() as collector:
        yield collector


@pytest.fixture(scope="session")
def prometheus_programs() -> None:
    """Prometheus and promtool are on this machine: they are built here unless they were before."""
    from tests.support.go_programs import prometheus_program

    prometheus_program()


@pytest.fixture(scope="session")
def otelcol_programs() -> None:
    """The Collector is on this machine."""
    from tests.support.go_programs import otelcol_program

    otelcol_program()


@pytest.fixture(scope="session")
def jaeger_programs() -> None:
    """Jaeger is on this machine."""
    from tests.support.go_programs import jaeger_program

    jaeger_program()


@pytest.fixture(scope="session")
def alertmanager_programs() -> None:
    """Alertmanager and amtool are on this machine."""
    from tests.support.go_programs import alertmanager_program

    alertmanager_program()


@pytest.fixture
def prometheus_server(prometheus_programs: None, tmp_path: Path) -> Iterator[Prometheus]:
    """A real Prometheus that receives metrics, and knows none yet."""
    from tests.support.prometheus import prometheus

    with prometheus(tmp_path) as server:
        yield server


@pytest.fixture
def environ(collector: FaultyCollector) -> dict[str, str]:
    """The environment of a sync that sends to `collector`."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SyncProcesses]:
    """Syncs in processes of their own."""
    from tests.support.fault_process import SyncProcesses

    with SyncProcesses(tmp_path_factory.mktemp("processes")) as processes:
        yield processes


@pytest.fixture(scope="session")
def model() -> Iterator[FakeModel]:
    """The offline model that a real Hermes asks."""
    from tests.support.fake_llm import FakeModel

    with FakeModel() as model:
        yield model
