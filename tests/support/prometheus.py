"""A real Prometheus that receives OTLP, on a free loopback port.

    with prometheus(tmp_path) as server:
        send_metrics_to(server.metrics_url)
        assert server.query("sum(hermes_cron_runs_total)")[0].value == 3

It keeps exemplars. Without a configuration of the test, it takes points that are up to 30 minutes older
than the newest one, as `collector/` advises users to set it up, and it scrapes nothing, so all that it
knows was sent to it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests.support.go_programs import prometheus_program
from tests.support.server_process import (
    PortChoice,
    ServerProcess,
    accepts_connections,
    free_port,
    running,
)

_CONFIGURATION = """\
storage:
  tsdb:
    out_of_order_time_window: 30m
"""
USUAL_PORT = 9090
_ALL_TIME = {"start": "0", "end": "9999999999"}
_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a series; `labels` has its name as `__name__`."""

    labels: dict[str, str]
    value: float
    time_s: float
    """Since the epoch, in milliseconds at the finest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemplar:
    series: dict[str, str]
    labels: dict[str, str]
    """`trace_id`, `span_id` and the filtered attributes."""
    value: float
    time_s: float


def prometheus(
    folder: Path, configuration: Path | None = None, *, receives_otlp: bool = True
) -> AbstractContextManager[Prometheus]:
    """A Prometheus that is ready; its data and its log lie in `folder`/prometheus."""
    return running(partial(Prometheus, folder, configuration, receives_otlp=receives_otlp))


RUNBOOKS = Path(__file__).parents[2] / "collector" / "runbooks"
"""It serves them below /user, where the alerts link to."""


class Prometheus(ServerProcess):
    def __init__(
        self,
        folder: Path,
        configuration: Path | None,
        *,
        receives_otlp: bool = True,
        program: Path | None = None,
        choose_port: PortChoice = free_port,
    ) -> None:
        home = folder / "prometheus"
        home.mkdir(exist_ok=True)
        if configuration is None:
            configuration = home / "prometheus.yml"
            configuration.write_text(_CONFIGURATION)
        self._port = choose_port(USUAL_PORT)
        command: list[str | Path] = [
            program or prometheus_program(),
            f"--config.file={configuration}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--enable-feature=exemplar-storage",
            f"--web.user-assets={RUNBOOKS}",
        ]
        if receives_otlp:
            command.append("--web.enable-otlp-receiver")
        super().__init__(command, log_path=home / "log")

    def is_ready(self) -> bool:
        return (
            accepts_connections(self._port)
            and requests.get(f"{self.url}/-/ready", timeout=_LIMIT_S).ok
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def otlp_endpoint(self) -> str:
        """The base endpoint, without `/v1/metrics`."""
        return f"{self.url}/api/v1/otlp"

    @property
    def metrics_url(self) -> str:
        return f"{self.otlp_endpoint}/v1/metrics"

    def query(self, promql: str, at: float | None = None) -> list[Sample]:
        """The instant vector that an expression gives at a time (seconds since the epoch; now)."""
        return [
            Sample(labels=found["metric"], value=float(value), time_s=time_s)
            for found in self._result(promql, at)
            for time_s, value in [found["value"]]
        ]

    def query_range(
        self, promql: str, start_s: float, end_s: float, step_s: float
    ) -> list[list[Sample]]:
        """The values of each series at each step of a time range, as a chart shows them."""
        parameters = {"query": promql, "start": f"{start_s:.3f}", "end": f"{end_s:.3f}"}
        found = self._get("query_range", parameters | {"step": f"{step_s:.3f}"})
        return [
            [
                Sample(labels=series["metric"], value=float(value), time_s=time_s)
                for time_s, value in series["values"]
            ]
            for series in found["result"]
        ]

    def points(self, selector: str, at: float, window: str = "1h") -> list[Sample]:
        """The stored points of the series, as they came, in the window that ends at `at`."""
        return [
            Sample(labels=found["metric"], value=float(value), time_s=time_s)
            for found in self._result(f"{selector}[{window}]", at)
            for time_s, value in found["values"]
        ]

    def series(self, match: str) -> list[dict[str, str]]:
        """The labels of all series, of any time, that a selector matches."""
        found: list[dict[str, str]] = self._get("series", {"match[]": match, **_ALL_TIME})
        return found

    def exemplars(self, promql: str) -> list[Exemplar]:
        """The exemplars, of any time, of all series that an expression selects."""
        return [
            Exemplar(
                series=found["seriesLabels"],
                labels=exemplar["labels"],
                value=float(exemplar["value"]),
                time_s=exemplar["timestamp"],
            )
            for found in self._get("query_exemplars", {"query": promql, **_ALL_TIME})
            for exemplar in found["exemplars"]
        ]

    def _result(self, promql: str, at: float | None) -> list[dict[str, Any]]:
        parameters = {"query": promql} | ({} if at is None else {"time": f"{at:.3f}"})
        result: list[dict[str, Any]] = self._get("query", parameters)["result"]
        return result

    def _get(self, path: str, parameters: dict[str, str]) -> Any:
        response = requests.get(f"{self.url}/api/v1/{path}", parameters, timeout=_LIMIT_S)
        answer = response.json()
        if answer["status"] != "success":
            raise AssertionError(f"Prometheus refused {parameters}: {answer['error']}")
        return answer["data"]
