"""Links to trace explorers: the settings that name them, and the addresses that they make."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
import yaml

from cronalytics_otel.config import ExplorerAddress, ExplorerName, load_settings
from cronalytics_otel.telemetry.links import EXPLORERS, Question, Search, TraceRef

SECOND_NS = 1_000_000_000
NOW_NS = 1_769_846_400 * SECOND_NS
WEEK_S = 7 * 86_400

JAEGER = ExplorerAddress(explorer=ExplorerName.JAEGER, url="http://localhost:16686")
GRAFANA = ExplorerAddress(explorer=ExplorerName.GRAFANA, url="https://example.com/grafana")
HONEYCOMB = ExplorerAddress(
    explorer=ExplorerName.HONEYCOMB, url="https://ui.honeycomb.io/team/environments/env"
)
DATADOG = ExplorerAddress(explorer=ExplorerName.DATADOG, url="https://app.datadoghq.com")
ADDRESSES = (JAEGER, GRAFANA, HONEYCOMB, DATADOG)

ALL = Search(
    question=Question.ALL,
    service_name="hermes-cron",
    profile="default",
    job_id="6c583f72f2e8",
    until_ns=NOW_NS,
    days=7,
    skill="news",
    least_duration_ns=185 * SECOND_NS,
    least_cost_usd=0.0432,
)
TRACE = TraceRef(
    trace_id="0b066a36783ca70e575ca42823a58c9d",
    started_ns=NOW_NS - 185 * SECOND_NS,
    ended_ns=NOW_NS + 1,
)


def asking(question: Question, **facts: Any) -> Search:
    return replace(ALL, question=question, **facts)


def link(address: ExplorerAddress, search: Search) -> str:
    return EXPLORERS[address.explorer].search_url(address, search)


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, strict_parsing=True))


def pane(url: str) -> Any:
    """What Grafana's Explore is to show."""
    return json.loads(parameters(url)["panes"])["a"]


def query(address: ExplorerAddress, search: Search) -> str:
    return EXPLORERS[address.explorer].query(search)


# --- settings ------------------------------------------------------------------------------


def links_of(home: Path, links: object) -> tuple[tuple[ExplorerAddress, ...], tuple[str, ...]]:
    document = {"plugins": {"entries": {"cronalytics-otel": {"links": links}}}}
    (home / "config.yaml").write_text(yaml.safe_dump(document))
    settings = load_settings(home, {"TEAM": "acme"})
    return settings.links or (), settings.problems


def test_addresses_lose_their_slash_and_keep_their_path(tmp_path: Path) -> None:
    links, problems = links_of(
        tmp_path,
        {
            "datadog": "https://app.datadoghq.eu/",
            "honeycomb": "https://ui.honeycomb.io/${TEAM}/environments/test",
            "grafana": " https://example.com/grafana/ ",
            "tempo_datasource": "grafanacloud-traces",
        },
    )

    assert problems == ()
    assert [(each.explorer, each.url) for each in links] == [
        ("grafana", "https://example.com/grafana"),
        ("honeycomb", "https://ui.honeycomb.io/acme/environments/test"),
        ("datadog", "https://app.datadoghq.eu"),
    ]
    assert links[0].tempo_datasource == "grafanacloud-traces"


def test_without_links_there_is_no_address(tmp_path: Path) -> None:
    assert links_of(tmp_path, {}) == ((), ())


@pytest.mark.parametrize(
    ("links", "problem"),
    [
        ({"jaeger": "localhost:16686"}, "jaeger: it does not begin with http:// or https://"),
        ({"jaeger": 16686}, "jaeger: 16686 is not a text"),
        ({"grafana": "https://me:hunter2@example.com"}, "no user and no password"),
        ({"grafana": "https://example.com/?token=hunter2"}, "without ? and #"),
        ({"grafana": "https://example.com/#hunter2"}, "without ? and #"),
        ({"grafana": "https://exam ple.com"}, "a URL has no blanks"),
        ({"honeycomb": "https://ui.honeycomb.io/"}, "the team is missing"),
        ({"datadog": "${NOWHERE}"}, "the environment variable NOWHERE is not set"),
        ({"jeager": "http://localhost"}, "did you mean jaeger?"),
        ("http://localhost", "expected a mapping"),
    ],
)
def test_a_wrong_address_is_a_problem_without_its_secret(
    tmp_path: Path, links: object, problem: str
) -> None:
    found, problems = links_of(tmp_path, links)

    assert found == ()
    (text,) = problems
    assert problem in text
    assert "hunter2" not in text


def test_a_wrong_address_takes_none_of_the_others_away(tmp_path: Path) -> None:
    links, problems = links_of(tmp_path, {"jaeger": "http://localhost:16686", "grafana": "ftp://a"})

    assert [each.explorer for each in links] == ["jaeger"]
    assert len(problems) == 1


# --- Jaeger --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "tags"),
    [
        (ALL, {"hermes.cron.job.id": "6c583f72f2e8"}),
        (
            asking(Question.FAILED),
            {"hermes.cron.job.id": "6c583f72f2e8", "hermes.cron.run.failed": "true"},
        ),
        (
            asking(Question.MISSED, job_id=None),
            {
                "hermes.profile.name": "default",
                "hermes.cron.run.outcome": "missed",
            },
        ),
    ],
)
def test_jaeger_searches_by_equal_tags(search: Search, tags: dict[str, str]) -> None:
    found = parameters(link(JAEGER, search))

    assert json.loads(found.pop("tags")) == tags
    assert found == {
        "service": "hermes-cron",
        "lookback": "custom",
        "start": str((NOW_NS // SECOND_NS - WEEK_S) * 1_000_000),
        "end": str(NOW_NS // 1000),
        "limit": "1500",
    }


@pytest.mark.parametrize(
    ("ns", "duration"),
    [
        (185 * SECOND_NS, "185s"),
        (170_000_000, "170ms"),
        (170_250_000, "170250us"),
        (170_250_999, "170250us"),
    ],
)
def test_the_least_duration_is_never_above_what_jaeger_has_stored(ns: int, duration: str) -> None:
    search = asking(Question.SLOWEST, least_duration_ns=ns)

    assert parameters(link(JAEGER, search))["minDuration"] == duration


def test_tags_are_typed_as_logfmt() -> None:
    search = asking(Question.FAILED, job_id=None, profile='my "own"')

    assert query(JAEGER, search) == (
        "Service: hermes-cron\n"
        r'Tags: hermes.profile.name="my \"own\"" hermes.cron.run.failed=true'
    )


# --- Tempo in Grafana ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost_usd", "text"),
    [(0.0432, "0.0432"), (1.0, "1.0"), (1e-05, "0.00001"), (1e16, "10000000000000000.0")],
)
def test_a_cost_is_a_double_without_an_exponent(cost_usd: float, text: str) -> None:
    search = asking(Question.MOST_EXPENSIVE, least_cost_usd=cost_usd)

    assert f"span.hermes.cron.cost.total >= {text} }}" in query(GRAFANA, search)
    assert query(DATADOG, search).endswith(f"@hermes.cron.cost.total:>={text}")


def test_grafana_explores_the_data_source_of_the_settings() -> None:
    address = replace(GRAFANA, tempo_datasource="grafanacloud-traces")
    url = link(address, asking(Question.SLOWEST))

    assert url.startswith("https://example.com/grafana/explore?schemaVersion=1&panes=")
    assert pane(url) == {
        "datasource": "grafanacloud-traces",
        "queries": [
            {
                "refId": "A",
                "datasource": {"type": "tempo", "uid": "grafanacloud-traces"},
                "queryType": "traceql",
                "query": query(GRAFANA, asking(Question.SLOWEST)),
                "limit": 1500,
                "tableType": "traces",
            }
        ],
        "range": {"from": "now-7d", "to": "now"},
    }


def test_a_sum_in_grafana_has_a_step_of_a_day() -> None:
    (asked,) = pane(link(GRAFANA, asking(Question.COST_PER_DAY)))["queries"]

    assert asked["step"] == "24h"
    assert "sum_over_time(span.hermes.cron.cost.total)" in asked["query"]


def test_a_trace_in_grafana_is_looked_up_around_its_time() -> None:
    found = pane(EXPLORERS[ExplorerName.GRAFANA].trace_url(GRAFANA, TRACE))

    assert found["queries"][0]["query"] == TRACE.trace_id
    assert int(found["range"]["from"]) < TRACE.started_ns // 1_000_000
    assert int(found["range"]["to"]) > TRACE.ended_ns // 1_000_000


# --- Honeycomb -----------------------------------------------------------------------------


def specification(search: Search) -> Any:
    return json.loads(parameters(link(HONEYCOMB, search))["query"])


def test_honeycomb_runs_a_query_on_the_dataset_of_the_service() -> None:
    url = link(HONEYCOMB, asking(Question.FAILED, service_name="my cron"))

    assert url.startswith("https://ui.honeycomb.io/team/environments/env/datasets/my%20cron?query=")
    assert json.loads(parameters(url)["query"]) == {
        "time_range": WEEK_S,
        "filters": [
            {"column": "hermes.cron.job.id", "op": "=", "value": "6c583f72f2e8"},
            {"column": "hermes.cron.run.failed", "op": "=", "value": True},
        ],
        "calculations": [{"op": "COUNT"}],
        "breakdowns": ["hermes.cron.job.name", "hermes.cron.run.outcome"],
    }


@pytest.mark.parametrize("question", Question)
@pytest.mark.parametrize("days", [1, 7, 30])
def test_a_specification_keeps_honeycombs_rules(question: Question, days: int) -> None:
    found = specification(asking(question, days=days))
    columns = {each.get("column") for each in found["calculations"]}
    granularity = found.get("granularity", found["time_range"] / 10)

    assert all(order["column"] in columns for order in found.get("orders", []))
    assert found["time_range"] / 1000 <= granularity <= found["time_range"] / 10
    assert found["time_range"] >= days * 86_400


def test_what_is_typed_into_honeycomb_is_what_the_link_runs() -> None:
    for question in Question:
        search = asking(question)
        assert json.loads(query(HONEYCOMB, search)) == specification(search)


def test_honeycomb_finds_a_skill_as_a_whole_word_of_the_list() -> None:
    filters = specification(asking(Question.SKILL))["filters"]

    assert {"column": "hermes.cron.job.skills", "op": "contains", "value": '"news"'} in filters


# --- all -----------------------------------------------------------------------------------


def test_each_explorer_opens_the_trace_by_its_id() -> None:
    urls = [EXPLORERS[each.explorer].trace_url(each, TRACE) for each in ADDRESSES]

    assert urls[0] == f"http://localhost:16686/trace/{TRACE.trace_id}"
    assert urls[2] == (
        "https://ui.honeycomb.io/team/environments/env/trace?trace_id="
        f"{TRACE.trace_id}&trace_start_ts=1769846215&trace_end_ts=1769846401"
    )
    assert urls[3] == (
        f"https://app.datadoghq.com/apm/trace/{TRACE.trace_id}?timeHint=1769846215000"
    )


def test_datadog_lists_spans_of_the_time() -> None:
    found = parse_qs(urlsplit(link(DATADOG, asking(Question.FAILED, job_id=None))).query)

    assert found == {
        "query": [
            'service:hermes-cron @hermes.profile.name:"default" @hermes.cron.run.id:* @hermes.cron.run.failed:true'
        ],
        "start": [str((NOW_NS // SECOND_NS - WEEK_S) * 1000)],
        "end": [str(NOW_NS // 1_000_000)],
    }


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.explorer)
def test_an_address_has_nothing_that_a_terminal_or_a_shell_would_break(
    address: ExplorerAddress,
) -> None:
    explorer = EXPLORERS[address.explorer]
    for question in Question:
        search = asking(question, job_id=None, profile="\x1b]8;;x\\ \"'` ü", skill="a\n(b)")
        url = explorer.search_url(address, search)
        assert url.isascii()
        assert url.isprintable()
        assert not set(url) & set(" \"'`\\<>|()")


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda address: address.explorer)
def test_an_explorer_that_cannot_answer_says_what_it_cannot_do(address: ExplorerAddress) -> None:
    explorer = EXPLORERS[address.explorer]

    assert explorer.reason(Question.ALL) is None
    for question, unable in explorer.cannot.items():
        assert explorer.reason(question) == f"{explorer.title} cannot {unable}"
