"""The Collector configurations, the backends' own and compose.yaml, as texts: what they promise stands in them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.collector_configs import (
    AGENT,
    AGENT_QUEUE,
    BACKENDS,
    BASES,
    DESTINATIONS,
    FOLDER,
    GATEWAY,
)

COMPOSE = FOLDER / "compose.yaml"
SIGNALS = ("traces", "metrics")


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def names(path: Path) -> str:
    return path.stem


# --- the Collector ---------------------------------------------------------------------------------


@pytest.mark.parametrize("base", BASES, ids=names)
def test_a_collector_listens_on_loopback_unless_told_otherwise(base: Path) -> None:
    document = read(base)
    endpoints = [
        *(one["endpoint"] for one in document["receivers"]["otlp"]["protocols"].values()),
        document["extensions"]["health_check"]["endpoint"],
    ]

    assert all(re.fullmatch(r"\$\{env:\w+:-127\.0\.0\.1:\d+\}", one) for one in endpoints)


@pytest.mark.parametrize("base", [AGENT, GATEWAY], ids=names)
def test_without_a_queue_it_answers_only_when_its_backend_has(base: Path) -> None:
    for exporter in read(base)["exporters"].values():
        assert exporter["sending_queue"] == {"enabled": False}
        assert exporter["retry_on_failure"] == {"enabled": False}


def test_the_queue_is_on_disk_and_nothing_in_it_grows_too_old() -> None:
    document = read(AGENT_QUEUE)

    for exporter in document["exporters"].values():
        assert exporter["sending_queue"]["storage"] == "file_storage"
        assert exporter["retry_on_failure"] == {"max_elapsed_time": "0s"}
    assert document["extensions"]["file_storage"]["fsync"] is True


@pytest.mark.parametrize("base", BASES, ids=names)
def test_nothing_holds_in_memory_what_has_been_acknowledged(base: Path) -> None:
    types = {name.partition("/")[0] for name in read(base)["processors"]}

    assert types == {"memory_limiter", "redaction", "transform"}


@pytest.mark.parametrize("base", BASES, ids=names)
def test_all_that_is_declared_is_used(base: Path) -> None:
    document = read(base)
    pipelines = [
        pipeline
        for path in DESTINATIONS
        for pipeline in read(path)["service"]["pipelines"].values()
    ]

    for kind in ("receivers", "processors", "exporters"):
        assert set(document[kind]) <= {name for pipeline in pipelines for name in pipeline[kind]}
    assert set(document["extensions"]) == set(document["service"]["extensions"])


@pytest.mark.parametrize("path", DESTINATIONS, ids=names)
def test_a_destination_has_one_exporter_for_each_signal(path: Path) -> None:
    """A second one would get a request twice whenever the first refuses it."""
    document = read(path)

    for signal, pipeline in document["service"]["pipelines"].items():
        assert pipeline["exporters"] == [f"otlp_http/{signal}"]
        assert pipeline["processors"][:3] == [
            "memory_limiter", "redaction", "transform/redaction",
        ]  # fmt: skip
        assert set(pipeline["processors"][3:]) == set(document.get("processors", {}))
        # As a list, headers of another destination's file are replaced, and no key is sent elsewhere.
        assert isinstance(document["exporters"][f"otlp_http/{signal}"]["headers"], list)


def test_every_variable_is_described() -> None:
    described = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (FOLDER / "README.md").read_text()))
    for path in (*BASES, *DESTINATIONS):
        variables = set(re.findall(r"\$\{env:(\w+)", path.read_text()))
        assert variables <= described, path.name


def test_the_gateway_masks_the_same_in_all_texts() -> None:
    processors = read(GATEWAY)["processors"]
    patterns = processors["redaction"]["blocked_values"]
    statements = processors["transform/redaction"]["trace_statements"]

    for field in ("span.status.message", "span.name"):
        masked = [
            found[1].replace("\\\\", "\\")
            for one in statements
            if (found := re.fullmatch(rf'replace_pattern\({field}, "(.*)", "\*\*\*\*"\)', one))
        ]
        assert masked == patterns


# --- compose.yaml ----------------------------------------------------------------------------------


def services() -> Mapping[str, Any]:
    found: dict[str, Any] = read(COMPOSE)["services"]
    return found


def test_compose_file_has_the_form_of_the_specification() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", services())
def test_a_service_has_its_version_and_listens_on_loopback(name: str) -> None:
    service = services()[name]

    assert re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@pytest.mark.parametrize("name", services())
def test_what_a_service_mounts_exists(name: str) -> None:
    for volume in services()[name].get("volumes", []):
        source, _, options = volume.partition(":")
        if source.startswith("."):
            assert (FOLDER / source).exists(), source
            assert options.endswith(":ro")
        else:
            assert source in read(COMPOSE)["volumes"]


@pytest.mark.parametrize("name", services())
def test_a_service_reads_only_files_that_are_mounted(name: str) -> None:
    service = services()[name]
    mounted = [volume.split(":") for volume in service.get("volumes", [])]
    for argument in service.get("command", []):
        path = argument.partition("=")[2]
        if not path.startswith("/etc/"):
            continue
        (source, target) = next(
            (source, target) for source, target, *_ in mounted if path.startswith(target)
        )
        assert (FOLDER / source / path.removeprefix(target).lstrip("/")).exists()


@pytest.mark.parametrize("name", services())
def test_a_service_sets_only_variables_that_its_files_know(name: str) -> None:
    """But for Grafana's own, which no file of ours reads."""
    service = services()[name]
    texts = [
        path.read_text()
        for volume in service.get("volumes", [])
        if (root := FOLDER / volume.split(":")[0]).exists()
        for path in ([root] if root.is_file() else root.rglob("*.y*ml"))
    ]
    own = {one for one in service.get("environment", {}) if not one.startswith("GF_")}

    assert own <= {
        one for text in texts for one in re.findall(r"\$\{?(?:env:)?([A-Z][A-Z0-9_]+)", text)
    }


def test_the_names_of_services_in_addresses_are_those_of_services() -> None:
    known = set(services()) | {
        alias
        for service in services().values()
        for network in (service.get("networks") or {}).values()
        for alias in network["aliases"]
    }
    for service in services().values():
        for value in service.get("environment", {}).values():
            for host in re.findall(r"https?://([\w-]+):", value):
                assert host in known


# --- the backends' own -----------------------------------------------------------------------------


def test_rules_and_alerts_lie_where_prometheus_looks_for_them() -> None:
    patterns = read(BACKENDS / "prometheus.yml")["rule_files"]

    assert [str((BACKENDS / one).resolve().parent) for one in patterns] == [
        str(FOLDER / "rules"),
        str(FOLDER / "alerts"),
    ]


def test_tempo_takes_history_for_search_and_for_metrics() -> None:
    document = read(BACKENDS / "tempo.yaml")

    assert document["storage"]["trace"]["wal"]["ingestion_time_range_slack"] == "800h"
    assert document["metrics_generator"]["metrics_ingestion_time_range_slack"] == "800h"
