"""The check of TraceQL that the tests of links, queries and dashboards stand on."""

from __future__ import annotations

import pytest

from tests.support.boards import NAMES, filled_in, traceql
from tests.support.traceql import traceql_problems


@pytest.mark.parametrize(
    "query",
    [
        '{ span.hermes.cron.job.id = "a" && duration >= 60s }',
        "{ span.hermes.cron.cost.total >= 0.05 } | select(span.hermes.cron.run.outcome)",
        "{ span.hermes.cron.cost.total != nil } | sum_over_time(span.hermes.cron.cost.total) | topk(3)",
        '{ resource.hermes.profile.name = "default" && span.hermes.cron.run.failed = true }',
        "{ span.hermes.cron.run.api_calls > 3 }",
    ],
)
def test_a_right_query_has_no_problem(query: str) -> None:
    assert traceql_problems([query]) == [[]]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("{ span.hermes.cron.job.id = ", "no TraceQL"),
        ("{ span.hermes.cron.run.failed = true } | sum(", "no TraceQL"),
        ("{ span.hermes.cron.run.broken = true }", "no span of ours has hermes.cron.run.broken"),
        ("{ span.hermes.cron.cost.total > 0 }", "write 0.0"),
        ("{ span.hermes.cron.run.failed = true } | topk(3)", "need a metrics function"),
    ],
)
def test_a_wrong_query_has_a_problem(query: str, problem: str) -> None:
    (problems,) = traceql_problems([query])

    assert any(problem in each for each in problems)


def test_each_query_has_its_own_problems() -> None:
    assert list(map(bool, traceql_problems(["{ }", "{", "{ } | rate()"]))) == [False, True, False]


def test_the_queries_of_the_dashboards_are_right() -> None:
    queries = [filled_in(query, job="d16e57000001") for name in NAMES for query in traceql(name)]

    assert queries
    assert traceql_problems(queries) == [[] for _ in queries]
