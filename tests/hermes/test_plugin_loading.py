"""How the plugin gets into a real Hermes, and that it cannot hurt it there."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.fake_llm import FakeModel
from tests.support.hermes import (
    PLUGIN,
    Hermes,
    HermesHome,
    JobSpec,
    hermes_pristine,
    hermes_with_packages,
    hermes_with_plugin,
)
from tests.support.venvs import CHECKOUT, clone_venv

pytestmark = pytest.mark.host

SCRIPT_JOB = JobSpec(name="check", schedule="every 5m", script="ok.sh", no_agent=True)
NO_MODEL = "http://127.0.0.1:9/v1"
NO_COLLECTOR = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkout as it is now, as a git repository of its own; its file:// URL."""
    folder = tmp_path_factory.mktemp("git") / "cronalytics-otel"
    untracked = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(CHECKOUT, folder, ignore=untracked)
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "as it is"]):
        subprocess.run([*git, *command], cwd=folder, check=True, timeout=60)
    return folder.as_uri()


def home_with(hermes: Hermes, folder: Path) -> HermesHome:
    """A home with a script job, which needs no model, and no plugin enabled."""
    home = HermesHome.make(
        folder / "home", hermes, model_url=NO_MODEL, plugins=[], environment=NO_COLLECTOR
    )
    home.add_script("ok.sh", "echo fine\n")
    home.create_job(SCRIPT_JOB)
    return home


def run_the_job(home: HermesHome) -> None:
    home.make_due()
    home.tick()
    assert [row["status"] for row in home.executions()] == ["completed"]


def enabled_plugins(home: HermesHome) -> list[str]:
    config = yaml.safe_load((home.path / "config.yaml").read_text())
    plugins: list[str] = config["plugins"]["enabled"]
    return plugins


def known_runs(home: HermesHome) -> list[str]:
    """Names of the jobs whose runs the plugin knows, by its own command in the host."""
    output = home.run(PLUGIN, "runs", "--json").stdout
    return [run["job_name"] for run in json.loads(output)["runs"]]


def warnings_of_ours(home: HermesHome) -> list[str]:
    return [
        line
        for line in home.log().splitlines()
        if " WARNING " in line and PLUGIN in line.replace("_", "-")
    ]


def test_plugins_enable_is_all_that_a_pip_install_needs(tmp_path: Path) -> None:
    home = home_with(hermes_with_plugin(), tmp_path)

    home.run("plugins", "enable", PLUGIN)

    assert enabled_plugins(home) == [PLUGIN]
    run_the_job(home)
    assert known_runs(home) == ["check"]


def test_without_being_enabled_it_does_nothing(tmp_path: Path) -> None:
    home = home_with(hermes_with_plugin(), tmp_path)
    before = {path.name for path in home.path.iterdir()}

    run_the_job(home)

    new = {path.name for path in home.path.iterdir()} - before
    assert not [name for name in new if "cronalytics" in name]


def test_plugins_install_takes_the_git_repository(repository: str, tmp_path: Path) -> None:
    home = home_with(hermes_with_packages(), tmp_path)

    home.run("plugins", "install", repository, "--enable")

    assert enabled_plugins(home) == [PLUGIN]
    run_the_job(home)
    assert known_runs(home) == ["check"]


SKILL = "cronalytics-otel:cronalytics"

VIEW_SKILL = f"""
import json
from hermes_cli.plugins import discover_plugins, get_plugin_manager
from tools.skills_tool import skill_view

discover_plugins()
print(json.dumps([
    get_plugin_manager().list_plugin_skills("cronalytics-otel"),
    json.loads(skill_view({SKILL!r})),
]))
"""


def test_the_agent_can_load_the_skill_of_a_pip_install(tmp_path: Path) -> None:
    home = home_with(hermes_with_plugin(), tmp_path)
    home.run("plugins", "enable", PLUGIN)

    assert_skill_is_there(home)


def test_the_agent_can_load_the_skill_of_a_git_checkout(repository: str, tmp_path: Path) -> None:
    home = home_with(hermes_with_packages(), tmp_path)
    home.run("plugins", "install", repository, "--enable")

    assert_skill_is_there(home)


def assert_skill_is_there(home: HermesHome) -> None:
    output = home.run("-c", VIEW_SKILL, program="python").stdout
    listed, found = json.loads(output.splitlines()[-1])
    assert listed == ["cronalytics"]
    assert (found["success"], found["name"]) == (True, SKILL)
    assert "hermes cronalytics-otel" in found["content"]
    assert "what did my cron jobs cost last week" in found["description"]
    assert "injection" not in home.log()


def test_a_job_can_report_on_the_jobs_with_the_skill(model: FakeModel, tmp_path: Path) -> None:
    """The scheduler gives the skill's text to the model."""
    home = HermesHome.make(tmp_path / "home", hermes_with_plugin(), model_url=model.url)
    job_id = home.create_job(
        JobSpec(name="weekly", schedule="every 1h", prompt="What did it cost?", skills=(SKILL,))
    )

    home.run("cron", "run", job_id)

    (execution,) = home.executions()
    assert execution["status"] == "completed"
    assert "Which job should I fix?" in json.dumps([request.body for request in model.requests])


def test_a_chat_can_be_started_with_the_skill(model: FakeModel, tmp_path: Path) -> None:
    home = HermesHome.make(tmp_path / "home", hermes_with_plugin(), model_url=model.url)

    home.run("chat", "-s", SKILL, "-q", "What did my cron jobs cost last week?")

    assert "Which job should I fix?" in json.dumps([request.body for request in model.requests])


def test_missing_packages_are_logged_in_one_line_and_the_host_goes_on(
    repository: str, tmp_path: Path
) -> None:
    home = home_with(hermes_pristine(), tmp_path)
    home.run("plugins", "install", repository, "--enable")

    run_the_job(home)

    (line,) = warnings_of_ours(home)
    assert "pip install" in line
    assert "Traceback" not in home.log()


def test_the_command_in_that_line_installs_what_is_missing(repository: str, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    clone_venv(hermes_pristine().venv, venv)
    home = home_with(Hermes(venv=venv, version=hermes_pristine().version), tmp_path)
    home.run("plugins", "install", repository, "--enable")
    home.tick()
    (line,) = warnings_of_ours(home)

    command = shlex.split(line[line.index(str(venv)) :])
    assert command[1:4] == ["-m", "pip", "install"]
    subprocess.run(command, check=True, capture_output=True, timeout=280)

    run_the_job(home)
    assert known_runs(home) == ["check"]
    assert len(warnings_of_ours(home)) == 1


@pytest.mark.parametrize(
    "target",
    ["plugin._register_hooks", "worker.Worker.start", "worker.Worker._sync", "sync.sync"],
)
def test_even_an_exit_in_our_own_code_does_not_reach_the_host(
    target: str, model: FakeModel, tmp_path: Path
) -> None:
    """The host catches `Exception` of a plugin, and nothing above it."""
    home = HermesHome.make(tmp_path / "home", hermes_with_plugin(), model_url=model.url)
    job_id = home.create_job(JobSpec(name="digest", schedule="every 1h", prompt="Sum up"))
    (tmp_path / "sabotage").mkdir()
    (tmp_path / "sabotage" / "sitecustomize.py").write_text(SABOTAGE)
    sabotage = {
        "PYTHONPATH": str(tmp_path / "sabotage"),
        "SABOTAGED": target,
        "SABOTAGE_LOG": str(tmp_path / "raised"),
    }

    home.run("cron", "run", job_id, env=sabotage)

    assert "raised" in (tmp_path / "raised").read_text()
    assert [row["status"] for row in home.executions()] == ["completed"]
    assert "Traceback" not in home.log()


SABOTAGE = """
import importlib, os

def leave(*args, **kwargs):
    with open(os.environ["SABOTAGE_LOG"], "a") as log:
        log.write("raised\\n")
    raise SystemExit(7)

module, _, rest = os.environ["SABOTAGED"].partition(".")
owner = importlib.import_module("cronalytics_otel." + module)
*path, name = rest.split(".")
for part in path:
    owner = getattr(owner, part)
getattr(owner, name)  # it must be there, or nothing is tested
setattr(owner, name, leave)
"""
"""Python runs a `sitecustomize` before anything else."""


def test_importing_and_registering_loads_nothing_heavy() -> None:
    """The host's start-up pays for every module; an idle `cron tick` may run each minute."""
    code = """
import sys
import cronalytics_otel

class Context:  # what the host hands over, without the host and its own imports
    profile_name = "default"
    def register_hook(self, name, callback): pass
    def register_cli_command(self, *args, **kwargs): pass

cronalytics_otel.register(Context())
heavy = {"opentelemetry", "requests", "rich", "yaml", "croniter", "psutil", "google", "grpc"}
# A namespace package (opentelemetry) that is looked into has no file, and costs nothing.
print(sorted(
    name
    for name, module in sys.modules.items()
    if name.partition(".")[0] in heavy and getattr(module, "__file__", None)
))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == "[]"
