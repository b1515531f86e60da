"""Parsing: our own parser, the host's, and the values that options take."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cronalytics_otel.about import __version__
from cronalytics_otel.cli import add_arguments, main
from cronalytics_otel.cli.arguments import parse_since

NOW = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(argv)


@pytest.mark.parametrize("command", ["status", "doctor", "sync", "runs"])
@pytest.mark.parametrize("options", [["--home", "/there", "--json"], []])
def test_common_options_stand_before_or_after_the_command(command: str, options: list[str]) -> None:
    before, after = parse(*options, command), parse(command, *options)

    assert before == after
    assert (before.home, before.json) == (("/there", True) if options else (None, False))


def test_what_stands_after_the_command_wins() -> None:
    assert parse("--home", "/a", "runs", "--home", "/b").home == "/b"


def test_the_hosts_parser_keeps_its_own_names() -> None:
    """Hermes 0.19 asks its namespace for `command`, `func`, `version`, and many more."""
    host = argparse.ArgumentParser()
    host.add_argument("--version", action="store_true")
    host.add_argument("--model", default=None)
    plugin = host.add_subparsers(dest="command").add_parser("cronalytics-otel")
    add_arguments(plugin)
    handler = object()
    plugin.set_defaults(func=handler)

    args = host.parse_args(["cronalytics-otel", "runs", "--job", "x"])

    assert args.command == "cronalytics-otel"
    assert args.func is handler
    assert args.version is False
    assert args.job == ["x"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cronalytics-otel {__version__}\n"


@pytest.mark.parametrize("command", ["status", "doctor", "sync", "runs", "trace"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert f"    {command} " in capsys.readouterr().out
    assert main([command, "--help"]) == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        ([], "COMMAND"),
        (["bogus"], "invalid choice: 'bogus'"),
        (["trace"], "RUN"),
        (["runs", "--outcome", "great"], "'great' is unknown: choose from"),
        (["runs", "--mode", "both"], "invalid choice: 'both'"),
        (["runs", "--limit", "-1"], "no whole number"),
        (["runs", "--limit", "many"], "no whole number"),
        (["runs", "--days", "-1"], "no number of days"),
        (["runs", "--days", "nan"], "no number of days"),
        (["runs", "--days", "soon"], "no number of days"),
        (["sync", "--since", "soon"], "is no time: try 7d, 24h"),
        (["sync", "--since", "2999-01-01"], "lies in the future"),
    ],
)
def test_wrong_usage_is_2_and_says_what_is_wrong(
    argv: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2

    written = capsys.readouterr()
    assert written.out == ""
    assert what in written.err
    assert written.err.startswith("usage: cronalytics-otel")


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_berlin")
@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("90m", datetime(2026, 1, 31, 6, 30, tzinfo=UTC)),
        ("24h", datetime(2026, 1, 30, 8, 0, tzinfo=UTC)),
        ("7d", datetime(2026, 1, 24, 8, 0, tzinfo=UTC)),
        (" 1.5d ", datetime(2026, 1, 29, 20, 0, tzinfo=UTC)),
        ("2w", datetime(2026, 1, 17, 8, 0, tzinfo=UTC)),
        ("2026-01-30", datetime(2026, 1, 29, 23, 0, tzinfo=UTC)),
        ("2025-07-01", datetime(2025, 6, 30, 22, 0, tzinfo=UTC)),
        ("2026-01-30T12:00", datetime(2026, 1, 30, 11, 0, tzinfo=UTC)),
        ("2026-01-30T12:00:00Z", datetime(2026, 1, 30, 12, 0, tzinfo=UTC)),
        ("2026-01-30T12:00+05:00", datetime(2026, 1, 30, 7, 0, tzinfo=UTC)),
    ],
)
def test_since(text: str, since: datetime) -> None:
    assert parse_since(text, ns(NOW)) == ns(since)


@pytest.mark.parametrize(
    "text", ["", "d", "7", "7y", "-7d", "yesterday", "2026-13-01", "9" * 30 + "w"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_since(text, ns(NOW))
