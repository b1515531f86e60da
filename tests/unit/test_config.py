"""Settings: what each source means, which one wins, and what is said of a wrong value."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cronalytics_otel.config import Destination, Settings, load_settings, safe_url
from cronalytics_otel.model import Budget, Budgets

WHERE = "config.yaml plugins.entries.cronalytics-otel"


class Home:
    """A Hermes home to write settings into."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def config(self, text: str) -> Home:
        (self.path / "config.yaml").write_text(dedent(text), encoding="utf-8")
        return self

    def options(self, text: str) -> Home:
        """The section of the plugin."""
        head = "plugins:\n  enabled: [cronalytics-otel]\n  entries:\n    cronalytics-otel:\n"
        return self.config(head + indent(dedent(text), " " * 6))

    def dotenv(self, text: str) -> Home:
        (self.path / ".env").write_text(dedent(text), encoding="utf-8")
        return self

    def load(self, environ: Mapping[str, str] | None = None) -> Settings:
        return load_settings(self.path, environ or {})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def the_destination(settings: Settings) -> Destination:
    """The only one, of settings without a problem."""
    assert settings.problems == ()
    (destination,) = settings.destinations
    return destination


# --- without any settings ------------------------------------------------------------------


def test_an_empty_home_gives_the_defaults_and_no_problem(home: Home) -> None:
    assert home.load() == Settings(
        destinations=(
            Destination(name="default", endpoint="http://localhost:4318/v1/traces", timeout_s=10),
        ),
        metric_destinations=(
            Destination(name="default", endpoint="http://localhost:4318/v1/metrics", timeout_s=10),
        ),
        metric_interval_s=60.0,
        metric_timeout_s=30.0,
        genai_metrics=False,
        disabled=False,
        service_name="hermes-cron",
        resource_attributes={},
        flush_timeout_s=2.0,
        max_age_days=90.0,
        content="off",
        content_max_chars=4096,
        timezone=None,
        problems=(),
    )


@pytest.mark.parametrize(
    "text",
    ["", "model: x\n", "plugins:\n", "plugins: {}\n", "plugins:\n  entries:\n", "# nothing\n"],
)
def test_a_config_without_our_section_gives_the_defaults(home: Home, text: str) -> None:
    assert home.config(text).load() == Home(home.path).load()
    assert home.load().problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1, 2]\n", "config.yaml: expected a mapping, not a list; it is not used"),
        ("just text\n", "config.yaml: expected a mapping, not text; it is not used"),
        (
            "plugins: [cronalytics-otel]\n",
            "config.yaml plugins: expected a mapping, not a list; it is not used",
        ),
        (
            "plugins: {entries: [x]}\n",
            "config.yaml plugins.entries: expected a mapping, not a list; it is not used",
        ),
        (
            "plugins: {entries: {cronalytics-otel: true}}\n",
            f"{WHERE}: expected a mapping, not True; it is not used",
        ),
    ],
)
def test_another_shape_is_told_and_the_defaults_are_used(
    home: Home, text: str, problem: str
) -> None:
    settings = home.config(text).load()
    assert [line.removeprefix(f"{home.path}/") for line in settings.problems] == [problem]
    assert settings.destinations == Home(home.path).load().destinations
    assert settings.content == "off"


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nkey: [s3cret\n",
        "a: &x 1\nb: *s3cret\n",
        "a: 1\n\tb: s3cret\n",
        "b: !!python/object:s3cret\n",
    ],
)
def test_broken_yaml_is_told_by_its_place_and_not_by_its_content(home: Home, text: str) -> None:
    (problem,) = home.config(text).load().problems
    assert problem.startswith(f"{home.path}/config.yaml: not valid YAML at line ")
    assert problem.endswith("; defaults are used, and nothing is sent until it can be read")
    assert "s3cret" not in problem


def test_a_config_that_is_not_text_is_told(home: Home) -> None:
    (home.path / "config.yaml").write_bytes(b"\xff\xfe\x00\x00\xd8")
    (problem,) = home.load().problems
    assert "not valid YAML" in problem


def test_a_config_that_cannot_be_read_is_told(home: Home) -> None:
    (home.path / "config.yaml").mkdir()
    (problem,) = home.load().problems
    assert (
        problem
        == f"{home.path}/config.yaml: Is a directory; defaults are used, and nothing is sent until it can be read"
    )


# --- options of the plugin -----------------------------------------------------------------


def test_each_option_is_read(home: Home) -> None:
    settings = home.options(
        """
        flush_timeout: 0.5
        max_age_days: 7
        content: full
        content_max_chars: 100
        """
    ).load()
    assert (settings.flush_timeout_s, settings.max_age_days) == (0.5, 7.0)
    assert (settings.content, settings.content_max_chars) == ("full", 100)
    assert settings.problems == ()


def test_a_bare_off_is_off_although_yaml_reads_false(home: Home) -> None:
    settings = home.options("content: off").load()
    assert (settings.content, settings.problems) == ("off", ())


def test_the_content_of_single_jobs_is_read(home: Home) -> None:
    settings = home.options(
        """
        content: errors
        content_jobs:
            payroll: off
            " nightly digest ": FULL
            "012345670123": errors
        """
    ).load()
    assert settings.content == "errors"
    assert settings.content_jobs == {
        "payroll": "off", "nightly digest": "full", "012345670123": "errors",
    }  # fmt: skip
    assert settings.problems == ()


def test_a_wrong_entry_keeps_the_content_of_its_job_at_home(home: Home) -> None:
    settings = home.options(
        "content: full\ncontent_jobs: {payroll: of, digest: errors, x: }"
    ).load()
    assert settings.content == "full"
    assert settings.content_jobs == {"payroll": "off", "digest": "errors", "x": "off"}
    assert settings.problems == (
        f"{WHERE}.content_jobs.'payroll': 'of' is not one of off, errors, full; off is used",
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            "[payroll]",
            "expected a mapping of jobs to off, errors or full, not a list; off is used for all jobs",
        ),
        (
            "{x: errors, 012345670123: off}",
            "1402433619 is no text, put it into quotes; off is used for all jobs",
        ),
    ],
)
def test_when_it_cannot_be_told_whose_content_is_to_stay_all_stays(
    home: Home, value: str, problem: str
) -> None:
    settings = home.options(f"content: full\ncontent_jobs: {value}").load()
    assert (settings.content, settings.content_jobs) == ("off", {})
    assert settings.problems == (f"{WHERE}.content_jobs: {problem}",)


def test_budgets_of_the_home_and_of_single_jobs_are_read(home: Home) -> None:
    settings = home.options(
        """
        budgets:
            month: 50
            day: "3.5"
            run: ${MOST}
            jobs:
                " nightly digest ": {month: 10}
                "012345670123": {run: 0.2, day: }
        """
    ).load({"MOST": "1"})
    assert settings.budgets == Budgets(
        home=Budget(run=1, day=3.5, month=50),
        jobs={"nightly digest": Budget(month=10), "012345670123": Budget(run=0.2)},
    )
    assert settings.problems == ()


@pytest.mark.parametrize("value", ["", "{}", "{month: }", "{jobs: }"])
def test_without_a_limit_there_is_no_budget(home: Home, value: str) -> None:
    settings = home.options(f"budgets: {value}").load()
    assert (settings.budgets, settings.problems) == (Budgets(), ())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("50", ": expected a mapping, not 50; it is not used"),
        ("{month: much}", ".month: 'much' is not a number of US dollars; there is no such limit"),
        ("{month: 0}", ".month: 0 US dollars must be more than 0; there is no such limit"),
        ("{day: -1}", ".day: -1 US dollars must be more than 0; there is no such limit"),
        ("{run: .inf}", ".run: inf is not a number of US dollars; there is no such limit"),
        ("{run: '${MOST}'}", ".run: the environment variable MOST is not set; there is no such limit"),
        ("{mouth: 5}", ".mouth: unknown key, not used; did you mean month?"),
        ("{jobs: [a]}", ".jobs: expected a mapping, not a list; it is not used"),
        ("{jobs: {a: 5}}", ".jobs.'a': expected a mapping, not 5; it is not used"),
        ("{jobs: {a: {moth: 5}}}", ".jobs.'a'.moth: unknown key, not used; did you mean month?"),
        ("{jobs: {a: {day: no}}}", ".jobs.'a'.day: False is not a number of US dollars; there is no such limit"),
        ("{jobs: {012345670123: {day: 1}}}", ".jobs: 1402433619 is no text, put it into quotes; it is not used"),
    ],
)  # fmt: skip
def test_a_wrong_limit_is_told_and_is_none(home: Home, value: str, problem: str) -> None:
    settings = home.options(f"budgets: {value}").load()
    assert settings.problems == (f"{WHERE}.budgets{problem}",)
    assert settings.budgets.home == Budget()
    assert settings.budgets.of_job("a", "a") == Budget()


def test_a_wrong_limit_takes_no_other_with_it(home: Home) -> None:
    settings = home.options("budgets: {month: 50, day: x, jobs: {a: {run: x, day: 1}, 7: }}").load()
    assert settings.budgets == Budgets(home=Budget(month=50), jobs={"a": Budget(day=1)})
    assert len(settings.problems) == 3


def test_no_flush_is_a_choice(home: Home) -> None:
    settings = home.options("flush_timeout: 0").load()
    assert (settings.flush_timeout_s, settings.problems) == (0.0, ())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("content: all", "content: 'all' is not one of off, errors, full; off is used"),
        ("content: on", "content: True is not one of off, errors, full; off is used"),
        ("flush_timeout: soon", "flush_timeout: 'soon' is not a number of seconds; 2 is used"),
        ("flush_timeout: true", "flush_timeout: True is not a number of seconds; 2 is used"),
        ("flush_timeout: -1", "flush_timeout: -1 seconds must be at least 0; 2 is used"),
        ("flush_timeout: .nan", "flush_timeout: nan is not a number of seconds; 2 is used"),
        ("max_age_days: 0", "max_age_days: 0 days must be more than 0; 90 is used"),
        ("max_age_days: .inf", "max_age_days: inf is not a number of days; 90 is used"),
        ("max_age_days: [1]", "max_age_days: a list is not a number of days; 90 is used"),
        (
            "content_max_chars: 1.5",
            "content_max_chars: 1.5 is not a whole number; 4096 is used",
        ),
        (
            "content_max_chars: 0",
            "content_max_chars: 0 characters must be at least 1; 4096 is used",
        ),
        (
            "max_age_days: ${AGE}",
            "max_age_days: the environment variable AGE is not set; 90 is used",
        ),
        ("max_age: 3", "max_age: unknown key, not used; did you mean max_age_days?"),
        (
            "x: 3",
            (
                "x: unknown key, not used; known keys: destinations, flush_timeout, max_age_days,"
                " journal_days, content, content_jobs, content_max_chars, budgets,"
                " genai_metrics, notify, links"
            ),
        ),
    ],
)
def test_a_wrong_option_is_told_and_its_default_used(home: Home, line: str, problem: str) -> None:
    settings = home.options(line).load()
    assert settings.problems == (f"{WHERE}.{problem}",)
    defaults = Home(home.path).load()
    assert settings.flush_timeout_s == defaults.flush_timeout_s == 2.0
    assert settings.max_age_days == 90.0
    assert settings.content == "off"
    assert settings.content_max_chars == 4096


@pytest.mark.parametrize("value", ["999999", "1e9", "'1e300'", "1" + 300 * "0"])
def test_what_is_too_large_to_be_counted_is_as_long_as_can_be(home: Home, value: str) -> None:
    settings = home.options(f"max_age_days: {value}\nflush_timeout: {value}").load()
    assert (settings.max_age_days, settings.flush_timeout_s) == (36_500, 3600)
    assert settings.problems == ()


@pytest.mark.parametrize("key", ["flush_timeout", "max_age_days", "content_max_chars"])
@pytest.mark.parametrize(
    "value", ["1" + 400 * "0", "0x" + 4000 * "f", ".inf", "-.inf", "1_0e", "2026-01-01"]
)
def test_no_number_raises(home: Home, key: str, value: str) -> None:
    settings = home.options(f"{key}: {value}").load()
    assert (settings.flush_timeout_s, settings.max_age_days) == (2.0, 90.0)
    assert settings.content_max_chars == 4096
    assert settings.problems


def test_keys_of_the_host_in_our_section_are_not_unknown(home: Home) -> None:
    assert home.options("llm: {}\nallow_tool_override: false").load().problems == ()


def test_a_section_under_the_modules_name_is_told(home: Home) -> None:
    home.config("plugins: {entries: {cronalytics_otel: {content: full}}}")
    settings = home.load()
    assert settings.content == "off"
    assert settings.problems == (
        "config.yaml plugins.entries.cronalytics_otel: not used; did you mean cronalytics-otel?",
    )


def test_a_variable_in_a_value_is_filled_in(home: Home) -> None:
    settings = home.options("max_age_days: ${AGE}0").load({"AGE": "1"})
    assert (settings.max_age_days, settings.problems) == (10.0, ())


# --- .env ----------------------------------------------------------------------------------


def test_dotenv_is_read_and_the_process_is_left_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "of the process")
    before = dict(os.environ)
    home.dotenv("export OTEL_SERVICE_NAME='night ${NAME}'\n")
    assert home.load({"NAME": "shift"}).service_name == "night shift"
    assert dict(os.environ) == before


def test_dotenv_wins_over_the_real_environment_as_in_the_host_unless_it_is_empty(
    home: Home,
) -> None:
    home.dotenv("OTEL_SERVICE_NAME=of-the-file\n")
    assert home.load({"OTEL_SERVICE_NAME": "real"}).service_name == "of-the-file"
    home.dotenv("OTEL_SERVICE_NAME=\n")
    assert home.load({"OTEL_SERVICE_NAME": "real"}).service_name == "real"


def test_a_variable_of_dotenv_may_stand_on_others_and_on_a_default(home: Home) -> None:
    home.dotenv(
        """
        KEY=k3y
        OTEL_EXPORTER_OTLP_HEADERS=x-key=${KEY}
        OTEL_EXPORTER_OTLP_ENDPOINT=http://${COLLECTOR:-fallback}:4318
        OTEL_SERVICE_NAME=${NOT_SET}
        """
    )
    destination = the_destination(home.load())
    assert destination.headers == (("x-key", "k3y"),)
    assert destination.endpoint == "http://fallback:4318/v1/traces"


def test_a_dotenv_in_latin_1_is_read_as_the_host_does(home: Home) -> None:
    (home.path / ".env").write_bytes("OTEL_SERVICE_NAME=Nächte\n".encode("latin-1"))
    assert home.load().service_name == "Nächte"


def test_config_values_see_dotenv(home: Home) -> None:
    home.dotenv("KEY=k3y\n").options(
        """
        destinations:
          one: {endpoint: "http://one:4318", headers: {x-key: "Bearer ${KEY}"}}
        """
    )
    assert the_destination(home.load()).headers == (("x-key", "Bearer k3y"),)


# --- OTEL_* --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": ""}, "http://localhost:4318/v1/traces"),
        ({"ENDPOINT": "http://c:1"}, "http://c:1/v1/traces"),
        ({"ENDPOINT": "http://c:1/"}, "http://c:1/v1/traces"),
        ({"ENDPOINT": "https://c/otlp"}, "https://c/otlp/v1/traces"),
        ({"ENDPOINT": "https://c/otlp/"}, "https://c/otlp/v1/traces"),
        ({"ENDPOINT": " https://c/otlp?k=v#x "}, "https://c/otlp/v1/traces?k=v"),
        ({"ENDPOINT": "http://u:p@c:1"}, "http://u:p@c:1/v1/traces"),
        ({"ENDPOINT": "http://[::1]:4318"}, "http://[::1]:4318/v1/traces"),
        ({"TRACES_ENDPOINT": "http://c:1"}, "http://c:1"),
        ({"TRACES_ENDPOINT": "http://c:1/"}, "http://c:1/"),
        ({"TRACES_ENDPOINT": "http://c:1/any"}, "http://c:1/any"),
        ({"ENDPOINT": "http://c:1", "TRACES_ENDPOINT": "http://t:2/x"}, "http://t:2/x"),
        ({"ENDPOINT": "http://c:1", "TRACES_ENDPOINT": ""}, "http://c:1/v1/traces"),
        ({"PROTOCOL": "grpc"}, "http://localhost:4317"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "https://c:4317/"}, "https://c:4317/"),
        ({"PROTOCOL": "grpc", "ENDPOINT": "c:4317"}, "c:4317"),
        ({"TRACES_PROTOCOL": "grpc", "TRACES_ENDPOINT": "unix:///run/c"}, "unix:///run/c"),
    ],
)
def test_endpoints_are_as_the_specification_says(
    home: Home, environ: dict[str, str], endpoint: str
) -> None:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()}
    assert the_destination(home.load(named)).endpoint == endpoint


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_base_endpoint_that_has_the_path_already_is_told(home: Home, slash: str) -> None:
    settings = home.load({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://c:1/v1/traces{slash}"})
    assert settings.destinations[0].endpoint == "http://c:1/v1/traces/v1/traces"
    (problem,) = settings.problems
    assert problem.startswith("OTEL_EXPORTER_OTLP_ENDPOINT: it ends in /v1/traces")
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in problem


ALL_VARIABLES = {
    "ENDPOINT": "http://base:1",
    "PROTOCOL": "http/protobuf",
    "HEADERS": "a=base",
    "COMPRESSION": "gzip",
    "TIMEOUT": "1",
    "INSECURE": "true",
}
ALL_TRACES_VARIABLES = {
    "ENDPOINT": "http://own:2",
    "PROTOCOL": "grpc",
    "HEADERS": "a=own",
    "COMPRESSION": "none",
    "TIMEOUT": "2.5",
    "INSECURE": "false",
}


def test_every_variable_is_read(home: Home, tmp_path: Path) -> None:
    pem = tmp_path / "some.pem"
    pem.touch()
    environ = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in ALL_VARIABLES.items()}
    for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        environ[f"OTEL_EXPORTER_OTLP_{name}"] = str(pem)
    assert the_destination(home.load(environ)) == Destination(
        name="default",
        endpoint="http://base:1/v1/traces",
        protocol="http/protobuf",
        headers=(("a", "base"),),
        compression="gzip",
        timeout_s=1.0,
        certificate=str(pem),
        client_certificate=str(pem),
        client_key=str(pem),
        insecure=True,
    )


def test_the_form_of_the_signal_wins(home: Home, tmp_path: Path) -> None:
    base, own = tmp_path / "base.pem", tmp_path / "own.pem"
    own.touch()
    environ = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in ALL_VARIABLES.items()}
    environ |= {
        f"OTEL_EXPORTER_OTLP_TRACES_{name}": value for name, value in ALL_TRACES_VARIABLES.items()
    }
    for name in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"):
        environ[f"OTEL_EXPORTER_OTLP_{name}"] = str(base)
        environ[f"OTEL_EXPORTER_OTLP_TRACES_{name}"] = str(own)
    environ["OTEL_METRICS_EXPORTER"] = "none"
    assert the_destination(home.load(environ)) == Destination(
        name="default",
        endpoint="http://own:2",
        protocol="grpc",
        headers=(("a", "own"),),
        compression="none",
        timeout_s=2.5,
        certificate=str(own),
        client_certificate=str(own),
        client_key=str(own),
        insecure=False,
    )


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("a=1", (("a", "1"),)),
        ("A=1, b = 2 ,,c=", (("a", "1"), ("b", "2"), ("c", ""))),
        ("authorization=Bearer%20x%3D%2C", (("authorization", "Bearer x=,"),)),
        ("authorization=Bearer x==", (("authorization", "Bearer x=="),)),
        ("a=1,A=2", (("a", "2"),)),
    ],
)
def test_headers_are_baggage_and_not_too_strict(
    home: Home, text: str, headers: tuple[tuple[str, str], ...]
) -> None:
    assert the_destination(home.load({"OTEL_EXPORTER_OTLP_HEADERS": text})).headers == headers


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"HEADERS": "a=1,s3cret"},
            "HEADERS: entry 2 is not name=value; it is not used",
        ),
        (
            {"HEADERS": "a=1,b=s3cret%0d%0ax: y"},
            (
                "HEADERS: the value of b has characters that no header may have;"
                " this header is not sent"
            ),
        ),
        (
            {"HEADERS": "a=1,b=s3cret%E2%82%AC"},
            (
                "HEADERS: the value of b has characters that no header may have;"
                " this header is not sent"
            ),
        ),
        (
            {"HEADERS": "a=1,s3 cret=1"},
            (
                "HEADERS: a name has characters that no header's name may have;"
                " this header is not sent"
            ),
        ),
        (
            {"HEADERS": "a=1,b-bin=s3cret", "PROTOCOL": "grpc"},
            "HEADERS: b-bin would be binary in gRPC; this header is not sent",
        ),
    ],
)
def test_a_wrong_header_is_told_without_its_value_and_the_others_are_sent(
    home: Home, environ: dict[str, str], problem: str
) -> None:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()}
    settings = home.load(named)
    assert settings.problems == (f"OTEL_EXPORTER_OTLP_{problem}",)
    assert settings.destinations[0].headers == (("a", "1"),)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "PROTOCOL",
            "http/json",
            "http/json is not supported; http/protobuf is used",
        ),
        (
            "PROTOCOL",
            "http/xml",
            "a text of 8 characters is not one of http/protobuf, grpc; http/protobuf is used",
        ),
        ("COMPRESSION", "zstd", "'zstd' is not one of gzip, deflate, none; none is used"),
        ("TIMEOUT", "10s", "'10s' is not a number of seconds; 10 is used"),
        ("TIMEOUT", "0", "0 seconds must be more than 0; 10 is used"),
        ("INSECURE", "yes", "'yes' is not one of true, false; the default is used"),
    ],
)
def test_a_wrong_variable_is_told_and_its_default_used(
    home: Home, name: str, value: str, problem: str
) -> None:
    settings = home.load({f"OTEL_EXPORTER_OTLP_{name}": value})
    assert settings.problems == (f"OTEL_EXPORTER_OTLP_{name}: {problem}",)
    assert settings.destinations == Home(home.path).load().destinations


def test_grpc_has_no_deflate(home: Home) -> None:
    settings = home.load(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_COMPRESSION": "deflate"}
    )
    assert settings.destinations[0].compression == "none"
    assert settings.problems == (
        "OTEL_EXPORTER_OTLP_COMPRESSION: gRPC has no deflate; none is used",
    )


@pytest.mark.parametrize(
    ("value", "timeout_s"),
    [("10000", 10), ("1000", 1), ("999", 999), ("5", 5), ("1e300", 3600), ("3600001", 3600)],
)
def test_a_timeout_that_can_only_be_meant_in_milliseconds_is_taken_so(
    home: Home, value: str, timeout_s: float
) -> None:
    """The specification has milliseconds, the SDK for Python seconds."""
    settings = home.load({"OTEL_EXPORTER_OTLP_TIMEOUT": value})
    assert settings.destinations[0].timeout_s == timeout_s
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"ENDPOINT": "localhost:4318"},
            "it does not begin with http:// or https:// and a host",
        ),
        (
            {"ENDPOINT": "collector", "PROTOCOL": "grpc"},
            "it is neither http://…, https://… nor HOST:PORT",
        ),
        ({"ENDPOINT": "http://"}, "http:// does not begin with http:// or https:// and a host"),
        (
            {"ENDPOINT": "ftp://u:s3cret@c/"},
            "ftp://c/ does not begin with http:// or https:// and a host",
        ),
        ({"ENDPOINT": "http://c:port"}, "not a URL (its host or port)"),
        ({"ENDPOINT": "http://[::1"}, "not a URL (its host or port)"),
        ({"ENDPOINT": "http://c d"}, "a URL has no blanks and no control characters"),
        (
            {"ENDPOINT": "https://u:s3cret@c:1", "PROTOCOL": "grpc"},
            "gRPC does not send user information of a URL (use headers)",
        ),
    ],
)
def test_an_endpoint_that_cannot_be_used_leaves_the_destination_out(
    home: Home, environ: dict[str, str], problem: str
) -> None:
    named = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()}
    settings = home.load(named)
    assert settings.destinations == ()
    assert settings.problems == (
        f"OTEL_EXPORTER_OTLP_ENDPOINT: {problem}; destination 'default' is left out",
    )


_KEY = "hcaik9SECRETKEY"
_VARIABLES_THAT_ARE_READ = [
    f"OTEL_EXPORTER_OTLP_{name}"
    for name in (*ALL_VARIABLES, "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
] + ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "HERMES_TIMEZONE"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("value", [_KEY, f"x-honeycomb-team={_KEY}", f"/{_KEY}=", f"x:{_KEY}"])
@pytest.mark.parametrize("name", _VARIABLES_THAT_ARE_READ)
def test_a_key_in_the_wrong_line_is_shown_nowhere(
    home: Home, name: str, value: str, protocol: str
) -> None:
    settings = home.load({"OTEL_EXPORTER_OTLP_PROTOCOL": protocol, name: value})
    assert _KEY not in "".join(settings.problems)
    assert not any(_KEY in d.safe_endpoint for d in settings.destinations)


@pytest.mark.parametrize(
    "line",
    [
        "flush_timeout: KEY",
        "max_age_days: [KEY]",
        "content: KEY",
        "content_jobs: KEY",
        "content_jobs: {payroll: KEY}",
        "content_max_chars: {KEY: 1}",
        "destinations: KEY",
        "destinations: {one: KEY}",
        "destinations: {one: {endpoint: KEY}}",
        "destinations: {one: {endpoint: 'x-honeycomb-team=KEY', protocol: grpc}}",
        "destinations: {one: {endpoint: [KEY], protocol: KEY, compression: KEY}}",
        "destinations: {one: {endpoint: 'http://c', headers: KEY}}",
        "destinations: {one: {endpoint: 'http://c', headers: {k: '${KEY}'}}}",
        "destinations: {one: {endpoint: 'http://c', headers: {k: [KEY]}}}",
        "destinations: {one: {endpoint: 'http://c', timeout: KEY, insecure: KEY}}",
        "destinations: {one: {endpoint: 'http://c', certificate: KEY, client_key: 'a=KEY'}}",
    ],
)
def test_a_key_in_a_wrong_option_is_shown_nowhere(home: Home, line: str) -> None:
    settings = home.options(line.replace("KEY", _KEY)).load()
    assert settings.problems
    assert _KEY not in "".join(settings.problems)


def test_a_certificate_in_place_of_its_path_is_told_and_not_shown(home: Home) -> None:
    pem = f"-----BEGIN CERTIFICATE-----\n{'A' * 5000}"
    settings = home.load({"OTEL_EXPORTER_OTLP_CERTIFICATE": pem})
    assert settings.problems == (
        "OTEL_EXPORTER_OTLP_CERTIFICATE: there is no such file; sending fails until there is",
    )


def test_a_certificate_that_is_not_there_is_told_and_kept(home: Home) -> None:
    settings = home.load({"OTEL_EXPORTER_OTLP_CERTIFICATE": "/no/ca.pem"})
    assert settings.destinations[0].certificate == "/no/ca.pem"
    assert settings.problems == (
        "OTEL_EXPORTER_OTLP_CERTIFICATE: there is no file /no/ca.pem; sending fails until there is",
    )


def test_a_client_key_alone_is_told_and_not_used(home: Home, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.touch()
    settings = home.load({"OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key)})
    assert settings.destinations[0].client_key is None
    assert settings.problems == (
        "OTEL_EXPORTER_OTLP_CLIENT_KEY: useless without a client certificate; it is not used",
    )


@pytest.mark.parametrize(("protocol", "problems"), [("grpc", 1), ("http/protobuf", 0)])
def test_a_client_certificate_without_a_key_is_told_for_grpc_alone(
    home: Home, tmp_path: Path, protocol: str, problems: int
) -> None:
    """By HTTP one file may hold both."""
    both = tmp_path / "both.pem"
    both.touch()
    settings = home.load(
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(both),
        }
    )
    assert settings.destinations[0].client_certificate == str(both)
    assert len(settings.problems) == problems
    for problem in settings.problems:
        assert problem.startswith("OTEL_EXPORTER_OTLP_CLIENT_KEY: gRPC takes no client certificate")


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "hermes-cron"),
        ({"OTEL_SERVICE_NAME": "own"}, "own"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=res"}, "res"),
        ({"OTEL_SERVICE_NAME": "own", "OTEL_RESOURCE_ATTRIBUTES": "service.name=res"}, "own"),
        ({"OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "service.name=res"}, "res"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name="}, "hermes-cron"),
    ],
)
def test_the_service_name_has_an_order(home: Home, environ: dict[str, str], name: str) -> None:
    assert home.load(environ).service_name == name


def test_resource_attributes_are_url_decoded_and_a_wrong_one_is_skipped(home: Home) -> None:
    settings = home.load(
        {"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=a%2Cb, team = x ,wrong"}
    )
    assert settings.resource_attributes == {"deployment.environment.name": "a,b", "team": "x"}
    assert settings.problems == (
        "OTEL_RESOURCE_ATTRIBUTES: entry 3 is not name=value; it is not used",
    )


@pytest.mark.parametrize(
    ("value", "disabled"), [("true", True), ("True", True), ("false", False), ("", False)]
)
def test_the_sdk_can_be_disabled(home: Home, value: str, disabled: bool) -> None:
    settings = home.load({"OTEL_SDK_DISABLED": value})
    assert (settings.disabled, settings.problems) == (disabled, ())


def test_another_word_for_disabled_is_told_and_does_not_disable(home: Home) -> None:
    settings = home.load({"OTEL_SDK_DISABLED": "1"})
    assert not settings.disabled
    assert settings.problems == ("OTEL_SDK_DISABLED: '1' is not one of true, false; false is used",)


def test_traces_exporter_none_means_no_default_destination(home: Home) -> None:
    settings = home.load({"OTEL_TRACES_EXPORTER": "none"})
    assert (settings.destinations, settings.problems) == ((), ())


def test_another_traces_exporter_is_told_and_nothing_is_sent(home: Home) -> None:
    settings = home.load({"OTEL_TRACES_EXPORTER": "console"})
    assert settings.destinations == ()
    assert settings.problems == (
        (
            "OTEL_TRACES_EXPORTER: only otlp, otlp_proto_http, otlp_proto_grpc and none are known;"
            " none is used"
        ),
    )
    assert home.load({"OTEL_TRACES_EXPORTER": "console, otlp"}).destinations


@pytest.mark.parametrize(
    ("exporter", "protocol", "endpoint"),
    [
        ("otlp_proto_http", "http/protobuf", "http://localhost:4318/v1/traces"),
        ("otlp_proto_grpc", "grpc", "http://localhost:4317"),
        ("console,otlp_proto_grpc", "grpc", "http://localhost:4317"),
    ],
)
def test_the_sdks_names_of_the_exporters_say_the_protocol(
    home: Home, exporter: str, protocol: str, endpoint: str
) -> None:
    for set_protocol in ("http/protobuf", "grpc"):
        environ = {"OTEL_TRACES_EXPORTER": exporter, "OTEL_EXPORTER_OTLP_PROTOCOL": set_protocol}
        destination = the_destination(home.load(environ))
        assert (destination.protocol, destination.endpoint) == (protocol, endpoint)


# --- destinations of config.yaml -----------------------------------------------------------


def test_destinations_of_the_config_are_used_and_no_other(home: Home, tmp_path: Path) -> None:
    pem = tmp_path / "some.pem"
    pem.touch()
    home.options(
        f"""
        destinations:
          jaeger:
            endpoint: http://localhost:4318
          cloud:
            endpoint: https://otlp.example/otlp
            protocol: http/protobuf
            headers: {{Authorization: "Basic ${{TOKEN}}", X-Org: 7}}
            compression: gzip
            timeout: 3
            certificate: {pem}
            client_certificate: {pem}
            client_key: {pem}
          local:
            endpoint: localhost:4317
            protocol: grpc
            insecure: true
        """
    )
    settings = home.load({"TOKEN": "dG9rZW4="})
    assert settings.problems == ()
    assert settings.destinations == (
        Destination(name="jaeger", endpoint="http://localhost:4318/v1/traces"),
        Destination(
            name="cloud",
            endpoint="https://otlp.example/otlp/v1/traces",
            headers=(("authorization", "Basic dG9rZW4="), ("x-org", "7")),
            compression="gzip",
            timeout_s=3.0,
            certificate=str(pem),
            client_certificate=str(pem),
            client_key=str(pem),
        ),
        Destination(name="local", endpoint="localhost:4317", protocol="grpc", insecure=True),
    )


def test_no_variable_of_the_exporter_applies_to_a_configured_destination(home: Home) -> None:
    home.options("destinations: {one: {endpoint: 'http://one:1'}}")
    environ = {
        f"OTEL_EXPORTER_OTLP_{signal}{name}": value
        for signal, values in (("", ALL_VARIABLES), ("TRACES_", ALL_TRACES_VARIABLES))
        for name, value in values.items()
    }
    environ["OTEL_EXPORTER_OTLP_CERTIFICATE"] = "/no/file"
    environ["OTEL_TRACES_EXPORTER"] = "none"
    assert the_destination(home.load(environ)) == Destination(
        name="one", endpoint="http://one:1/v1/traces"
    )


@pytest.mark.parametrize(
    ("endpoint", "used"),
    [
        ("http://c:1", "http://c:1/v1/traces"),
        ("http://c:1/", "http://c:1/v1/traces"),
        ("http://c:1/v1/traces", "http://c:1/v1/traces"),
        ("http://c:1/v1/traces/", "http://c:1/v1/traces"),
        ("https://c/v1/traces/?k=v", "https://c/v1/traces?k=v"),
        ("https://c/otlp/v1/traces", "https://c/otlp/v1/traces"),
        ("https://c/otlp?k=v", "https://c/otlp/v1/traces?k=v"),
        ("https://c/v1/traces?k=v", "https://c/v1/traces?k=v"),
    ],
)
def test_the_path_is_appended_to_a_configured_endpoint_unless_it_is_there(
    home: Home, endpoint: str, used: str
) -> None:
    home.options(f"destinations: {{one: {{endpoint: '{endpoint}'}}}}")
    assert the_destination(home.load()).endpoint == used


def test_an_empty_set_of_destinations_is_none(home: Home) -> None:
    settings = home.options("destinations: {}").load()
    assert (settings.destinations, settings.problems) == ((), ())


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("http://c:1", (": expected a name (as text) and a mapping with an endpoint, not text;"
         " this destination is left out")),
        ("{}", ".endpoint: expected a URL, not nothing; destination 'one' is left out"),
        ("{endpoint: ''}", ".endpoint: expected a URL, not nothing; destination 'one' is left out"),
        ("{endpoint: 4318}", ".endpoint: expected a URL, not 4318; destination 'one' is left out"),
        (
            "{endpoint: 'http://${HOST}:1'}",
            ".endpoint: the environment variable HOST is not set; destination 'one' is left out",
        ),
        (
            "{endpoint: 'http://c:1', headers: {k: '${KEY}'}}",
            ".headers: the environment variable KEY is not set; destination 'one' is left out",
        ),
        (
            "{endpoint: 'http://c:1', headers: [k]}",
            (".headers: expected a mapping of names to values, not a list;"
            " destination 'one' is left out"),
        ),
        (
            "{endpoint: 'http://c:1', headers: {k: [s3cret]}}",
            ".headers: the value of k must be text; destination 'one' is left out",
        ),
        (
            "{endpoint: 'http://c:1', certificate: [x]}",
            (".certificate: expected the path of a file, not a list;"
            " destination 'one' is left out"),
        ),
    ],
)  # fmt: skip
def test_a_destination_that_cannot_be_used_as_meant_is_left_out_alone(
    home: Home, entry: str, problem: str
) -> None:
    settings = home.options(
        f"destinations:\n  one: {entry}\n  two: {{endpoint: 'http://two:2'}}\n"
    ).load()
    assert [destination.name for destination in settings.destinations] == ["two"]
    assert settings.problems == (f"{WHERE}.destinations.one{problem}",)


def test_a_name_that_is_no_text_is_told(home: Home) -> None:
    settings = home.options("destinations: {1: {endpoint: 'http://c:1'}}").load()
    assert settings.destinations == ()
    assert settings.problems[0].startswith(f"{WHERE}.destinations.1: expected a name (as text)")


def test_destinations_of_another_shape_are_told_and_nothing_is_sent_elsewhere(home: Home) -> None:
    settings = home.options("destinations: [http://c:1]").load()
    assert settings.destinations == ()
    assert settings.problems == (
        f"{WHERE}.destinations: expected a mapping, not a list; it is not used",
    )


def test_an_unknown_key_of_a_destination_is_told(home: Home) -> None:
    settings = home.options("destinations: {one: {endpoint: 'http://c:1', header: {}}}").load()
    assert settings.destinations[0].name == "one"
    assert settings.problems == (
        f"{WHERE}.destinations.one.header: unknown key, not used; did you mean headers?",
    )


def test_headers_of_the_config_may_be_written_as_in_the_variable(home: Home) -> None:
    home.options("destinations: {one: {endpoint: 'http://c:1', headers: 'a=1,b=2'}}")
    assert the_destination(home.load()).headers == (("a", "1"), ("b", "2"))


# --- time zone -----------------------------------------------------------------------------


def test_the_time_zone_is_hermes_own(home: Home) -> None:
    home.config("timezone: Europe/Berlin\n")
    assert home.load().timezone == "Europe/Berlin"
    assert home.load({"HERMES_TIMEZONE": "Asia/Tokyo"}).timezone == "Asia/Tokyo"
    unset = home.config("timezone: ''\n").load()
    assert (unset.timezone, unset.problems) == (None, ())


@pytest.mark.parametrize("value", ["Mars/Olympus", "../../etc/passwd", "7", "[1]"])
def test_an_unknown_time_zone_is_told(home: Home, value: str) -> None:
    settings = home.config(f"timezone: {value}\n").load()
    assert settings.timezone is None
    (problem,) = settings.problems
    assert problem.startswith("config.yaml timezone: ")
    assert problem.endswith(" is no time zone that is known here; the default is used")


# --- secrets -------------------------------------------------------------------------------


def test_no_repr_shows_a_header_or_a_secret_of_the_url(home: Home) -> None:
    settings = home.load(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://me:s3cret@c?key=s3cret",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=s3cret",
        }
    )
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("http://c:1/v1/traces", "http://c:1/v1/traces"),
        ("https://me:s3cret@c:1/x?key=s3cret&b=#s3cret", "https://c:1/x?key=***&b=***"),
        ("https://s3cret@c", "https://c"),
        ("https://c/e/9f3ac27b-e1d8-4546-af1b-7c92d3e8065f/v1/traces", "https://c/e/***/v1/traces"),
        (
            "https://c/ingest/a-path-of-many-words-without-digits",
            "https://c/ingest/a-path-of-many-words-without-digits",
        ),
        ("c:4317", "c:4317"),
        ("me:s3cret@c:4317", "c:4317"),
        ("unix:///run/c", "unix:///run/c"),
        ("http://[s3cret", "(not a URL)"),
        ("", ""),
    ],
)
def test_a_safe_endpoint_has_no_user_information_and_no_query_values(url: str, safe: str) -> None:
    assert safe_url(url) == safe
    assert Destination(name="x", endpoint=url).safe_endpoint == safe


# --- nothing raises ------------------------------------------------------------------------

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_ANYTHING = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_SCALARS, inner, max_size=3),
    max_leaves=8,
)
_DESTINATION = st.dictionaries(
    st.sampled_from(["endpoint", "headers", "timeout", "protocol", "certificate", "insecure"]),
    _ANYTHING,
)
_SECTION = (
    st.dictionaries(
        st.sampled_from(["flush_timeout", "max_age_days", "content", "content_max_chars", "x"]),
        _ANYTHING,
    )
    | st.fixed_dictionaries(
        {
            "budgets": _ANYTHING
            | st.dictionaries(st.sampled_from(["run", "day", "month", "jobs"]), _ANYTHING)
            | st.fixed_dictionaries({"jobs": st.dictionaries(_SCALARS, _ANYTHING, max_size=3)})
        }
    )
    | st.fixed_dictionaries(
        {
            "destinations": _ANYTHING
            | st.dictionaries(_SCALARS, _DESTINATION | _ANYTHING, max_size=3)
        }
    )
)


@given(section=_SECTION, timezone=_ANYTHING)
def test_no_value_of_the_config_raises(
    tmp_path_factory: pytest.TempPathFactory, section: object, timezone: object
) -> None:
    import yaml

    home = tmp_path_factory.mktemp("home")
    content = {"plugins": {"entries": {"cronalytics-otel": section}}, "timezone": timezone}
    (home / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    load_settings(home, {})


_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
_NAMES = [
    f"OTEL_EXPORTER_OTLP_{signal}{name}"
    for signal in ("", "TRACES_")
    for name in (*ALL_VARIABLES, "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
] + [
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "HERMES_TIMEZONE",
]


@given(environ=st.dictionaries(st.sampled_from(_NAMES), _TEXT))
def test_no_variable_raises(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]
) -> None:
    load_settings(tmp_path_factory.getbasetemp(), environ)


# --- metrics ------------------------------------------------------------------------------------


def metrics_of(settings: Settings) -> dict[str, str]:
    return {one.name: one.endpoint for one in settings.metric_destinations}


def traces_of(settings: Settings) -> dict[str, str]:
    return {one.name: one.endpoint for one in settings.destinations}


def test_the_base_url_of_the_variables_is_for_both_signals(home: Home) -> None:
    settings = home.load({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/base"})
    assert traces_of(settings) == {"default": "http://c:1/base/v1/traces"}
    assert metrics_of(settings) == {"default": "http://c:1/base/v1/metrics"}
    assert settings.problems == ()


def test_the_variables_of_metrics_are_for_metrics_alone(home: Home) -> None:
    environ = {f"OTEL_EXPORTER_OTLP_{name}": value for name, value in ALL_VARIABLES.items()}
    environ |= {
        f"OTEL_EXPORTER_OTLP_METRICS_{name}": value for name, value in ALL_TRACES_VARIABLES.items()
    }
    settings = home.load(environ)
    (metrics,) = settings.metric_destinations
    assert metrics == Destination(
        name="default",
        endpoint="http://own:2",
        protocol="grpc",
        headers=(("a", "own"),),
        timeout_s=2.5,
        insecure=False,
    )
    assert the_destination(settings).endpoint == "http://base:1/v1/traces"


def test_either_signal_can_be_switched_off(home: Home) -> None:
    assert home.load({"OTEL_METRICS_EXPORTER": "none"}).metric_destinations == ()
    without_traces = home.load({"OTEL_TRACES_EXPORTER": "none"})
    assert without_traces.destinations == ()
    assert metrics_of(without_traces) == {"default": "http://localhost:4318/v1/metrics"}


def test_what_is_wrong_for_both_signals_is_said_once(home: Home) -> None:
    settings = home.load({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://c"})
    assert (settings.destinations, settings.metric_destinations) == ((), ())
    assert len(settings.problems) == 1


@pytest.mark.parametrize(
    ("endpoint", "traces", "metrics"),
    [
        ("http://c:1", "http://c:1/v1/traces", "http://c:1/v1/metrics"),
        ("http://c:1/v1/traces", "http://c:1/v1/traces", "http://c:1/v1/metrics"),
        ("http://c:1/v1/metrics/", "http://c:1/v1/traces", "http://c:1/v1/metrics"),
        (
            "http://c:1/api/v1/otlp",
            "http://c:1/api/v1/otlp/v1/traces",
            "http://c:1/api/v1/otlp/v1/metrics",
        ),
        ("http://c/otlp?key=a", "http://c/otlp/v1/traces?key=a", "http://c/otlp/v1/metrics?key=a"),
    ],
)
def test_a_named_destination_has_an_endpoint_for_each_signal(
    home: Home, endpoint: str, traces: str, metrics: str
) -> None:
    home.options(json.dumps({"destinations": {"a": {"endpoint": endpoint}}}))
    settings = home.load()
    assert (traces_of(settings), metrics_of(settings)) == ({"a": traces}, {"a": metrics})
    assert settings.problems == ()


def test_a_named_destination_may_take_one_signal_alone(home: Home) -> None:
    named = {
        "jaeger": {"endpoint": "http://j:1", "metrics": False},
        "prometheus": {"endpoint": "http://p:1/api/v1/otlp", "traces": False},
    }
    home.options(json.dumps({"destinations": named}))
    settings = home.load()
    assert traces_of(settings) == {"jaeger": "http://j:1/v1/traces"}
    assert metrics_of(settings) == {"prometheus": "http://p:1/api/v1/otlp/v1/metrics"}


@pytest.mark.parametrize(
    ("own", "standard", "expected"),
    [
        (None, None, "cumulative"),
        (None, "delta", "delta"),
        (None, "LowMemory", "delta"),
        ("cumulative", "delta", "cumulative"),
        ("delta", None, "delta"),
        ("sideways", None, "cumulative"),
    ],
)
def test_the_temporality_is_the_destinations_own_else_the_standard_variables(
    home: Home, own: str | None, standard: str | None, expected: str
) -> None:
    named = {"a": {"endpoint": "http://c:1"} | ({"temporality": own} if own else {})}
    home.options(json.dumps({"destinations": named}))
    variable = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    settings = home.load({variable: standard} if standard else {})
    (destination,) = settings.metric_destinations
    assert destination.temporality == expected
    assert bool(settings.problems) is (own == "sideways")


def test_the_interval_and_the_timeout_of_metrics_are_in_milliseconds(home: Home) -> None:
    settings = home.load(
        {"OTEL_METRIC_EXPORT_INTERVAL": "5000", "OTEL_METRIC_EXPORT_TIMEOUT": "250"}
    )
    assert (settings.metric_interval_s, settings.metric_timeout_s) == (5.0, 0.25)
    wrong = home.load({"OTEL_METRIC_EXPORT_INTERVAL": "0"})
    assert wrong.metric_interval_s == 60.0
    assert len(wrong.problems) == 1
