"""Whether a text is TraceQL that finds something in our traces.

The syntax is judged by the parser of Grafana's own editor (npm `@grafana/lezer-traceql`), which runs in Node. It is
pinned by `traceql_parser/package-lock.json` and installed once per machine, in the cache of this machine. The parser
knows no types and none of our names, so those are checked here.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cronalytics_otel.telemetry.semconv import ATTRIBUTES
from tests.support.cache import cached

_SOURCE = Path(__file__).parent / "traceql_parser"
_FILES = ("package.json", "package-lock.json", "parse.js")
_LIMIT_S = 300.0

_NAME = re.compile(r"\b(span|resource)\.([A-Za-z_][\w.]*)")
_COMPARISON = re.compile(r"\bspan\.([A-Za-z_][\w.]*)\s*(?:>=|<=|!=|=|>|<)\s*(-?\d+)(?![\d.\w])")
_TOP = re.compile(r"\|\s*(?:top|bottom)k\(")
_METRIC = re.compile(r"\|\s*(?:rate|\w+_over_time|histogram_over_time|compare)\(")

_NO_NODE = (
    "TraceQL is checked by the parser of Grafana's editor, which needs Node 18 or newer, with npm"
    " (https://nodejs.org). There is no `npm` on the PATH."
)


class NodeMissingError(RuntimeError):
    """There is no Node to run the parser with; the text says what to install."""


def traceql_problems(queries: Sequence[str]) -> list[list[str]]:
    """What is wrong with each query, in sentences; nothing if it is right."""
    answer = subprocess.run(
        ["node", _parser() / "parse.js"],
        input=json.dumps(queries),
        capture_output=True,
        text=True,
        check=True,
        timeout=_LIMIT_S,
    )
    return [
        [*(_fault(query, *place) for place in places), *_problems(query)]
        for query, places in zip(queries, json.loads(answer.stdout), strict=True)
    ]


def _fault(query: str, begin: int, end: int) -> str:
    return f"no TraceQL at {query[begin : max(end, begin + 1)]!r} ({begin}) in {query}"


def _problems(query: str) -> Iterator[str]:
    """What the parser does not see: names that no span of ours has, numbers of the wrong type, and a `topk` without
    a metrics function before it."""
    types = {attribute.name: attribute.type for attribute in ATTRIBUTES}
    for scope, name in _NAME.findall(query):
        if name not in types:
            yield f"no {scope} of ours has {name}"
    for name, number in _COMPARISON.findall(query):
        if types.get(name) == "double":
            yield f"{name} is a double, which never equals the integer {number}: write {number}.0"
    top = _TOP.search(query)
    if top is not None and _METRIC.search(query, 0, top.start()) is None:
        yield "topk and bottomk need a metrics function before them"


def _parser() -> Path:
    content = b"".join((_SOURCE / name).read_bytes() for name in _FILES)
    return cached(
        f"traceql-parser-{hashlib.sha256(content).hexdigest()[:12]}",
        program="node_modules/@grafana/lezer-traceql/package.json",
        build=_install,
    )


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise NodeMissingError(_NO_NODE)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copy(_SOURCE / name, folder / name)
    subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=_LIMIT_S,
    )


if __name__ == "__main__":
    try:
        _parser()
    except NodeMissingError as error:
        sys.exit(str(error))
