"""`doctor`: every link from the host's files to a receipt, each with what to do about it.

Without the OpenTelemetry packages it still runs, and says so: they are imported late.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import cast

from rich.text import Text

from ...about import __version__, missing_packages
from ...config import Destination, Settings
from ...config.settings import PLUGIN_KEY
from ...export.acknowledgement import Receipt, Verdict
from ...export.resource import current_resource
from ...host.home import Home
from ...host.inspection import look_at
from ...journal import Journal, JournalError
from ...journal.facts import HERMES_VERSION, FactValues
from ...journal.instance import FILE_NAME, machine_hash, read_instance
from ...lock import SyncBusyError, sync_lock
from ...model import Resource, Span, SpanKind
from ...model.times import NS
from ...telemetry import semconv
from .. import formats
from ..context import Context, file_fault
from ..errors import CommandError, ExitStatus, command
from ..shapes import Shape

_ENTRY_POINTS = "hermes_agent.plugins"
_AHEAD_NS = 60 * NS
"""A run that seems to have ended so far in the future: the clock was set back since."""


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Worth knowing; nothing is lost by it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    state: State
    detail: str
    fix: str | None = None
    """What to do, unless all is well."""


def run(context: Context) -> ExitStatus:
    checks = []
    for check in _all_checks(context):
        checks.append(check)
        if not context.as_json:
            context.terminal.data(*_lines(check))
    failed = sum(check.state is State.FAILED for check in checks)
    if context.as_json:
        context.terminal.json(_shape(checks))
    else:
        context.terminal.data("", f"{formats.counted(len(checks), 'check')}: {_verdict(checks)}")
    return ExitStatus.FAILED if failed else ExitStatus.OK


def _verdict(checks: list[Check]) -> str:
    states = Counter(check.state for check in checks)
    if not states[State.FAILED] + states[State.WARNING]:
        return "all is well"
    warnings = formats.counted(states[State.WARNING], "warning")
    return f"{states[State.FAILED]} failed, {warnings}"


def _all_checks(context: Context) -> Iterator[Check]:
    """One after the other, so that each is shown when it is done."""
    home = context.home
    try:
        context.require_home()
    except CommandError as error:
        yield _failed("home", str(error), error.remedy)
        return
    except OSError as error:
        yield _unreadable("home", error)
        return
    yield _ok("home", f"{home.path} (profile {home.profile})")
    packages = _packages()
    yield packages
    settings = context.settings()
    yield from _config(settings)
    yield _plugin(home)
    yield from _sources(home)
    facts = yield from _own_files(context)
    if packages.state is State.OK:
        from ...host.version import installed_hermes

        here = installed_hermes()
        seen = facts.get(HERMES_VERSION)
        yield _hermes(here, seen)
        yield from _destinations(home, settings, here or seen)


def _own_files(context: Context) -> Generator[Check, None, FactValues]:
    """Gives the journal's facts, where it can be read."""
    home = context.home
    facts = FactValues({})
    try:
        if not home.journal.exists():
            yield _warning("journal", f"{home.journal} is not there yet", command("sync"))
            return facts
        try:
            with context.journal() as journal:
                facts = journal.facts.read()
                yield _journal(home, journal)
                yield _clock(journal, context.now_ns)
        except CommandError as error:
            yield _failed("journal", str(error), error.remedy or "see the message")
        yield from _instance(home)
        yield _permissions(home)
        yield _lock(home)
    except OSError as error:
        yield _unreadable("journal", error)
    return facts


# --- this machine -------------------------------------------------------------------------------


def _packages() -> Check:
    missing = missing_packages()
    if missing:
        return _failed(
            "packages",
            f"{', '.join(missing)} missing in {sys.executable}",
            f"{sys.executable} -m pip install {' '.join(missing)}",
        )
    sdk = metadata.version("opentelemetry-sdk")
    return _ok("packages", f"cronalytics-otel {__version__}, opentelemetry-sdk {sdk}")


def _hermes(here: str | None, seen: str | None) -> Check:
    """`here` is the version beside this command, `seen` the one in which the plugin last ran."""
    if here is not None or seen is not None:
        return _ok("hermes", here or f"{seen}, as the plugin found it")
    return _warning(
        "hermes",
        f"not in the Python of this command ({sys.executable}), and the plugin has not run in it",
        "install cronalytics-otel into the environment that holds Hermes, so that its runs are"
        " sent by themselves",
    )


def _config(settings: Settings) -> Iterator[Check]:
    for problem in settings.problems:
        yield _failed("config", problem, "correct it in config.yaml, .env or the environment")
    if not settings.problems:
        by_job = formats.content_by_job(settings.content_jobs)
        yield _ok("config", f"valid; content {settings.content}{by_job}")


def _plugin(home: Home) -> Check:
    """As the host decides it: `plugins.enabled`, over which `plugins.disabled` wins."""
    enable = f"hermes plugins enable {PLUGIN_KEY}"
    enabled, disabled = _plugin_lists(home.path / "config.yaml")
    if PLUGIN_KEY in disabled:
        return _failed("plugin", "plugins.disabled of config.yaml names it", enable)
    if PLUGIN_KEY not in enabled:
        return _failed("plugin", f"not enabled: runs are sent only by `{command('sync')}`", enable)
    if not _host_finds_it(home):
        return _warning(
            "plugin",
            f"enabled, but neither in {home.path / 'plugins'} nor installed in {sys.executable}",
            "install cronalytics-otel into the environment that holds Hermes",
        )
    return _ok("plugin", "enabled in config.yaml")


def _plugin_lists(config: Path) -> tuple[list[object], list[object]]:
    """`plugins.enabled` and `.disabled`; what cannot be read is told by the check of the config."""
    import yaml

    try:
        content: object = yaml.safe_load(config.read_bytes())
    except (OSError, yaml.YAMLError, ValueError):
        content = None
    plugins = content.get("plugins") if isinstance(content, dict) else None
    found = plugins if isinstance(plugins, dict) else {}
    return _as_list(found.get("enabled")), _as_list(found.get("disabled"))


def _as_list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _host_finds_it(home: Home) -> bool:
    if os.path.exists(home.path / "plugins" / PLUGIN_KEY / "plugin.yaml"):  # noqa: PTH110 - raises nothing
        return True
    return any(point.name == PLUGIN_KEY for point in metadata.entry_points(group=_ENTRY_POINTS))


# --- files --------------------------------------------------------------------------------------


def _sources(home: Home) -> Iterator[Check]:
    for source in look_at(home):
        if source.fault is not None:
            yield _failed(
                source.name, source.fault, "see the message; the next sync reads it again"
            )
        elif not source.exists:
            yield _warning(source.name, f"{source.path} is not there", f"none: {source.absence}")
        else:
            yield _ok(source.name, f"{source.path} can be read")


def _journal(home: Home, journal: Journal) -> Check:
    count, _, _ = journal.queries.totals()
    return _ok("journal", f"{home.journal}, {formats.counted(count, 'run')}")


def _instance(home: Home) -> Iterator[Check]:
    """A home that was moved or cloned from another machine: it has another instance id here."""
    try:
        instance = read_instance(home.plugin_folder)
    except JournalError as error:
        yield _failed("instance", str(error), "see the message")
        return
    if instance is not None and instance.machine != machine_hash():
        yield _warning(
            "instance",
            "this home was moved or cloned from another machine",
            "none: its next run gives it a new service.instance.id",
        )
    elif instance is not None and instance.moved_ns is not None:
        when = formats.moment(instance.moved_ns)
        yield _ok("instance", f"moved or cloned from another machine; a new id since {when}")


def _permissions(home: Home) -> Check:
    """Ours hold error texts and job names: nobody else is to read them."""
    open_to_others = [
        file
        for file in (
            home.plugin_folder,
            *home.plugin_folder.glob("journal.db*"),
            home.plugin_folder / FILE_NAME,
            home.lock,
        )
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if open_to_others:
        names = " ".join(str(file) for file in open_to_others)
        return _failed("permissions", f"others may read {names}", f"chmod go= {names}")
    return _ok("permissions", "only you can read the journal")


def _lock(home: Home) -> Check:
    try:
        with sync_lock(home.lock):
            return _ok("lock", "no other process is syncing")
    except SyncBusyError as error:
        return _warning("lock", str(error), "none, unless it stays so: then look for that process")
    except OSError as error:
        return _failed("lock", f"{home.lock}: {error.strerror}", "make the folder writable for you")


def _clock(journal: Journal, now_ns: int) -> Check:
    _, _, newest_ns = journal.queries.totals()
    if newest_ns is not None and newest_ns > now_ns + _AHEAD_NS:
        return _failed(
            "clock",
            f"the newest run ended {formats.moment(newest_ns)}, which is still to come",
            "set the machine's clock, by NTP best: backends place runs by time",
        )
    return _ok("clock", f"{formats.moment(now_ns)}, after the newest run")


# --- destinations -------------------------------------------------------------------------------


def _destinations(home: Home, settings: Settings, version: str | None) -> Iterator[Check]:
    if settings.disabled:
        yield _warning("destinations", "OTEL_SDK_DISABLED is true: nothing is sent", "unset it")
        return
    if not settings.destinations:
        yield _warning(
            "destinations",
            "none: runs are kept in the journal and sent nowhere",
            "set OTEL_EXPORTER_OTLP_ENDPOINT, or destinations in config.yaml",
        )
    try:
        instance = read_instance(home.plugin_folder)
    except JournalError:
        instance = None  # its own check says so
    resource = current_resource(home, settings, hermes_version=version, instance=instance)
    for destination in settings.destinations:
        yield _destination(destination, resource)


def _destination(destination: Destination, resource: Resource) -> Check:
    from ...export.otlp.sender import MissingExporterError, open_sender

    name, where = f"to {destination.name}", destination.safe_endpoint
    try:
        sender = open_sender(destination, dict(resource.attributes), scope_version=__version__)
    except MissingExporterError as error:
        return _failed(
            name, str(error), f"{sys.executable} -m pip install 'cronalytics-otel[grpc]'"
        )
    started_s = time.perf_counter()
    try:
        receipt = sender.send([probe_span(time.time_ns())])
    finally:
        sender.close()
    took = formats.duration(time.perf_counter() - started_s)
    if receipt.accepted:
        said = f"; it said: {receipt.reason}" if receipt.reason else ""
        return _ok(name, f"{where} took a test span in {took}{said}")
    return _failed(name, f"{where}: {receipt.reason} (after {took})", _fix(destination, receipt))


def probe_span(now_ns: int) -> Span:
    """A span of its own trace that says that it is a test."""
    return Span(
        trace_id=secrets.randbits(128) | 1,
        span_id=secrets.randbits(64) | 1,
        parent_id=None,
        name=semconv.SPAN_DOCTOR,
        kind=SpanKind.INTERNAL,
        start_ns=now_ns,
        end_ns=now_ns + 1_000_000,
        attributes={semconv.HERMES_CRON_TEST: True},
    )


def _fix(destination: Destination, receipt: Receipt) -> str:
    if receipt.verdict is Verdict.RETRY:
        return (
            "is the collector up, and is this its OTLP endpoint"
            f" ({destination.protocol}; ports are 4318 for http/protobuf and 4317 for grpc)?"
            " What is pending is kept and sent later"
        )
    return (
        "check its endpoint, path and headers (an API key?), then"
        f" `{command('sync --retry-refused')}`"
    )


# --- output -------------------------------------------------------------------------------------

_MARKS = {State.OK: ("✓", "good"), State.WARNING: ("!", "warning"), State.FAILED: ("✗", "bad")}


def _lines(check: Check) -> Iterator[Text]:
    yield Text.assemble(
        _MARKS[check.state], " ", (f"{check.name:<12}", "heading"), " ", check.detail
    )
    if check.fix is not None:
        yield Text(f"{'':<14} fix: {check.fix}")


def _shape(checks: list[Check]) -> Shape:
    return {
        "healthy": all(check.state is not State.FAILED for check in checks),
        "checks": [
            {"name": c.name, "state": c.state, "detail": c.detail, "fix": c.fix} for c in checks
        ],
    }


def _unreadable(name: str, error: OSError) -> Check:
    fault = file_fault(error)
    return _failed(name, str(fault), fault.remedy)


def _ok(name: str, detail: str) -> Check:
    return Check(name=name, state=State.OK, detail=detail)


def _warning(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, state=State.WARNING, detail=detail, fix=fix)


def _failed(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, state=State.FAILED, detail=detail, fix=fix)
