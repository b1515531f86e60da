"""Each question that an owner asks is answered by the one command that docs/cli.md names, or the skill."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

import pytest
import time_machine

from cronalytics_otel.cli import add_arguments, main
from tests.support.one_history import NOW, build
from tests.support.venvs import CHECKOUT
from tests.unit.test_docs import bare_commands, codes, rows, section

QUESTIONS = {
    question: codes(command)
    for question, command, _ in rows(section("docs/cli.md", "## Which question, which command"))
}
HERMES_KEEPS_CHARS = 50_000
"""Hermes cuts the output of its terminal tool in the middle where it is longer."""
OF_THE_DESIGN = [
    "Did last night's runs happen?",
    "Did they work?",
    "What did they cost?",
    "Which job is drifting?",
    "What will next month cost?",
    "Why did this one fail?",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "home"
    build(path)
    return path


def test_the_questions_that_the_plugin_is_for_have_one_command_each() -> None:
    assert [*QUESTIONS][: len(OF_THE_DESIGN)] == OF_THE_DESIGN
    assert {question for question, commands in QUESTIONS.items() if len(commands) != 1} == set()


@pytest.mark.parametrize(
    "command",
    [
        code
        for _, answer in rows(
            section("cronalytics_otel/skills/cronalytics/SKILL.md", "## Commands")
        )
        for code in codes(answer)
        if code != "sync"
    ],
)
def test_the_commands_of_the_skill_answer_in_json(
    home: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = shlex.split(command.replace("'NAME'", "failing"))
    with time_machine.travel(NOW.timestamp(), tick=False):
        status = main([*arguments, "--home", str(home)])

    assert status in (0, 1), command
    out = capsys.readouterr().out
    assert json.loads(out), command
    assert len(out) < HERMES_KEEPS_CHARS, command


def test_each_command_of_the_skill_that_has_a_limit_is_given_one() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (subparsers,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    text = (CHECKOUT / "cronalytics_otel/skills/cronalytics/SKILL.md").read_text(encoding="utf-8")
    commands = [command for command in bare_commands(text) if "--json" in command]

    assert len(commands) > 15
    assert [
        command
        for command in commands
        if "--limit" in subparsers.choices[command.split()[0]]._option_string_actions
        and "--limit" not in command
    ] == []


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_the_command_answers(
    home: Path, question: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = QUESTIONS[question]
    arguments = shlex.split(command.replace("NAME", "'failing at the first call'"))
    with time_machine.travel(NOW.timestamp(), tick=False):
        status = main([*arguments, *options, "--home", str(home)])
    captured = capsys.readouterr()

    assert status == (1 if question == "What is wrong now?" else 0)
    assert captured.out or captured.err
