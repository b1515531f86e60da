"""A real OpenTelemetry Collector with a configuration of `collector/`, on free loopback ports.

    with otelcol(tmp_path, AGENT, DESTINATIONS / "jaeger.yaml", overrides=...) as collector:
        send_to(collector.http_endpoint)
        collector.kill()
        collector.start()           # with the same files, on the same ports

The files are used as they are, except for the ports on which the Collector listens and what a test
overrides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.support.go_programs import otelcol_program
from tests.support.server_process import (
    PortChoice,
    ServerProcess,
    accepts_connections,
    free_port,
    running,
)

Tree = Mapping[str, Any]
"""A configuration, or a part of one, as YAML has it."""

_ENDPOINTS = {
    "health_check": (("endpoint",),),
    "healthcheckv2": (("http", "endpoint"),),
    "jaeger_query": (("http", "endpoint"), ("grpc", "endpoint")),
    "prometheus": (("endpoint",),),
}
"""By type of component: its settings that say where it listens."""
_OWN_METRICS = "own metrics"
_OWN_METRICS_PORT = 8888
_VARIABLE = re.compile(r"\$\{env:\w+:-(?P<default>[^}]*)\}")
_LIMIT_S = 30.0


def otelcol(
    folder: Path,
    *configurations: Path,
    overrides: Tree | None = None,
    environment: Mapping[str, str] | None = None,
) -> AbstractContextManager[Otelcol]:
    """A Collector that is ready to receive; its log lies in `folder`.

    `configurations` are merged as `--config` options are. `environment` is for `${env:…}`.
    """
    return running(
        partial(Otelcol, folder, configurations, overrides=overrides, environment=environment)
    )


class CollectorProcess(ServerProcess):
    """A Collector of any distribution: Jaeger is one, too."""

    def __init__(
        self,
        program: Path,
        folder: Path,
        configurations: Sequence[Path],
        *,
        overrides: Tree | None = None,
        environment: Mapping[str, str] | None = None,
        choose_port: PortChoice = free_port,
    ) -> None:
        wanted = merged(*map(read_yaml, configurations), overrides or {})
        changes, self._ports = _on_chosen_ports(wanted, choose_port)
        self.configuration = merged(wanted, changes)
        """What it runs with."""
        folder.mkdir(exist_ok=True)
        last = folder / f"{program.name}-overrides.yaml"
        last.write_text(yaml.safe_dump(merged(overrides or {}, changes)))
        super().__init__(
            [program, *(f"--config={path}" for path in (*configurations, last))],
            log_path=folder / f"{program.name}.log",
            environment=environment,
        )

    def address(self, setting: str) -> str:
        """Host and port where it listens: `address("extensions.jaeger_query.http.endpoint")`."""
        return f"127.0.0.1:{self._ports[setting]}"

    @property
    def http_endpoint(self) -> str:
        """The base endpoint for OTLP/HTTP, without `/v1/traces`."""
        return self._otlp_endpoint("http")

    @property
    def grpc_endpoint(self) -> str:
        return self._otlp_endpoint("grpc")

    def own_metric(self, name: str) -> float:
        """The sum of one of its own metrics over all label values; 0 if there is none.

        For example `otelcol_exporter_sent_spans`. KeyError if its configuration switches them off.
        """
        page = requests.get(f"http://{self.address(_OWN_METRICS)}/metrics", timeout=_LIMIT_S).text
        values = re.findall(rf"^{re.escape(name)}(?:{{.*}})? (\S+)$", page, re.MULTILINE)
        return sum(map(float, values))

    def is_ready(self) -> bool:
        return all(map(accepts_connections, self._ports.values()))

    def _otlp_endpoint(self, protocol: str) -> str:
        settings = self.configuration["receivers"]["otlp"]["protocols"][protocol]
        scheme = "https" if settings.get("tls") else "http"
        return f"{scheme}://{self.address(f'receivers.otlp.protocols.{protocol}.endpoint')}"


class Otelcol(CollectorProcess):
    """It has a health check even if its configuration has none."""

    def __init__(
        self,
        folder: Path,
        configurations: Sequence[Path],
        *,
        overrides: Tree | None = None,
        environment: Mapping[str, str] | None = None,
        program: Path | None = None,
        choose_port: PortChoice = free_port,
    ) -> None:
        wanted = merged(*map(read_yaml, configurations), overrides or {})
        extensions = wanted["service"].get("extensions", [])
        if "health_check" not in extensions:
            health_check = {
                "extensions": {"health_check": {}},
                "service": {"extensions": [*extensions, "health_check"]},
            }
            overrides = merged(overrides or {}, health_check)
        super().__init__(
            program or otelcol_program(),
            folder,
            configurations,
            overrides=overrides,
            environment=environment,
            choose_port=choose_port,
        )

    def is_ready(self) -> bool:
        return (
            super().is_ready()
            and requests.get(
                f"http://{self.address('extensions.health_check.endpoint')}/", timeout=_LIMIT_S
            ).ok
        )


def read_yaml(path: Path) -> Tree:
    tree: Tree = yaml.safe_load(path.read_text())
    return tree


def merged(*trees: Tree) -> dict[str, Any]:
    """Later settings win; mappings are merged and lists are replaced, as the Collector does it."""
    result: dict[str, Any] = {}
    for tree in trees:
        for name, value in tree.items():
            before = result.get(name)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                result[name] = merged(before, value)
            else:
                result[name] = value
    return result


def _on_chosen_ports(
    configuration: Tree, choose_port: PortChoice
) -> tuple[dict[str, Any], dict[str, int]]:
    """What to change so that it listens on loopback, on chosen ports, and these by setting."""
    ports = {
        ".".join(setting): choose_port(_configured_port(configuration, setting))
        for setting in _listening(configuration)
    }
    changes = merged(
        *(_nested(setting.split("."), f"127.0.0.1:{port}") for setting, port in ports.items())
    )
    own_metrics = configuration["service"].get("telemetry", {}).get("metrics", {})
    if own_metrics.get("level") == "none":
        return changes, ports
    ports[_OWN_METRICS] = choose_port(_OWN_METRICS_PORT)
    exporter = {"prometheus": {"host": "127.0.0.1", "port": ports[_OWN_METRICS]}}
    metrics = {"level": "normal", "readers": [{"pull": {"exporter": exporter}}]}
    return merged(changes, {"service": {"telemetry": {"metrics": metrics}}}), ports


def _listening(configuration: Tree) -> Iterator[tuple[str, ...]]:
    """The settings that say where the components in use listen."""
    service = configuration["service"]
    pipelines = service["pipelines"].values()
    used = {("extensions", name) for name in service.get("extensions", [])} | {
        (section, name)
        for section in ("receivers", "exporters")
        for pipeline in pipelines
        for name in pipeline[section]
    }
    for section, name in sorted(used):
        component_type = name.partition("/")[0]
        if (section, component_type) == ("receivers", "otlp"):
            for protocol in configuration[section][name]["protocols"]:
                yield section, name, "protocols", protocol, "endpoint"
        for setting in _ENDPOINTS.get(component_type, ()):
            yield section, name, *setting


def _configured_port(configuration: Tree, setting: Sequence[str]) -> int:
    """The port of an endpoint, with the defaults of variables in it; 0 if it names none."""
    value: Any = configuration
    for name in setting:
        value = (value or {}).get(name, "")
    _, _, port = _VARIABLE.sub(lambda variable: variable["default"], value).rpartition(":")
    return int(port or 0)


def _nested(path: Sequence[str], value: str) -> dict[str, Any]:
    first, *rest = path
    return {first: _nested(rest, value) if rest else value}
