"""What the documents say is what the program does."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import io
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cronalytics_otel.about import PACKAGES
from cronalytics_otel.cli import COMMANDS, add_arguments
from cronalytics_otel.config import Settings, load_settings
from cronalytics_otel.config import destinations as _config_destinations
from cronalytics_otel.config import notify as _config_notify
from cronalytics_otel.config import settings as config
from cronalytics_otel.journal import Journal
from cronalytics_otel.model import MESSAGE_EVENTS
from tests.support.venvs import CHECKOUT

PACKAGE = CHECKOUT / "cronalytics_otel"
MODULES = {path.relative_to(PACKAGE): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}
DOCUMENTS = sorted(
    path
    for path in CHECKOUT.rglob("*.md")
    if not any(
        part.startswith(".") or part in ("build", "dist")
        for part in path.relative_to(CHECKOUT).parts
    )
)
CONFIGURATIONS = sorted((CHECKOUT / "collector").glob("*.yaml"))

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def text_of(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block."""
    for match in _FENCE.finditer(text):
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        yield match["language"], body


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def section(name: str, heading: str) -> str:
    """The text from a heading to the next one of any level."""
    _, found, rest = text_of(name).partition(f"\n{heading}\n")
    assert found, f"{name} has no {heading!r}"
    return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in the text, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {n - 1 for n, line in enumerate(cells) if set("".join(line)) == {"-"}}
    return [line for n, line in enumerate(cells) if n not in heads and set("".join(line)) != {"-"}]


def codes(text: str) -> list[str]:
    return _CODE.findall(text)


# --- settings ------------------------------------------------------------------------------

CONFIGURATION = "docs/configuration.md"


def documented(heading: str) -> dict[str, str]:
    """Name and default, as the table below this heading has them."""
    return {
        name: default
        for names, default, *_ in rows(section(CONFIGURATION, heading))
        for name in codes(names)
    }


def with_literal_defaults(heading: str) -> dict[str, str]:
    """Those whose default is a value that could be written down, first names only."""
    found = {}
    for names, default, *_ in rows(section(CONFIGURATION, heading)):
        literal = re.match(r"`([^`]+)`(?:, with gRPC .*)?$", default)
        if literal is not None:
            found[codes(names)[0]] = literal[1]
    return found


def load(home: Path, options: object = None, environ: dict[str, str] | None = None) -> Settings:
    document = {"plugins": {"entries": {config.PLUGIN_KEY: options}}} if options else {}
    (home / "config.yaml").write_text(yaml.safe_dump(document))
    return load_settings(home, environ or {})


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.names.add(key)
        return default

    def __contains__(self, key: object) -> bool:
        self.names.add(str(key))
        return False


def test_every_option_has_a_row_and_every_row_is_an_option() -> None:
    assert set(documented("## Options")) == set(config._KEYS)


def test_every_key_of_a_destination_has_a_row_and_every_row_is_a_key() -> None:
    assert set(documented("## Several destinations")) == set(_config_destinations._KEYS)


def test_every_key_of_a_target_of_notices_has_a_row_and_every_row_is_a_key_or_an_event() -> None:
    assert set(documented("## Notices")) == {*_config_notify._KEYS, *MESSAGE_EVENTS}


def test_every_variable_that_is_read_has_a_row_and_every_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked()
    monkeypatch.setattr(config, "_environment", lambda *_: asked)
    load_settings(tmp_path, {})
    elsewhere = {
        name.value
        for tree in MODULES.values()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and re.search(r"environ\.get$", ast.unparse(call.func))
        and isinstance(name := call.args[0], ast.Constant)
    }

    assert set(documented("## Environment variables")) == asked.names | elsewhere


def test_the_documented_default_of_an_option_is_what_its_absence_means(tmp_path: Path) -> None:
    defaults = with_literal_defaults("## Options")

    assert len(defaults) == 5
    assert load(tmp_path, {k: yaml.safe_load(v) for k, v in defaults.items()}) == load(tmp_path)


def test_the_documented_default_of_a_destination_is_what_its_absence_means(tmp_path: Path) -> None:
    defaults = with_literal_defaults("## Several destinations")
    endpoint = {"endpoint": "http://localhost:4318"}

    assert set(defaults) == {
        "protocol", "compression", "timeout", "traces", "metrics", "temporality",
    }  # fmt: skip
    assert load(tmp_path, {"destinations": {"a": endpoint | defaults}}) == load(
        tmp_path, {"destinations": {"a": endpoint}}
    )


def test_the_documented_default_of_a_variable_is_what_its_absence_means(tmp_path: Path) -> None:
    defaults = with_literal_defaults("## Environment variables")
    defaults = {name: value for name, value in defaults.items() if name.startswith("OTEL_")}

    assert len(defaults) == 11
    assert load(tmp_path, environ=defaults) == load(tmp_path)


@pytest.mark.parametrize("name", ["README.md", CONFIGURATION])
def test_every_example_of_settings_is_taken_without_a_word(name: str, tmp_path: Path) -> None:
    seen = 0
    for language, body in fences(text_of(name)):
        ours = language == "yaml" and config.PLUGIN_KEY in body
        if ours or language == "dotenv":
            (tmp_path / "config.yaml").write_text(body if ours else "")
            (tmp_path / ".env").write_text("" if ours else body)
            settings = load_settings(tmp_path, {"HONEYCOMB_API_KEY": "k"})
            assert settings.problems == (), body
            assert settings.destinations, body
            seen += 1

    assert seen >= 2


# --- commands ------------------------------------------------------------------------------


def command_lines(text: str) -> Iterator[str]:
    """Lines of shell blocks, prompts of others, and code in prose that begins like a command."""
    for language, body in fences(text):
        for line in body.replace("\\\n", " ").splitlines():
            if language == "sh" or line.startswith("*/"):
                yield line
            elif line.startswith("$ "):
                yield line.removeprefix("$ ")
    yield from (c for c in codes(prose(text)) if re.match(r"(hermes )?(cronalytics-otel|make) ", c))


def arguments_of(line: str) -> list[str] | None:
    """What follows our program's name in a shell line; None where no command of it is called."""
    words = shlex.split(line, comments=True)
    calls = [n for n, word in enumerate(words) if word.rpartition("/")[2] == "cronalytics-otel"]
    if not calls or {"pip", "plugins", "rm"} & set(words[: calls[0]]):
        return None
    arguments = words[calls[0] + 1 :]
    if arguments in (["COMMAND"], ["…"]):
        return None
    ends = [n for n, word in enumerate(arguments) if word in ("|", "&&", ";", ">")]
    return arguments[: ends[0]] if ends else arguments


def complaint(arguments: Sequence[str]) -> str | None:
    """Why argparse does not take them; None when it does."""
    parser = argparse.ArgumentParser(prog="cronalytics-otel")
    add_arguments(parser)
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.parse_args(arguments)
        except SystemExit as leaving:
            return errors.getvalue() if leaving.code else None
    return None


def test_every_command_line_that_is_shown_parses() -> None:
    shown = [
        (path.name, line, arguments)
        for path in DOCUMENTS
        for line in command_lines(path.read_text(encoding="utf-8"))
        if (arguments := arguments_of(line)) is not None
    ]

    assert len(shown) > 20
    assert [(n, line, error) for n, line, args in shown if (error := complaint(args))] == []


def bare_commands(text: str) -> Iterator[str]:
    """Code in prose that is one of our commands with its arguments, without the name of the program."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    for code in codes(prose(text)):
        name, _, arguments = code.partition(" ")
        if name in subparsers.choices and arguments:
            yield code


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("cronalytics_otel/skills/cronalytics/SKILL.md", 10), ("docs/cli.md", 8)],
)
def test_documents_that_show_bare_commands_are_among_those_that_are_checked(
    name: str, at_least: int
) -> None:
    assert CHECKOUT / name in DOCUMENTS
    assert len(list(bare_commands(text_of(name)))) >= at_least


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("cronalytics_otel/skills/cronalytics/SKILL.md", "## Commands"),
        ("docs/cli.md", "## Which question, which command"),
    ],
)
def test_a_table_of_questions_names_commands_that_exist(name: str, heading: str) -> None:
    commands = [code for _, answer, *_ in rows(section(name, heading)) for code in codes(answer)]

    assert len(commands) >= 7
    assert [c for c in commands if complaint([*shlex.split(c), *_missing_job(c)])] == []


def _missing_job(command: str) -> list[str]:
    """The argument of a command that is only named."""
    return ["JOB"] if command in ("job", "output", "trace") else []


def test_the_readme_lists_every_command() -> None:
    listed = {
        code.split()[1]
        for first, _ in rows(section("README.md", "## Command line"))
        for code in codes(first)
    }

    assert listed == {command.NAME for command in COMMANDS}


def test_every_bare_command_that_is_shown_parses() -> None:
    shown = [
        (path.name, command)
        for path in DOCUMENTS
        for command in bare_commands(path.read_text(encoding="utf-8"))
    ]

    assert [(n, c, error) for n, c in shown if (error := complaint(shlex.split(c)))] == []


def test_every_make_target_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), flags=re.MULTILINE))
    shown = {
        match[1]
        for path in DOCUMENTS
        for line in command_lines(path.read_text(encoding="utf-8"))
        if (match := re.match(r"make ([\w-]+)", line))
    }

    assert {"demo", "test"} <= shown
    assert shown - targets == set()


@pytest.mark.parametrize("name", ["README.md", "after-install.md"])
def test_the_packages_to_install_by_hand_are_those_that_the_host_lacks(name: str) -> None:
    (command,) = re.findall(r"pip install ('opentelemetry.+)", text_of(name))

    assert sorted(shlex.split(command)) == sorted(PACKAGES.values())


# --- links, paths, words -------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The names that GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)

    assert lost == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_every_file_of_the_checkout_that_is_named_exists(path: Path) -> None:
    folders = r"(?:cronalytics_otel|tests|docs|bench|tools|collector)/[\w./*-]*"
    named = re.findall(rf"`({folders})`", prose(path.read_text(encoding="utf-8")))

    assert [name for name in named if not list(CHECKOUT.glob(name.rstrip("/")))] == []


@pytest.mark.parametrize("path", [*DOCUMENTS, *CONFIGURATIONS], ids=lambda path: path.name)
def test_no_path_of_a_developers_machine_is_shown(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert str(CHECKOUT) not in text
    assert re.findall(r"(?<![\w.])(?:/home/(?!me/)|/root/|/Users/|/tmp/)\S*", text) == []


def test_messages_that_are_quoted_are_those_of_the_program() -> None:
    messages = [
        text for tree in MODULES.values() for node in ast.walk(tree) if (text := wording(node))
    ]
    quoted = re.findall(r"^> (.+)$", text_of("docs/troubleshooting.md"), flags=re.MULTILINE)
    patterns = [".*".join(map(re.escape, message.split("…"))) for message in quoted]

    assert len(quoted) > 10
    assert [p for p in patterns if not any(re.search(p, text) for text in messages)] == []


def wording(node: ast.AST) -> str | None:
    """The text of a literal, with an ellipsis for each value that is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub("%[sd]", "…", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(wording(part) or "…" for part in node.values)
    return None


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]

    assert re.findall(r"^## \[([^]]+)\]", text_of("CHANGELOG.md"), flags=re.MULTILINE)[0] == version


# --- architecture --------------------------------------------------------------------------

ARCHITECTURE = "docs/architecture.md"


def test_the_numbers_are_those_of_the_code() -> None:
    wrong = []
    table = rows(section(ARCHITECTURE, "## Numbers"))
    for constant, value, _ in table:
        module, _, name = codes(constant)[0].rpartition(".")
        actual = getattr(importlib.import_module(f"cronalytics_otel.{module}"), name)
        if float(value.split()[0]) != (actual / 1e9 if name.endswith("_NS") else actual):
            wrong.append((constant, value, actual))

    assert len(table) > 15
    assert wrong == []


def test_every_table_of_the_journal_is_described(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        tables = journal._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        existing = {name for (name,) in tables if not name.startswith("sqlite_")}

    described = rows(section(ARCHITECTURE, "## The journal"))
    assert {codes(name)[0] for name, _ in described} == existing
