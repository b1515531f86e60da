"""What a run left in cron/output, in each form that cron/scheduler.py 0.19 writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cronalytics_otel.host.outputs import Outputs, answer_of, parse
from cronalytics_otel.model import Output, OutputStatus
from cronalytics_otel.model.times import NS, ns_of

NINE = datetime(2026, 5, 4, 9, 0, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
HEAD = "# Cron Job: nightly\n\n**Job ID:** abc\n**Run Time:** 2026-05-04 09:00:20\n"


def agent(
    *, failed: bool = False, prompt: str = "Report.", body: str = "All good.", schedule: str = "every 30m"
) -> str:  # fmt: skip
    title = "# Cron Job: nightly (FAILED)\n" if failed else "# Cron Job: nightly\n"
    end = f"## Error\n\n```\n{body}\n```\n" if failed else f"## Response\n\n{body}\n"
    return (
        f"{title}\n**Job ID:** abc\n**Run Time:** 2026-05-04 09:00:20\n**Schedule:** {schedule}\n\n"
        f"## Prompt\n\n{prompt}\n\n{end}"
    )


def read(text: str) -> Output:
    return parse(text[:4096], text[-8192:])


def test_an_answer() -> None:
    found = read(agent())
    assert found == Output(
        status=OutputStatus.ANSWERED,
        name="nightly",
        schedule="every 30m",
        is_script=False,
        error=None,
    )


def test_a_failed_agent_with_its_error() -> None:
    found = read(agent(failed=True, body="RuntimeError: HTTP 401: no\nsecond line"))
    assert found.status is OutputStatus.FAILED
    assert found.name == "nightly"
    assert found.error == "RuntimeError: HTTP 401: no\nsecond line"


def test_an_error_that_has_a_code_fence_itself_is_kept_whole() -> None:
    found = read(agent(failed=True, body="RuntimeError: bad\n```\ncode\n```\nend"))
    assert found.error == "RuntimeError: bad\n```\ncode\n```\nend"


def test_a_failed_agent_with_a_long_prompt_still_tells_its_error() -> None:
    found = read(agent(failed=True, prompt="x" * 100_000, body="RuntimeError: no"))
    assert (found.status, found.error) == (OutputStatus.FAILED, "RuntimeError: no")


def test_a_prompt_that_looks_like_an_error_is_none() -> None:
    prompt = "Fix this:\n\n## Error\n\n```\nboom\n```\n\n**Status:** script failed\n(FAILED)"
    found = read(agent(prompt=prompt))
    assert (found.status, found.error) == (OutputStatus.ANSWERED, None)


def test_an_answer_that_ends_like_an_error_is_still_an_answer() -> None:
    body = "The log says:\n\n## Error\n\n```\nboom\n```"
    found = read(agent(body=body))
    assert found.status is OutputStatus.ANSWERED
    assert found.error is None


def test_what_a_run_answered_is_its_response_its_error_or_what_its_script_printed() -> None:
    fed = "Continue:\n\n## Response\n\nof another job\n"
    script = f"{HEAD}**Mode:** no_agent (script)\n\n---\n\ndisk ok\n"

    assert answer_of(agent(prompt=fed, body="All good.")) == "All good."
    assert answer_of(agent(failed=True, prompt=fed, body="RuntimeError: no")) == "RuntimeError: no"
    assert answer_of(script) == "disk ok"
    assert answer_of("anything else\n") == "anything else"


def test_a_job_named_failed_is_not_for_that_a_failure() -> None:
    text = agent().replace("# Cron Job: nightly", "# Cron Job: retry (FAILED) uploads")
    found = read(text)
    assert (found.status, found.name) == (OutputStatus.ANSWERED, "retry (FAILED) uploads")


def test_a_job_whose_name_ends_like_the_host_s_mark_fails_only_when_it_does() -> None:
    named = ("# Cron Job: nightly", "# Cron Job: retry (FAILED)")
    for text in (agent().replace(*named), agent(body="x" * 9_000).replace(*named)):
        found = read(text)
        assert (found.status, found.name) == (OutputStatus.ANSWERED, "retry (FAILED)")
    found = read(agent(failed=True, body="RuntimeError: no").replace(*named))
    assert (found.status, found.name, found.error) == (OutputStatus.FAILED, "retry (FAILED)", "RuntimeError: no")  # fmt: skip
    printed = f"{HEAD}**Mode:** no_agent (script)\n\n---\n\n## Error\n\n```\nno\n```\n".replace(
        *named
    )
    assert (read(printed).status, read(printed).name) == (OutputStatus.ANSWERED, "retry (FAILED)")


def test_an_error_that_is_longer_than_what_is_read_of_the_file_is_one_without_its_text() -> None:
    found = read(agent(failed=True, body="RuntimeError: " + "no " * 9_000))
    assert (found.status, found.name, found.error) == (OutputStatus.FAILED, "nightly", None)


def test_a_schedule_that_the_host_did_not_know_is_unknown() -> None:
    assert read(agent(schedule="N/A")).schedule is None


@pytest.mark.parametrize(
    "notice",
    [
        "(empty)",
        "(No response generated)",
        (
            "⚠️ No reply: the model returned empty content after retries and any fallback "
            "providers. Try `continue`, switch model/provider, or inspect the tool output above."
        ),
    ],
    ids=["0.13", "0.18", "0.16"],
)
def test_an_older_host_s_notice_of_an_empty_reply_is_no_answer(notice: str) -> None:
    assert read(agent(body=notice)).status is OutputStatus.EMPTY
    assert read(agent(body=f"It printed {notice}")).status is OutputStatus.ANSWERED
    assert (
        read(agent(prompt=f"## Response\n\n{notice}", body="Fine.")).status is OutputStatus.ANSWERED
    )


@pytest.mark.parametrize("why", ["wakeAgent=false", "empty output"])
def test_a_silent_script(why: str) -> None:
    found = read(f"{HEAD}**Mode:** no_agent (script)\n**Status:** silent ({why})\n")
    assert (found.status, found.is_script) == (OutputStatus.NO_OUTPUT, True)


def test_a_script_with_something_to_say() -> None:
    found = read(f"{HEAD}**Mode:** no_agent (script)\n\n---\n\n# Cron Job: x (FAILED)\nok\n")
    assert (found.status, found.is_script, found.error) == (OutputStatus.ANSWERED, True, None)
    assert found.name == "nightly"


def test_a_failed_script_with_its_error() -> None:
    error = "Script exited with code 3\nstderr:\nboom"
    found = read(f"{HEAD}**Mode:** no_agent (script)\n**Status:** script failed\n\n{error}\n")
    assert (found.status, found.is_script, found.error) == (OutputStatus.FAILED, True, error)


def test_a_failed_script_s_error_is_whole_even_with_a_heading_or_a_line_in_it() -> None:
    error = "Script exited with code 3\nstderr:\n\n## Summary\n1 failed\n---\nstdout:\nmore"
    found = read(f"{HEAD}**Mode:** no_agent (script)\n**Status:** script failed\n\n{error}\n")
    assert (found.status, found.error) == (OutputStatus.FAILED, error)


def test_a_gate_that_said_no() -> None:
    found = read(f"{HEAD}\nScript gate returned `wakeAgent=false` — agent skipped.\n")
    assert (found.status, found.is_script) == (OutputStatus.GATED, False)


def test_an_empty_file_is_a_gate_that_said_nothing() -> None:
    """`_build_job_prompt` gave no prompt: the host saves an empty document."""
    assert read("").status is OutputStatus.NOTHING


def test_a_blocked_prompt() -> None:
    text = (
        f"{HEAD}**Status:** BLOCKED\n\nThe assembled prompt (user prompt + loaded skill content) "
        "tripped the cron injection scanner and the agent was NOT run.\n\n"
        "**Scanner result:** Blocked: prompt matches threat pattern 'prompt_injection'.\n\n"
        "Audit the skill(s) attached to this job."
    )
    found = read(text)
    assert found.status is OutputStatus.FAILED
    assert found.error == "Blocked: prompt matches threat pattern 'prompt_injection'."


# Which file is the run's.


def save(home: Path, job_id: str, at: datetime, text: str) -> None:
    folder = home / job_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{at:%Y-%m-%d_%H-%M-%S}.md").write_text(text, encoding="utf-8")


def name_of(found: Output | None) -> str | None:
    return found.name if found else None


def of_run(folder: Path, began: datetime, ended: datetime, zone: ZoneInfo | None = None) -> str | None:  # fmt: skip
    return name_of(
        Outputs(folder, zone or ZoneInfo("UTC")).of_run("abc", ns_of(began), ns_of(ended))
    )


def test_the_file_saved_while_the_run_went_is_the_run_s(tmp_path: Path) -> None:
    for minute in (0, 30):
        at = NINE + timedelta(minutes=minute, seconds=20)
        save(tmp_path, "abc", at, agent().replace("nightly", f"at {minute}"))

    assert of_run(tmp_path, NINE, NINE + timedelta(seconds=20.5)) == "at 0"
    half_past = NINE + timedelta(minutes=30)
    assert of_run(tmp_path, half_past, half_past + timedelta(seconds=20.5)) == "at 30"


def test_a_run_that_saved_nothing_has_no_file_although_others_of_its_job_have(
    tmp_path: Path,
) -> None:
    save(tmp_path, "abc", NINE + timedelta(seconds=20), agent())

    assert of_run(tmp_path, NINE + timedelta(minutes=1), NINE + timedelta(minutes=2)) is None
    assert of_run(tmp_path, NINE - timedelta(minutes=2), NINE - timedelta(minutes=1)) is None


def test_a_job_without_a_folder_has_no_file(tmp_path: Path) -> None:
    assert of_run(tmp_path, NINE, NINE) is None
    assert of_run(tmp_path / "gone", NINE, NINE) is None


def test_files_are_stamped_with_the_wall_clock_of_the_home(tmp_path: Path) -> None:
    save(tmp_path, "abc", (NINE + timedelta(seconds=5)).astimezone(BERLIN), agent())

    assert of_run(tmp_path, NINE, NINE + timedelta(seconds=9), BERLIN) == "nightly"
    assert of_run(tmp_path, NINE, NINE + timedelta(seconds=9)) is None


def test_a_run_through_the_end_of_summer_time_finds_its_file(tmp_path: Path) -> None:
    """It began at 02:59:50 and saved, twenty seconds later, at 02:00:10."""
    began = datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC)
    ended = began + timedelta(seconds=21)
    save(tmp_path, "abc", (began + timedelta(seconds=20)).astimezone(BERLIN), agent())

    assert of_run(tmp_path, began, ended, BERLIN) == "nightly"


def test_what_is_no_output_file_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path, "abc", NINE + timedelta(seconds=5), agent())
    for name in (
        ".output_x.tmp",
        "notes.md",
        "2026-05-04_09-00-06.txt",
        "2026-05-04_09-00-07.md.bak",
    ):
        (tmp_path / "abc" / name).write_text("# Cron Job: other\n")

    assert of_run(tmp_path, NINE, NINE + timedelta(seconds=9)) == "nightly"


def test_a_file_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "abc" / "2026-05-04_09-00-05.md").mkdir(parents=True)

    assert of_run(tmp_path, NINE, NINE + timedelta(seconds=9)) is None


def test_bytes_that_are_no_text_are_no_failure(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    folder.mkdir()
    (folder / "2026-05-04_09-00-05.md").write_bytes(b"# Cron Job: caf\xe9\n\n## Response\n\nhi")

    assert of_run(tmp_path, NINE, NINE + timedelta(seconds=9)) == "caf\ufffd"


def test_a_job_s_folder_is_listed_once(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path, UTC)
    began = ns_of(NINE)
    assert outputs.of_run("abc", began, began + 60 * NS) is None
    save(tmp_path, "abc", NINE + timedelta(seconds=5), agent())

    assert outputs.of_run("abc", began, began + 60 * NS) is None
