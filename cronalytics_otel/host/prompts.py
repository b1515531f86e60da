"""The host's own passages in the first message of a cron session (cron/scheduler.py,
`_build_job_prompt`): which skills were missing, what its script printed, which jobs' outputs it was fed.

Anybody's words stand in that message too, so the host's count at their place only.
"""

from __future__ import annotations

import re

from ..model import FedOutput, Prompt

SCRIPT_OUTPUT = (
    "## Script Output\nThe following data was collected by a pre-run script. Use it as context for "
    "your analysis.\n\n```\n"
)
SCRIPT_FAULT = (
    "## Script Error\nThe data-collection script failed. Report this to the user.\n\n```\n"
)
TURN_LIMIT = "You've reached the maximum number of tool-calling iterations allowed. "
"""The host's message to the agent, as its user, when it has no turn left (0.13 to 0.19)."""
FED = "## Output from job '"

_MISSING_SKILLS = re.compile(
    r"\[IMPORTANT: The following skill\(s\) were listed for this job but could not be found"
    r" and were skipped: (?P<names>.+?)\. Start your response with"
)
_SCRIPT = re.compile(
    rf"(?P<place>\A|\]\n\n|\n```\n\n)"
    rf"(?:{re.escape(SCRIPT_OUTPUT)}|{re.escape(SCRIPT_FAULT)}(?P<said>.*?)(?:\n```|\Z))",
    re.DOTALL,
)
"""Stands after the host's own words, or after another job's output: not in the midst of anything."""
_FED = re.compile(rf"{re.escape(FED)}(?P<job>[0-9a-f]+)'\nThe following is [^\n]*\n\n```\n")
_FIRST_FED = re.compile(rf"(?:\A|\]\n\n)(?={re.escape(FED)})")
_NEXT = re.compile(rf"\n```\n\n(?={re.escape(FED)})")
_SAVED = re.compile(
    r"# Cron Job: [^\n]*\n\n\*\*Job ID:\*\* [^\n]*\n"
    r"\*\*Run Time:\*\* (?P<saved>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\n"
)
_FED_CHARS = 8_000
_CUT = "\n\n[... output truncated ...]"


def read(head: str, around: str, whole: str) -> Prompt:
    """Return what a prompt shows of its run.

    `head` is the beginning of the prompt, `around` the passage about a script (else empty), `whole` all of
    it if it may hold other jobs' outputs (else empty).
    """
    skills = _MISSING_SKILLS.match(head)
    fed, last = _fed(whole)
    script = _script_after(whole, last) if last else _SCRIPT.search(around)
    error = script["said"] if script is not None else None
    return Prompt(
        missing_skills=skills["names"] if skills is not None else None,
        script_ran=script is not None,
        script_error=error.strip() if error is not None else None,
        fed=fed,
    )


def _script_after(prompt: str, last: int) -> re.Match[str] | None:
    """Return the passage about the run's own script, after the outputs that the run was fed.

    The last of these may hold the prompt of another run with such a passage: ours comes later.
    """
    found = None
    for script in _SCRIPT.finditer(prompt, last):
        if "`" in script["place"]:
            found = script
    return found


def _fed(prompt: str) -> tuple[tuple[FedOutput, ...], int]:
    """Return the outputs, and the position after which only the last of them comes before the script.

    The host writes one section after another, each of at most 8,000 characters. An output may hold the
    prompt of its own run, with sections in it: those do not count.
    """
    found: list[FedOutput] = []
    last, following = 0, _FIRST_FED.search(prompt)
    while following is not None and (section := _FED.match(prompt, following.end())) is not None:
        begin = last = section.end()
        saved = _SAVED.match(prompt, begin)
        if saved is not None:
            found.append(FedOutput(section["job"], saved["saved"]))
        if prompt.startswith(_CUT, begin + _FED_CHARS):
            last = begin + _FED_CHARS + len(_CUT)
            following = _NEXT.match(prompt, last)
        else:
            following = _NEXT.search(prompt, begin, begin + _FED_CHARS + len("\n```\n\n"))
    return tuple(found), last
