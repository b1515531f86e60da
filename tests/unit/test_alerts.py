"""The alerts as records: each has its labels, links, runbook and unit tests, and Grafana has the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.generate import alert_cases, alert_files, rules
from collector.generate.alert_cases import CASES
from collector.generate.alert_files import grafana_uid
from collector.generate.alerts import ALERTS, About, Alert, Owner, Severity
from cronalytics_otel.cli import COMMANDS, main
from cronalytics_otel.insight.health import DEAD_AFTER_NS, PENDING_NS, STALE_WHEN_DUE_NS
from cronalytics_otel.insight.usual import is_hung
from cronalytics_otel.model.times import NS

COLLECTOR = Path(__file__).parents[2] / "collector"
RUNBOOKS = COLLECTOR / "runbooks"
SECTIONS = ["What it means", "Look here", "Do this", "When it ends"]

every_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


def prometheus_rules() -> dict[str, dict[str, Any]]:
    text = alert_files.files()["alerts/cronalytics.alerts.yml"]
    (group,) = yaml.safe_load(text)["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def grafana_rules() -> dict[str, dict[str, Any]]:
    text = alert_files.files()["grafana/provisioning/alerting/cronalytics.yaml"]
    (group,) = yaml.safe_load(text)["groups"]
    return {rule["title"]: rule for rule in group["rules"]}


PROMETHEUS, GRAFANA = prometheus_rules(), grafana_rules()


@every_alert
def test_an_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet(alert: Alert) -> None:
    cases = CASES[alert.name]

    assert any(any(case.firing.values()) for case in cases)
    assert any(not any(case.firing.values()) for case in cases)
    assert all(case.firing for case in cases)


def test_no_case_is_of_an_alert_that_is_gone() -> None:
    assert set(CASES) == {alert.name for alert in ALERTS}
    assert len(alert_cases.files()) == len(ALERTS)


@every_alert
def test_an_alert_has_labels_texts_and_links(alert: Alert) -> None:
    rule = PROMETHEUS[alert.name]

    assert alert.name.startswith("HermesCron")
    assert Severity(rule["labels"]["severity"])
    assert Owner(rule["labels"]["owner"])
    texts = rule["annotations"]
    assert texts["summary"]
    assert texts["description"].endswith(".")
    assert "Value" in texts["summary"] + texts["description"] or alert.about is About.ALL
    assert f"/d/{alert.dashboard}" in texts["dashboard_url"]
    assert texts["runbook_url"].endswith(f"/{alert.name}.md")
    if alert.about is About.JOB:
        assert ".Labels.hermes_cron_job_name" in texts["summary"]
        assert "/search?service=" in texts["traces_url"]
        assert "cronalytics-tempo" in texts["tempo_url"]
        assert "var-job={{ .Labels.hermes_cron_job_id | urlquery }}" in texts["dashboard_url"]
    if alert.about is not About.ALL:
        assert ".Labels.hermes_profile_name" in texts["summary"]


@every_alert
def test_grafana_has_the_same_alert(alert: Alert) -> None:
    ours, theirs = PROMETHEUS[alert.name], GRAFANA[alert.name]

    query = theirs["data"][0]
    assert query["model"]["expr"] == ours["expr"] == alert.expression
    assert query["datasourceUid"] == "cronalytics-prometheus"
    assert theirs["labels"] == ours["labels"]
    assert theirs["annotations"].keys() == ours["annotations"].keys() - {"host"}
    assert (theirs.get("for"), theirs.get("keepFiringFor")) == (
        ours.get("for"),
        ours.get("keep_firing_for"),
    )


@every_alert
def test_grafana_reads_its_form(alert: Alert) -> None:
    """A uid has at most 40 characters, and a `$` in a text would be a variable of the environment."""
    rule = GRAFANA[alert.name]

    assert rule["uid"] == grafana_uid(alert)
    assert len(rule["uid"]) <= 40
    assert rule["condition"] == rule["data"][-1]["refId"]
    for data in rule["data"]:
        assert data["refId"] == data["model"]["refId"]
    assert not any("$" in text.replace(")$", "") for text in rule["annotations"].values())


def test_an_outage_of_prometheus_is_one_alert_in_grafana() -> None:
    states = {name: (rule["noDataState"], rule["execErrState"]) for name, rule in GRAFANA.items()}

    nobody = states.pop("HermesCronNobodyExports")
    assert nobody == ("OK", "Alerting")
    assert set(states.values()) == {("OK", "KeepLast")}
    assert len({rule["uid"] for rule in GRAFANA.values()}) == len(ALERTS)


def test_every_recording_rule_has_a_user() -> None:
    text = "\n".join(
        [*(rule.expression for rule in rules.RULES), *(alert.expression for alert in ALERTS)]
    )

    assert [rule.name for rule in rules.RULES if rule.name not in text] == []


def test_a_rule_stands_on_rules_above_it_only() -> None:
    names = [rule.name for rule in rules.RULES]
    for place, rule in enumerate(rules.RULES):
        # A rule may repeat what it was a minute ago.
        expression = rule.expression.replace(f"{rule.name} offset 1m", "")
        used = {name for name in names if name in expression}
        assert used <= set(names[:place]), rule.name


@every_alert
def test_the_readme_names_an_alert_as_it_is(alert: Alert) -> None:
    link = f"[`{alert.name}`](runbooks/{alert.name}.md)"

    assert f"| {link} | {alert.severity}, {alert.owner} | " in (COLLECTOR / "README.md").read_text()


def test_no_text_speaks_of_today_or_of_what_only_the_scheduler_can_have_done() -> None:
    texts = {alert.name: alert.summary + alert.description for alert in ALERTS}

    assert not any("today" in text for text in texts.values())
    assert "by hand" in texts["HermesCronJobOverdue"]
    assert "6 hours" in texts["HermesCronJobHung"]


def test_alertmanager_keeps_homes_apart_as_the_alerts_do() -> None:
    settings = yaml.safe_load((COLLECTOR / "backends" / "alertmanager.yml").read_text())

    assert settings["route"]["group_by"] == [
        "alertname",
        "instance",
        "hermes_profile_name",
        "hermes_cron_job_id",
    ]
    assert "group_by" not in alert_files.files()["alerts/cronalytics.alerts.yml"]


# --- the numbers are those of `health` ---------------------------------------------------------------


def test_the_numbers_are_those_of_health() -> None:
    assert f">= {DEAD_AFTER_NS // NS}\n" in rules.DEAD.expression
    assert rules.REPORT_DUE.expression.endswith(f"+ {STALE_WHEN_DUE_NS // NS}")
    (pending,) = (a for a in ALERTS if a.name == "HermesCronTelemetryPending")
    assert f"> {PENDING_NS // NS}\n" in pending.expression


@pytest.mark.parametrize("usual_s", [None, 10.0, 200.0, 5_000.0])
def test_a_run_hangs_at_the_same_second(usual_s: float | None) -> None:
    factor, least = re.findall(r"clamp_min\((\d+) \* \S+, (\d+)\)", rules.HUNG.expression)[0]
    (unknown,) = re.findall(r"\) > (\d+)", rules.HUNG.expression)
    limit_s = float(unknown) if usual_s is None else max(int(factor) * usual_s, int(least))

    assert not is_hung(limit_s, usual_s)
    assert is_hung(limit_s + 1, usual_s)


# --- runbooks ----------------------------------------------------------------------------------------


@every_alert
def test_an_alert_has_a_runbook(alert: Alert) -> None:
    text = (RUNBOOKS / f"{alert.name}.md").read_text()

    assert text.startswith(f"# {alert.name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert "```promql\n" in text


def test_every_runbook_is_of_an_alert_and_its_links_lead_somewhere() -> None:
    pages = {path.name for path in RUNBOOKS.glob("*.md")}

    assert pages == {f"{alert.name}.md" for alert in ALERTS}
    for page in pages:
        for target in re.findall(r"\]\(([^)]+)\)", (RUNBOOKS / page).read_text()):
            assert target in pages


def our_commands() -> list[tuple[str, str]]:
    """Each command of ours in a runbook or an alert, with where it stands."""
    texts = {path.name: path.read_text() for path in RUNBOOKS.glob("*.md")}
    for alert in ALERTS:
        templates = re.sub(r"\{\{ (?:if|else|end)[^}]*\}\}", "", alert.description)
        texts[f"alert {alert.name}"] = re.sub(r"\{\{[^}]*\}\}", "X", templates)
    return [
        (where, line.split("#")[0].strip())
        for where, text in texts.items()
        for line in re.findall(r"cronalytics-otel ([^`\n]*)", text)
    ]


def test_the_commands_exist_and_have_these_options(capsys: pytest.CaptureFixture[str]) -> None:
    known = {command.NAME for command in COMMANDS}
    options: dict[str, str] = {}
    for where, line in our_commands():
        words = shlex.split(line)
        name = words[0]
        assert name in known, (where, line)
        if name not in options:
            assert main([name, "--help"]) == 0
            options[name] = capsys.readouterr().out
        for word in words[1:]:
            if word.startswith("--"):
                assert word in options[name], (where, line)
