"""A tick of a real Hermes while something of ours is broken, against the same tick without us.

Each fault has one tick, of an agent job and of a script that fails; then the fault ends, and one
`cronalytics-otel sync` or the next tick has to make up for it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from cronalytics_otel.host.home import Home
from tests.support.collector import (
    Answer,
    FaultyCollector,
    SpanDict,
    hang,
    html,
    ok,
    partial,
    redirect,
    status,
)
from tests.support.fake_llm import FakeModel
from tests.support.fault_checks import copies, roots
from tests.support.hermes import (
    PLUGIN,
    HermesHome,
    JobSpec,
    Row,
    hermes_pristine,
    hermes_with_plugin,
)
from tests.support.holding import another_process

pytestmark = pytest.mark.host

JOBS = (
    JobSpec(name="digest", schedule="every 30m", prompt="Sum up"),
    JobSpec(name="certificate", schedule="every 5m", script="certificate.sh", no_agent=True),
)
RETRY_AFTER_S = 1


# --- what may be broken --------------------------------------------------------------------------

Break: TypeAlias = Callable[[HermesHome, FaultyCollector], AbstractContextManager[None]]
"""Broken within its block; whole again, and waited for where it asked to wait, after it."""


Remedy: TypeAlias = Callable[[HermesHome], None]
"""What makes up for a fault that is over."""


def sync(home: HermesHome) -> None:
    home.plugin("sync")


def sync_with_what_was_refused(home: HermesHome) -> None:
    home.plugin("sync", "--retry-refused")


def next_tick(home: HermesHome) -> None:
    home.make_due()
    home.tick()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    broken: Break
    logged: str | None
    """What the host's log says of it; None for what is no news."""
    remedy: Remedy = sync


def answering(answer: Answer) -> Break:
    @contextlib.contextmanager
    def broken(_home: HermesHome, collector: FaultyCollector) -> Iterator[None]:
        collector.answer_with(answer)
        yield
        collector.answer_with(ok())
        collector.release()
        if "Retry-After" in answer.headers:
            time.sleep(float(answer.headers["Retry-After"]))

    return broken


@contextlib.contextmanager
def collector_down(_home: HermesHome, collector: FaultyCollector) -> Iterator[None]:
    collector.stop()
    yield
    collector.start()


@contextlib.contextmanager
def folder_not_writable(home: HermesHome, _collector: FaultyCollector) -> Iterator[None]:
    folder = Home(home.path).plugin_folder
    folder.mkdir(mode=0o500)
    yield
    assert not list(folder.iterdir())
    folder.chmod(0o700)


@contextlib.contextmanager
def journal_is_noise(home: HermesHome, _collector: FaultyCollector) -> Iterator[None]:
    """Nobody mends it: the plugin does."""
    journal = Home(home.path).journal
    journal.parent.mkdir(mode=0o700)
    journal.write_bytes(random.Random(3).randbytes(20_000))
    yield


@contextlib.contextmanager
def journal_is_a_folder(home: HermesHome, _collector: FaultyCollector) -> Iterator[None]:
    journal = Home(home.path).journal
    journal.mkdir(parents=True)
    yield
    journal.rmdir()


@contextlib.contextmanager
def lock_is_held(home: HermesHome, collector: FaultyCollector) -> Iterator[None]:
    """By another process, which is not at work and does not let go."""
    lock = Home(home.path).lock
    lock.parent.mkdir(mode=0o700)
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with another_process(code, lock):
        yield
        assert collector.requests == 0


FAULTS = {
    "collector down": Fault(broken=collector_down, logged="refused"),
    "503": Fault(broken=answering(status(503)), logged="503"),
    "429": Fault(broken=answering(status(429, retry_after=str(RETRY_AFTER_S))), logged="429"),
    "hanging": Fault(broken=answering(hang()), logged="no answer within"),
    "html": Fault(broken=answering(html()), logged="html"),
    "redirect": Fault(broken=answering(redirect("http://127.0.0.1:9/login")), logged="302"),
    "partial": Fault(
        broken=answering(partial(1, "span too old")),
        logged="span too old",
        remedy=sync_with_what_was_refused,
    ),
    "folder not writable": Fault(broken=folder_not_writable, logged="JournalError"),
    "journal is noise": Fault(broken=journal_is_noise, logged="rebuilt"),
    "journal is a folder": Fault(
        broken=journal_is_a_folder, logged="JournalError", remedy=next_tick
    ),
    "lock held": Fault(broken=lock_is_held, logged=None, remedy=next_tick),
}
SENT_AGAIN = {"partial"}
"""What a collector took of a request that it rejected in part, it is given once more."""

every_fault = pytest.mark.parametrize("after", FAULTS, indirect=True, scope="module")


# --- what came of it -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """All that the host's owner sees of one, by job name; times are left out."""

    exit_code: int
    stdout: str
    stderr: str
    executions: dict[str, list[Row]]
    jobs: dict[str, Row]
    outputs: dict[str, list[str]]
    """What the files say in which the host keeps the answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """A fault that is over, and what the plugin then made up for."""

    fault: Fault
    tick: Tick
    logs: str
    """All of the host's, as they were at the end of the tick."""
    run_ids: set[str]
    """Of the host's ledger: all runs, also those of a next tick."""
    spans: list[SpanDict]
    """All that the collector kept, during the fault and after it."""


@pytest.fixture(scope="module")
def jobs(model: FakeModel, tmp_path_factory: pytest.TempPathFactory) -> HermesHome:
    """A home that has not run anything yet, to be copied."""
    home = HermesHome.make(
        tmp_path_factory.mktemp("jobs") / "home",
        hermes_with_plugin(),
        model_url=model.url,
    )
    home.add_script("certificate.sh", "#!/bin/bash\necho expires tomorrow >&2\nexit 3\n")
    for spec in JOBS:
        home.create_job(spec)
    return home


@pytest.fixture(scope="module")
def without_us(
    jobs: HermesHome, model: FakeModel, tmp_path_factory: pytest.TempPathFactory
) -> Tick:
    """The tick of a Hermes in which the plugin is not even installed."""
    home = jobs.copy_to(
        tmp_path_factory.mktemp("without") / "home", model_url=model.url, hermes=hermes_pristine()
    )
    home.configure({"plugins": {"enabled": []}})
    return tick_of(home)


@pytest.fixture(scope="module")
def after(
    request: pytest.FixtureRequest,
    jobs: HermesHome,
    model: FakeModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> After:
    fault = FAULTS[request.param]
    with FaultyCollector() as collector:
        home = jobs.copy_to(
            tmp_path_factory.mktemp("with") / "home",
            model_url=model.url,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint},
        )
        with fault.broken(home, collector):
            tick = tick_of(home)
            logs = "".join(path.read_text() for path in (home.path / "logs").glob("*.log"))
        fault.remedy(home)
        return After(
            fault=fault,
            tick=tick,
            logs=logs,
            run_ids={row["id"] for row in home.executions()},
            spans=collector.spans,
        )


def tick_of(home: HermesHome) -> Tick:
    """By a process to which a folder that is not writable is not writable, even as root."""
    home.make_due()
    hermes = str(home.hermes.bin / "hermes")
    if os.geteuid() == 0:
        no_override = ("--bounding-set=-dac_override", "--inh-caps=-dac_override")
        setpriv = shutil.which("setpriv")
        assert setpriv, "as root these tests need util-linux"
        done = home.run(*no_override, hermes, "cron", "tick", program=setpriv, check=False)
    else:
        done = home.run("cron", "tick", check=False)
    names = {job["id"]: job["name"] for job in home.jobs()}
    outputs = home.path / "cron" / "output"
    return Tick(
        exit_code=done.returncode,
        stdout=done.stdout,
        stderr=done.stderr,
        executions={
            name: [
                {column: row[column] for column in ("source", "status", "error")}
                for row in home.executions()
                if row["job_id"] == job_id
            ]
            for job_id, name in names.items()
        },
        jobs={
            job["name"]: {key: timeless(value) for key, value in job.items()} for job in home.jobs()
        },
        outputs={
            name: [timeless(path.read_text()) for path in sorted((outputs / job_id).iterdir())]
            for job_id, name in names.items()
        },
    )


def timeless(value: object) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.\d]*([+-]\d\d:\d\d)?", "<time>", str(value))


# --- the host ------------------------------------------------------------------------------------


def test_the_tick_without_the_plugin_is_what_the_others_can_be_compared_with(
    without_us: Tick,
) -> None:
    """One run of each job, one of them failed, with an answer or an error in each file."""
    assert without_us.exit_code == 0
    statuses = {
        name: [row["status"] for row in rows] for name, rows in without_us.executions.items()
    }
    assert statuses == {"digest": ["completed"], "certificate": ["failed"]}
    assert {name: job["last_status"] for name, job in without_us.jobs.items()} == {
        "digest": "ok",
        "certificate": "error",
    }
    assert {name: len(files) for name, files in without_us.outputs.items()} == {
        "digest": 1,
        "certificate": 1,
    }


@every_fault
def test_the_hosts_tick_is_the_same_as_without_the_plugin(after: After, without_us: Tick) -> None:
    assert after.tick == without_us


@every_fault
def test_no_traceback_is_in_the_hosts_logs(after: After) -> None:
    assert after.logs
    assert "Traceback" not in after.logs


@every_fault
def test_what_is_broken_is_told_in_one_line_of_each_log(after: After) -> None:
    """agent.log, and errors.log with the same line once more."""
    logged = [
        line.partition(" WARNING ")[2]
        for line in after.logs.splitlines()
        if " WARNING " in line and PLUGIN in line.replace("_", "-")
    ]

    if after.fault.logged is None:
        assert logged == []
    else:
        (line,) = set(logged)
        assert len(logged) == 2
        assert after.fault.logged in line


# --- the runs ------------------------------------------------------------------------------------


@every_fault
def test_when_it_is_over_one_remedy_delivers_every_run(after: After) -> None:
    arrived = {span["attributes"]["hermes.cron.run.id"] for span in roots(after.spans)}

    ticks = 2 if after.fault.remedy is next_tick else 1
    assert len(after.run_ids) == ticks * len(JOBS)
    assert arrived == after.run_ids
    assert len({span["trace_id"] for span in after.spans}) == len(arrived)


@pytest.mark.parametrize(
    "after", [key for key in FAULTS if key not in SENT_AGAIN], indirect=True, scope="module"
)
def test_no_run_and_no_span_arrives_twice(after: After) -> None:
    assert Counter(span["trace_id"] for span in roots(after.spans)).most_common(1)[0][1] == 1
    assert {len(found) for found in copies(after.spans).values()} == {1}


@pytest.mark.parametrize("after", sorted(SENT_AGAIN), indirect=True, scope="module")
def test_what_is_sent_again_is_the_same_to_the_last_attribute(after: After) -> None:
    found = copies(after.spans).values()

    assert {len(spans) for spans in found} == {1, 2}
    assert all(span == spans[0] for spans in found for span in spans)
