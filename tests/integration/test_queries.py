"""collector/queries.md and the links: their TraceQL is right, and each question has an answer in each backend."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import sqlglot

from collector.generate.queries import search
from cronalytics_otel.config import ExplorerName
from cronalytics_otel.telemetry.links import EXPLORERS, Question
from cronalytics_otel.telemetry.semconv import ATTRIBUTES, Where
from tests.support.queries import LANGUAGES, README, queries
from tests.support.traceql import traceql_problems


def test_the_traceql_of_the_document_is_right() -> None:
    found = queries("traceql")

    assert set(found) == set(Question)
    assert dict(zip(found, traceql_problems([*found.values()]), strict=True)) == {
        question: [] for question in Question
    }


def test_the_traceql_of_links_is_right_for_all_jobs_and_for_any_name() -> None:
    tempo = EXPLORERS[ExplorerName.GRAFANA]
    asked = [
        tempo.query(replace(search(question), **facts))
        for question in Question
        for facts in ({"job_id": None}, {"job_id": 'a"\\b', "skill": 'x" || "y'})
    ]

    assert [problems for problems in traceql_problems(asked) if problems] == []


@pytest.mark.parametrize("question", Question)
def test_each_question_has_a_query_or_a_reason_for_each_backend(question: Question) -> None:
    for explorer, language in LANGUAGES.items():
        has_query = question in queries(language)
        assert has_query == (EXPLORERS[explorer].reason(question) is None)
    assert question in queries("sh")


@pytest.mark.parametrize("question", Question)
def test_the_sql_of_the_document_is_clickhouses(question: Question) -> None:
    parsed = sqlglot.parse_one(queries("sql")[question], dialect="clickhouse")

    assert [table.name for table in parsed.find_all(sqlglot.exp.Table)] == ["otel_traces"]


def test_the_sql_of_the_document_asks_for_attributes_that_a_run_has() -> None:
    roots = {attribute.name for attribute in ATTRIBUTES if Where.ROOT in attribute.where}
    asked = {
        name
        for text in queries("sql").values()
        for name in re.findall(r"SpanAttributes\['([^']+)'\]", text)
    }

    assert asked <= roots
    assert len(asked) > 3


def test_the_traceql_of_the_quick_start_is_right() -> None:
    shown = re.findall(r"`(\{ span\.[^`]+)`", README.read_text(encoding="utf-8"))

    assert len(shown) == 1
    assert traceql_problems(shown) == [[]]
