"""A real Jaeger on free loopback ports, which keeps its traces in memory or on disk (badger).

with jaeger(tmp_path) as server:
    send_to(server.http_endpoint)
    (trace,) = server.traces("hermes-cron", tags={"hermes.cron.job.id": job_id})
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import requests
import yaml
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.collector import SpanDict, decode_spans
from tests.support.go_programs import jaeger_program
from tests.support.otelcol import CollectorProcess, Tree
from tests.support.server_process import running

_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_LIMIT_S = 60.0


def jaeger(
    folder: Path,
    *configurations: Path,
    badger: bool = False,
    overrides: Tree | None = None,
    environment: Mapping[str, str] | None = None,
) -> AbstractContextManager[Jaeger]:
    """A Jaeger that is ready; its log and its data lie in `folder`.

    Without `configurations` it keeps all traces in memory, or in `folder`/badger.
    """
    if not configurations:
        configurations = (_write_configuration(folder, badger=badger),)
    return running(
        partial(
            Jaeger,
            jaeger_program(),
            folder,
            configurations,
            overrides=overrides,
            environment=environment,
        )
    )


class Jaeger(CollectorProcess):
    @property
    def url(self) -> str:
        """Of its API, and of its web page, which our build does not have."""
        return f"http://{self.address('extensions.jaeger_query.http.endpoint')}"

    def is_ready(self) -> bool:
        return super().is_ready() and requests.get(f"{self.url}/api/services", timeout=_LIMIT_S).ok

    def services(self) -> list[str]:
        return sorted(self._get("services") or [])

    def operations(self, service: str) -> list[str]:
        """The names of its spans."""
        return sorted(self._get(f"services/{service}/operations") or [])

    def traces(
        self,
        service: str,
        *,
        tags: Mapping[str, str] | None = None,
        operation: str | None = None,
        start_ns: int = 0,
        end_ns: int | None = None,
        limit: int = 10_000,
    ) -> list[list[SpanDict]]:
        """The traces that a search finds, each whole; newest first.

        `tags` are attributes of one span, or of its resource, and equal to the texts given.
        """
        parameters = {
            "service": service,
            "tags": json.dumps(tags or {}),
            "start": str(start_ns // 1000),
            "end": str((2**62 if end_ns is None else end_ns) // 1000),
            "limit": str(limit),
        }
        if operation is not None:
            parameters["operation"] = operation
        return [self.trace(trace_id) for trace_id in self.search(parameters)]

    def search(self, parameters: Mapping[str, str]) -> list[str]:
        """The ids of the traces that a search finds, with the parameters of the page's address."""
        return [found["traceID"] for found in self._get("traces", parameters)]

    def trace(self, trace_id: str) -> list[SpanDict]:
        """All spans of a trace, as they were received; none if there is no such trace."""
        answer = requests.get(f"{self.url}/api/v3/traces/{trace_id}", timeout=_LIMIT_S)
        if answer.status_code == requests.codes.not_found:
            return []
        answer.raise_for_status()
        message = json_format.ParseDict(
            _with_ids_as_base64(answer.json()["result"]), ExportTraceServiceRequest()
        )
        return decode_spans(message)

    def _get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        answer = requests.get(f"{self.url}/api/{path}", parameters, timeout=_LIMIT_S).json()
        if answer.get("errors"):
            raise AssertionError(f"Jaeger refused {path} {parameters}: {answer['errors']}")
        return answer["data"]


def _with_ids_as_base64(value: Any) -> Any:
    """OTLP in JSON has ids in hexadecimal, unlike other bytes in the JSON of protobuf."""
    if isinstance(value, list):
        return [_with_ids_as_base64(item) for item in value]
    if isinstance(value, dict):
        return {
            name: base64.b64encode(bytes.fromhex(item)).decode()
            if name in _IDS
            else _with_ids_as_base64(item)
            for name, item in value.items()
        }
    return value


def _write_configuration(folder: Path, *, badger: bool) -> Path:
    directories = {"keys": f"{folder}/badger/keys", "values": f"{folder}/badger/values"}
    storage = (
        {"badger": {"directories": directories, "ephemeral": False, "ttl": {"spans": "8760h"}}}
        if badger
        else {"memory": {"max_traces": 100_000}}
    )
    configuration = {
        "receivers": {"otlp": {"protocols": {"http": {}, "grpc": {}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "all"}},
        "extensions": {
            "jaeger_storage": {"backends": {"all": storage}},
            "jaeger_query": {
                "storage": {"traces": "all"},
                "enable_tracing": False,  # it would send traces of itself to port 4317
            },
        },
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
            },
        },
    }
    folder.mkdir(exist_ok=True)
    path = folder / "jaeger.yaml"
    path.write_text(yaml.safe_dump(configuration))
    return path
