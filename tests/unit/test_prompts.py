"""What the host says in the first message of a cron session, in the words of cron/scheduler.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.host import prompts
from cronalytics_otel.model import FedOutput, Prompt
from tests.support.homes import CRON_PROMPT, FED, SCRIPT_ERROR, SCRIPT_OUTPUT

HINT = f"{CRON_PROMPT}\n\n"
A, B, C = "0123456789ab", "abcdef012345", "ffffffffffff"
ERROR = "Script exited with code 3\nstderr:\nno disk"
DATA = f"{SCRIPT_OUTPUT}```\n42 things\n```\n\n"
FAULT = f"{SCRIPT_ERROR}```\n{ERROR}\n```\n\n"


def saved(minute: int, body: str = "All good.") -> str:
    """An agent's output document, as `save_job_output` keeps it."""
    return (
        f"# Cron Job: any\n\n**Job ID:** any\n**Run Time:** 2026-05-04 09:{minute:02}:00\n"
        f"**Schedule:** every 30m\n\n## Prompt\n\n{body}\n\n## Response\n\nAnswer."
    )


def fed(job_id: str, document: str) -> str:
    cut = f"{document[:8000]}\n\n[... output truncated ...]"
    return (
        f"## Output from job '{job_id}'\n{FED}```\n"
        f"{cut if len(document) > 8000 else document}\n```\n\n"
    )


def output(job_id: str, minute: int) -> FedOutput:
    return FedOutput(job_id, f"2026-05-04 09:{minute:02}:00")


def read(prompt: str) -> Prompt:
    return prompts.read(prompt, "", prompt)


def test_each_output_in_a_prompt_is_known_by_its_job_and_when_it_was_saved() -> None:
    found = read(HINT + fed(B, saved(2)) + fed(A, saved(1)) + "Go on")
    assert found == Prompt(fed=(output(B, 2), output(A, 1)))


def test_outputs_after_a_skill_are_found_too() -> None:
    skill = "The user has provided the following instruction alongside the skill invocation: "  # fmt: skip
    assert read("# A skill\n" + skill + HINT + fed(A, saved(1))).fed == (output(A, 1),)


def test_an_output_that_was_cut_ends_where_the_host_cut_it() -> None:
    long = saved(2, "```\n\n" + fed(C, saved(3)) * 40)
    assert read(HINT + fed(B, long) + fed(A, saved(1)) + "Go on").fed == (output(B, 2), output(A, 1))  # fmt: skip


def test_what_an_output_was_fed_itself_has_not_fed_this_run() -> None:
    middle = saved(2, HINT + fed(A, saved(1)) + "Sum up")
    assert read(HINT + fed(B, middle) + "Go on").fed == (output(B, 2),)


def test_an_output_without_a_time_is_nobodys_but_does_not_hide_the_next() -> None:
    assert read(HINT + fed(B, "anything") + fed(A, saved(1))).fed == (output(A, 1),)


def test_a_user_who_quotes_such_a_section_is_not_believed() -> None:
    assert read(HINT + "Look at this:\n" + fed(A, saved(1))).fed == ()


@pytest.mark.parametrize(("script", "error"), [(DATA, None), (FAULT, ERROR)])
def test_the_script_of_a_run_that_was_fed_stands_after_the_outputs(
    script: str, error: str | None
) -> None:
    found = read(HINT + fed(B, saved(2)) + script + "Sum up")
    assert (found.script_ran, found.script_error) == (True, error)


def test_the_script_of_the_run_that_fed_it_is_not_taken_for_its_own() -> None:
    middle = saved(2, HINT + FAULT + "Sum up")
    assert read(HINT + fed(B, middle) + "Go on") == Prompt(fed=(output(B, 2),))
    found = read(HINT + fed(B, middle) + DATA + "Go on")
    assert (found.script_ran, found.script_error) == (True, None)


def test_of_a_chain_of_fed_runs_with_scripts_its_own_is_the_last() -> None:
    middle = saved(2, HINT + fed(A, saved(1)) + FAULT + "Sum up")
    found = read(HINT + fed(B, middle) + DATA + "Go on")
    assert found == Prompt(script_ran=True, fed=(output(B, 2),))


@given(st.text(), st.text(), st.text())
def test_any_text_is_read(head: str, around: str, whole: str) -> None:
    prompts.read(head, around, whole)
    read(HINT + "## Output from job '" + whole)
    read(HINT + fed(A, whole) + around)
