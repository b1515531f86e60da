"""An offline model server: OpenAI's chat completions on loopback, told by markers what to do.

A marker stands anywhere in the first user message of a request, `FAKE:NAME` or `FAKE:NAME=value`:

    401, 500, 429       that HTTP status (429 with `Retry-After: 1`), each time
    EMPTY               an answer without text
    SILENT              the answer `[SILENT]`
    TOOL                one call of the terminal tool, then the answer
    MULTI=<n>           n calls of the terminal tool, one per turn, then the answer
    LOOP                a call of the terminal tool each time: never an answer
    DELEGATE            hand a subtask to a subagent, then answer
    DELEGATE=<NAME>     the same, and the subtask carries the marker NAME
    SLOW=<s>            wait that long before each answer
    NOUSAGE             answer without token counts
    (none)              the answer

`fake-model` has a price list, `fake-model-unpriced` has none. Run it by itself with
`python -m tests.support.fake_llm [--port N]`: it prints its URL and serves until it is stopped.

This is the one stand-in of these tests: a model is the edge of the system, and no test may pay one.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.loopback import LoopbackHttpServer, QuietHandler, ThreadedHttpServer

PRICED_MODEL = "fake-model"
UNPRICED_MODEL = "fake-model-unpriced"

PRICES_USD = {"prompt": 2e-6, "completion": 10e-6, "input_cache_read": 0.2e-6}
"""Per token, as `GET /v1/models` tells them to Hermes."""

INPUT_TOKENS = 1000
"""Of each call, the 200 cached ones included (as OpenAI counts)."""
CACHED_TOKENS = 200
OUTPUT_TOKENS = 50
REASONING_TOKENS = 20

ANSWER = "Everything looks fine."
SUBTASK = "Look at one part of it"

_MARKER = re.compile(r"FAKE:([A-Z0-9]+)(?:=([A-Z0-9.]+))?")

_ERRORS = {
    "401": {"message": "Incorrect API key provided", "type": "invalid_request_error"},
    "500": {"message": "upstream exploded", "type": "server_error"},
    "429": {"message": "Rate limit reached", "type": "rate_limit"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for a completion, as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    markers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model says: text, or the call of one tool."""

    text: str = ""
    tool: str | None = None
    arguments: dict[str, str] | None = None


def decide(markers: dict[str, str], tool_results: int) -> Reply:
    """The model's next turn, after it has seen so many tool results."""
    calls = 0
    if "TOOL" in markers:
        calls = 1
    if "MULTI" in markers:
        calls = int(markers["MULTI"])
    if "LOOP" in markers or tool_results < calls:
        command = f"echo step {tool_results + 1}"
        return Reply(tool="terminal", arguments={"command": command})
    if "DELEGATE" in markers and tool_results == 0:
        child = markers["DELEGATE"]
        goal = f"{SUBTASK} FAKE:{child}" if child else SUBTASK
        return Reply(tool="delegate_task", arguments={"goal": goal, "context": "none"})
    if "EMPTY" in markers:
        return Reply(text="")
    if "SILENT" in markers:
        return Reply(text="[SILENT]")
    return Reply(text=ANSWER)


class FakeModel(LoopbackHttpServer):
    """The server in a thread of this process; `with FakeModel() as model: model.url`."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        """What Hermes has as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def _listen(self) -> ThreadedHttpServer:
        return _Server(self, self.port)


class _Server(ThreadedHttpServer):
    def __init__(self, model: FakeModel, port: int) -> None:
        self.model = model
        super().__init__(port, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A host that was killed in the middle of an answer is what these tests do on purpose."""


class _Handler(QuietHandler):
    wbufsize = 0  # an event goes out when it is written, as in a real stream
    server: _Server

    def do_GET(self) -> None:  # noqa: N802 the base's name
        # LM Studio's /api/v1/models must not be there, or Hermes takes this for LM Studio.
        if self.path.split("?")[0].rstrip("/") == "/v1/models":
            self._send_json(200, {"object": "list", "data": _models()})
        else:
            self._send_json(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:  # noqa: N802 the base's name
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.endswith("/chat/completions"):
            self._send_json(404, {"error": {"message": "not found"}})
            return
        body = json.loads(raw)
        messages = body["messages"]
        markers = dict(_MARKER.findall(_first_user_text(messages)))
        self.server.model.requests.append(
            Request(path=self.path, headers=dict(self.headers), body=body, markers=markers)
        )
        if "SLOW" in markers:
            time.sleep(float(markers["SLOW"]))
        for status in _ERRORS.keys() & markers.keys():
            self._send_json(int(status), {"error": _ERRORS[status]})
            return
        tool_results = sum(1 for message in messages if message["role"] == "tool")
        usage = None if "NOUSAGE" in markers else _usage()
        reply = decide(markers, tool_results)
        if body.get("stream"):
            self._send_events(_chunks(body["model"], reply, usage))
        else:
            self._send_json(200, _completion(body["model"], reply, usage))

    def _send_json(self, status: int, content: dict[str, Any]) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(raw)

    def _send_events(self, chunks: Iterator[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


def _models() -> list[dict[str, Any]]:
    common = {"object": "model", "owned_by": "nobody", "context_length": 128_000}
    prices = {name: f"{price:.10f}" for name, price in PRICES_USD.items()}
    return [
        {"id": PRICED_MODEL, **common, "pricing": prices},
        {"id": UNPRICED_MODEL, **common},
    ]


def _first_user_text(messages: list[dict[str, Any]]) -> str:
    for message in messages:
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return "\n".join(part.get("text", "") for part in content)
    return ""


def _usage() -> dict[str, Any]:
    return {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
    }


def _tool_call(reply: Reply) -> dict[str, Any]:
    return {
        "id": f"call_{uuid.uuid4().hex[:12]}",
        "type": "function",
        "function": {"name": reply.tool, "arguments": json.dumps(reply.arguments)},
    }


def _head(model: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex[:12]}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _completion(model: str, reply: Reply, usage: dict[str, Any] | None) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool:
        message = {"role": "assistant", "content": None, "tool_calls": [_tool_call(reply)]}
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
    content = {**_head(model, "chat.completion"), "choices": [choice]}
    return {**content, "usage": usage} if usage else content


def _chunks(model: str, reply: Reply, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    head = _head(model, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {**head, "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    if reply.tool:
        yield chunk({"tool_calls": [{"index": 0, **_tool_call(reply)}]})
    else:
        for word in re.findall(r"\S+\s*", reply.text):
            yield chunk({"content": word})
    yield chunk({}, _finish_reason(reply))
    if usage:
        yield {**head, "choices": [], "usage": usage}


def _finish_reason(reply: Reply) -> str:
    return "tool_calls" if reply.tool else "stop"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    with FakeModel(parser.parse_args().port) as model:
        print(model.url, flush=True)
        model.wait_until_stopped()


if __name__ == "__main__":
    main()
