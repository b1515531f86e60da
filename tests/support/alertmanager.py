"""A real Alertmanager on a free loopback port.

with alertmanager(tmp_path, configuration) as alerting:
    ...                                     # a Prometheus that sends to alerting.address
    assert [alert.labels["alertname"] for alert in alerting.alerts()] == ["HermesCronJobFailed"]
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests

from tests.support.go_programs import alertmanager_program
from tests.support.server_process import (
    PortChoice,
    ServerProcess,
    accepts_connections,
    free_port,
    running,
)

_USUAL_PORT = 9093
_LIMIT_S = 30.0


def alertmanager(folder: Path, configuration: Path) -> AbstractContextManager[Alertmanager]:
    """An Alertmanager that is ready; its log and its data lie in `folder`."""
    return running(partial(Alertmanager, folder, configuration))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    """RFC 3339."""
    state: str
    """`active`, `suppressed` or `unprocessed`."""
    receivers: tuple[str, ...]
    source_url: str
    """The expression in Prometheus."""


class Alertmanager(ServerProcess):
    def __init__(
        self,
        folder: Path,
        configuration: Path,
        *,
        program: Path | None = None,
        choose_port: PortChoice = free_port,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._port = choose_port(_USUAL_PORT)
        super().__init__(
            [
                program or alertmanager_program(),
                f"--config.file={configuration}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",  # it talks to no other
            ],
            log_path=folder / "alertmanager.log",
        )

    @property
    def address(self) -> str:
        """Host and port, as Prometheus wants it in `static_configs`."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def is_ready(self) -> bool:
        return (
            accepts_connections(self._port)
            and requests.get(f"{self.url}/-/ready", timeout=_LIMIT_S).ok
        )

    def alerts(self) -> list[Alert]:
        """Those that are firing now, silenced and inhibited ones too."""
        answer = requests.get(f"{self.url}/api/v2/alerts", timeout=_LIMIT_S)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return [
            Alert(
                labels=alert["labels"],
                annotations=alert["annotations"],
                starts_at=alert["startsAt"],
                state=alert["status"]["state"],
                receivers=tuple(receiver["name"] for receiver in alert["receivers"]),
                source_url=alert.get("generatorURL", ""),
            )
            for alert in found
        ]
