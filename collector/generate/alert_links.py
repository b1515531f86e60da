"""Where an alert leads: traces, a dashboard, a runbook.

The addresses of Jaeger, Grafana and the runbooks are external labels of Prometheus (`jaeger_url`,
`grafana_url`, `runbooks_url`). Without them the links lead to loopback, where collector/compose.yaml and `make stack`
have these programs.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from collector.generate.promql import JOB_ID, PROFILE
from cronalytics_otel.config.links import DEFAULT_TEMPO_DATASOURCE
from cronalytics_otel.model.series import ONCE, OTHER
from cronalytics_otel.telemetry.semconv import HERMES_CRON_JOB_ID, HERMES_CRON_RUN_FAILED

JAEGER_URL: Final = "http://127.0.0.1:16686"
GRAFANA_URL: Final = "http://127.0.0.1:3000"
RUNBOOKS_URL: Final = "http://127.0.0.1:9090/user"
"""Prometheus serves the folder that `--web.user-assets` names."""

_ID: Final = f"{{{{ .Labels.{JOB_ID} }}}}"
_MARK: Final = "JOB-ID"
IS_SHARED: Final = f'match "^({ONCE}|{OTHER})$" .Labels.{JOB_ID}'
"""Whether the alert is about the jobs that have no series of their own: their traces have other ids."""


class Runs(StrEnum):
    """Which runs the traces are of."""

    FAILED = "failed"
    ALL = "all"


def external(name: str, default: str) -> str:
    """Return the template of an address: an external label of Prometheus, else the default."""
    return f"{{{{ with .ExternalLabels.{name} }}}}{{{{ . }}}}{{{{ else }}}}{default}{{{{ end }}}}"


def jaeger_search(runs: Runs) -> str:
    """Return the template of Jaeger's search for the runs of the alert's job."""
    failed = {HERMES_CRON_RUN_FAILED: "true"} if runs is Runs.FAILED else {}
    search = "/search?service={{ .Labels.job | urlquery }}&limit=20&lookback=2d&tags="
    return search + _unless_shared(
        quote(json.dumps({HERMES_CRON_JOB_ID: _MARK, **failed}, separators=(",", ":"))),
        quote(json.dumps(failed, separators=(",", ":"))),
    )


def tempo_search(runs: Runs) -> str:
    """Return the template of Grafana's search in Tempo for the runs of the alert's job."""
    failed = [f"span.{HERMES_CRON_RUN_FAILED} = true"] if runs is Runs.FAILED else []
    of_job = f'span.{HERMES_CRON_JOB_ID} = "{_MARK}"'
    any_job = f"span.{HERMES_CRON_JOB_ID} != nil"
    return "/explore?schemaVersion=1&panes=" + _unless_shared(
        quote(_pane(" && ".join([of_job, *failed]))), quote(_pane(" && ".join([any_job, *failed])))
    )


def _pane(conditions: str) -> str:
    query = {
        "refId": "A",
        "datasource": {"type": "tempo", "uid": DEFAULT_TEMPO_DATASOURCE},
        "queryType": "traceql",
        "query": f"{{ {conditions} }}",
    }
    pane = {
        "datasource": DEFAULT_TEMPO_DATASOURCE,
        "queries": [query],
        "range": {"from": "now-7d", "to": "now"},
    }
    return json.dumps({"a": pane}, separators=(",", ":"))


def _unless_shared(of_job: str, of_shared: str) -> str:
    own = of_job.replace(_MARK, _ID)
    return f"{{{{ if {IS_SHARED} }}}}{of_shared}{{{{ else }}}}{own}{{{{ end }}}}"


def dashboard(uid: str, *, with_job: bool) -> str:
    """Return the template of a dashboard's path, with the alert's profile, and its job where it has one."""
    path = f"/d/{uid}?var-profile={{{{ .Labels.{PROFILE} | urlquery }}}}"
    return f"{path}&var-job={{{{ .Labels.{JOB_ID} | urlquery }}}}" if with_job else path
