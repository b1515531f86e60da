"""The destinations of traces and of metrics, from config.yaml or from the OTEL_EXPORTER_OTLP_* variables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from ..model.temporality import Temporality
from .endpoints import PATHS, OtlpProtocol, Signal, at_path, checked, safe_url, with_path
from .values import (
    FieldReader,
    InvalidError,
    Raw,
    T,
    baggage,
    fields_of,
    flag,
    kind,
    mapping,
    number,
    one_of,
    or_default,
    report_unknown_keys,
)

Compression: TypeAlias = Literal["gzip", "deflate", "none"]

DEFAULT_TIMEOUT_S: Final = 10.0
_DEFAULT_ENDPOINT: Final[Mapping[OtlpProtocol, str]] = {
    "http/protobuf": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}
_EXPORTERS: Final[Mapping[str, OtlpProtocol | None]] = {
    "otlp": None,
    "otlp_proto_http": "http/protobuf",
    "otlp_proto_grpc": "grpc",
}
"""The Python SDK's names, with the protocol that each stands for."""
_MIN_MILLISECONDS: Final = 1000.0
"""A time-out from here on is meant in milliseconds."""
MAX_SECONDS: Final = 3600.0
"""A longer wait counts as an hour: sockets and threads take no more than some 292 years."""

_KEYS: Final = (
    "endpoint",
    "protocol",
    "headers",
    "compression",
    "timeout",
    "certificate",
    "client_certificate",
    "client_key",
    "insecure",
    "traces",
    "metrics",
    "temporality",
)
_TEMPORALITY_VARIABLE: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
_AUTHORITIES_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""What says which authorities are trusted, for a destination that does not say so itself: by requests (the
first two) and by OpenSSL."""
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A place that traces or metrics are sent to, with all that it takes to reach it.

    `endpoint` is the full URL for http/protobuf. For gRPC it is what the user wrote: `http://…`,
    `https://…` (the scheme says whether TLS is used) or a bare target. The certificates and the key are
    paths of PEM files. `insecure` is for gRPC only. Headers have lower-case names; no repr shows them.
    """

    name: str
    endpoint: str = field(repr=False)
    protocol: OtlpProtocol = "http/protobuf"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    compression: Compression = "none"
    timeout_s: float = DEFAULT_TIMEOUT_S
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure: bool | None = None
    temporality: Temporality = Temporality.CUMULATIVE
    """For metrics only."""

    @property
    def safe_endpoint(self) -> str:
        """The endpoint for logs and screens: without user information, query values, and what may be a
        key in its path."""
        return safe_url(self.endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where the two signals go. A place that takes both is in both, with the endpoint of each."""

    traces: tuple[Destination, ...] = ()
    metrics: tuple[Destination, ...] = ()


def read_destinations(configured: Raw, env: Mapping[str, str], problems: list[str]) -> Destinations:
    """Return the destinations of config.yaml, or, without any there, those of the OTEL_* variables.

    No OTEL_EXPORTER_OTLP_* variable applies to a configured destination, so that the secrets of one
    backend are not sent to another; the temporality alone is not a secret, and its variable is the default. A
    destination that cannot be used as it was meant is left out.
    """
    if configured.found is None:
        return _default_destinations(env, problems)
    traces, metrics = list[Destination](), list[Destination]()
    for name, entry in mapping(configured, problems).items():
        where = f"{configured.where}.{name}"
        if not isinstance(name, str) or not isinstance(entry, dict):
            problems.append(
                f"{where}: expected a name (as text) and a mapping with an endpoint, not"
                f" {kind(entry)}; this destination is left out"
            )
            continue
        report_unknown_keys(entry, _KEYS, where, problems)
        fields = fields_of(entry, where, env)
        destination = _destination(name, fields, _configured_endpoint, env, problems)
        if destination is None:
            continue
        if or_default(fields("traces"), flag, default=True, problems=problems):
            traces.append(destination)
        if or_default(fields("metrics"), flag, default=True, problems=problems):
            metrics.append(_for_metrics(destination, fields, env, problems))
    return Destinations(traces=tuple(traces), metrics=tuple(metrics))


def _for_metrics(
    destination: Destination, fields: FieldReader, env: Mapping[str, str], problems: list[str]
) -> Destination:
    """Return a configured destination with its endpoint for metrics, which stands beside that for traces."""
    endpoint = at_path(destination.endpoint, destination.protocol, "metrics")
    default = _standard_temporality(env, [])
    temporality = or_default(fields("temporality"), _temporality, default, problems)
    return replace(destination, endpoint=endpoint, temporality=temporality)


def _standard_temporality(env: Mapping[str, str], problems: list[str]) -> Temporality:
    raw = Raw(_TEMPORALITY_VARIABLE, env.get(_TEMPORALITY_VARIABLE))
    return or_default(raw, _temporality, Temporality.CUMULATIVE, problems)


def _temporality(value: object) -> Temporality:
    known = one_of(value, ("cumulative", "delta", "lowmemory"))
    return Temporality.CUMULATIVE if known == "cumulative" else Temporality.DELTA


def _default_destinations(env: Mapping[str, str], problems: list[str]) -> Destinations:
    traces = _default_destination("traces", env, problems)
    of_traces = list(problems)
    metrics = _default_destination("metrics", env, own := list[str]())
    problems += [
        problem for problem in own if problem not in of_traces
    ]  # a problem of both is listed once
    if metrics is not None:
        metrics = replace(metrics, temporality=_standard_temporality(env, problems))
    return Destinations(traces=(traces,) if traces else (), metrics=(metrics,) if metrics else ())


def _default_destination(
    signal: Signal, env: Mapping[str, str], problems: list[str]
) -> Destination | None:
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    exporters = [name.strip() for name in env.get(variable, "otlp").split(",")]
    named = next((name for name in exporters if name in _EXPORTERS), None)
    if named is None:
        if exporters != ["none"]:
            problems.append(
                f"{variable}: only {', '.join(_EXPORTERS)} and none are known; none is used"
            )
        return None

    def fields(key: str) -> Raw:
        if key == "protocol" and _EXPORTERS[named] is not None:
            return Raw(variable, _EXPORTERS[named])
        own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{key.upper()}"
        name = own if own in env else f"OTEL_EXPORTER_OTLP_{key.upper()}"
        return Raw(name, env.get(name))

    return _destination("default", fields, partial(_standard_endpoint, signal), env, problems)


def _destination(
    name: str,
    fields: FieldReader,
    endpoint_of: Callable[[Raw, OtlpProtocol, list[str]], str],
    env: Mapping[str, str],
    problems: list[str],
) -> Destination | None:
    protocol: OtlpProtocol = or_default(fields("protocol"), _protocol, "http/protobuf", problems)
    compression: Compression = or_default(fields("compression"), _compression, "none", problems)
    if protocol == "grpc" and compression == "deflate":
        problems.append(f"{fields('compression').where}: gRPC has no deflate; none is used")
        compression = "none"
    try:
        endpoint = _located(fields("endpoint"), lambda raw: endpoint_of(raw, protocol, problems))
        headers = _located(fields("headers"), lambda raw: _headers(raw, protocol, problems))
        certificate = _located(fields("certificate"), lambda raw: _path(raw, problems))
        certificate = certificate or _authorities(endpoint, env, problems)
        client_certificate, client_key = _client_pair(fields, protocol, problems)
    except InvalidError as error:
        problems.append(f"{error}; destination {name!r} is left out")
        return None
    return Destination(
        name=name,
        endpoint=endpoint,
        protocol=protocol,
        headers=headers,
        compression=compression,
        timeout_s=_timeout(fields("timeout"), problems),
        certificate=certificate,
        client_certificate=client_certificate,
        client_key=client_key,
        insecure=or_default(fields("insecure"), flag, None, problems),
    )


def _authorities(endpoint: str, env: Mapping[str, str], problems: list[str]) -> str | None:
    """Return the path that the environment names, a file or (for HTTP) a folder; None without TLS. One that
    does not exist is reported and passed over, as OpenSSL does."""
    paths = {name: env.get(name, "").strip() for name in _AUTHORITIES_VARIABLES}
    if endpoint.startswith("http://"):
        return None
    for name, path in paths.items():
        if path and os.path.exists(path):  # noqa: PTH110 - never raises, whatever the text is
            return path
        problem = f"{name}: there is no {_path_shown(path)}; it is not used"
        if path and problem not in problems:
            problems.append(problem)
    return None


def _configured_endpoint(raw: Raw, protocol: OtlpProtocol, _problems: list[str]) -> str:
    """Return the endpoint of config.yaml, which is a base URL, or a URL that has the path already."""
    value = raw.get()
    if not isinstance(value, str):
        raise InvalidError(f"expected a URL, not {kind(value)}")
    return at_path(value.strip(), protocol, "traces")


def _located(raw: Raw, read: Callable[[Raw], T]) -> T:
    """Return what `read` makes of a value. The text of an InvalidError begins with the value's place."""
    try:
        return read(raw)
    except InvalidError as error:
        raise InvalidError(f"{raw.where}: {error}") from error


def _client_pair(
    fields: FieldReader, protocol: OtlpProtocol, problems: list[str]
) -> tuple[str | None, str | None]:
    """Return the paths of the client certificate and of its key."""
    certificate = _located(fields("client_certificate"), lambda raw: _path(raw, problems))
    key = _located(fields("client_key"), lambda raw: _path(raw, problems))
    where = fields("client_key").where
    if key and not certificate:
        problems.append(f"{where}: useless without a client certificate; it is not used")
        key = None
    if protocol == "grpc" and certificate and not key:
        problems.append(
            f"{where}: gRPC takes no client certificate without its key, which may be in the"
            " same file; sending by TLS fails until it is named"
        )
    return certificate, key


def _standard_endpoint(
    signal: Signal, raw: Raw, protocol: OtlpProtocol, problems: list[str]
) -> str:
    """Return the endpoint of the OTEL_* variables: a signal's own URL as it is, the base URL with the
    path appended."""
    url = str(raw.get() or _DEFAULT_ENDPOINT[protocol]).strip()
    if f"_{signal.upper()}_" in raw.where and raw.found is not None:
        return checked(url, protocol)
    endpoint = with_path(url, protocol, signal)
    for named, path in PATHS.items():
        if protocol != "grpc" and endpoint.endswith(path + PATHS[signal]):
            problems.append(
                f"{raw.where}: it ends in {path}, and the standard says to append the path of"
                " each signal, so it is; put a full URL into"
                f" OTEL_EXPORTER_OTLP_{named.upper()}_ENDPOINT"
            )
    return endpoint


def _headers(raw: Raw, protocol: OtlpProtocol, problems: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the headers, from `name=value,…` as in W3C baggage, or from a mapping."""
    value = raw.get()
    if value is None:
        return ()
    if isinstance(value, str):
        pairs = baggage(raw.where, value, problems)
    elif isinstance(value, dict):
        pairs = [(str(name), _header_text(name, item)) for name, item in value.items()]
    else:
        raise InvalidError(f"expected a mapping of names to values, not {kind(value)}")
    headers = {}
    for name, text in pairs:
        fault = _header_fault(name, text, protocol)
        if fault:
            problems.append(f"{raw.where}: {fault}; this header is not sent")
        else:
            headers[name.lower()] = text
    return tuple(headers.items())


def _header_text(name: object, value: object) -> str:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value).strip()
    raise InvalidError(f"the value of {name} must be text")


def _header_fault(name: str, value: str, protocol: OtlpProtocol) -> str | None:
    """Return why a header cannot be sent; None when it can. The text never shows its value."""
    if not _HEADER_NAME.fullmatch(name):
        return "a name has characters that no header's name may have"
    if protocol == "grpc" and name.lower().endswith("-bin"):
        return f"{name} would be binary in gRPC"
    greatest = 0x7E if protocol == "grpc" else 0xFF
    if any(not 0x20 <= ord(char) <= greatest or ord(char) == 0x7F for char in value):
        return f"the value of {name} has characters that no header may have"
    return None


def _path(raw: Raw, problems: list[str]) -> str | None:
    """Return the path of a file. A missing file is reported, but its path stays, so that nothing is
    sent unverified."""
    value = raw.get()
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidError(f"expected the path of a file, not {kind(value)}")
    path = value.strip()
    if not os.path.isfile(path):  # noqa: PTH113 - never raises, whatever the text is
        problems.append(
            f"{raw.where}: there is no {_path_shown(path)}; sending fails until there is"
        )
    return path


def _path_shown(path: str) -> str:
    """Return the path in words. A text that is not a whole path is not shown: it may be a secret in
    the wrong place."""
    from ..redaction import mask

    masked = mask(path)
    return f"file {masked}" if Path(path).is_absolute() and "=" not in path else "such file"


def _timeout(raw: Raw, problems: list[str]) -> float:
    """Return the time-out in seconds. The value is in seconds, as the Python SDK has it, or in
    milliseconds, as the specification has it, where nobody can mean seconds."""
    timeout_s = or_default(raw, number("seconds", above=0), DEFAULT_TIMEOUT_S, problems)
    return min(timeout_s / 1000 if timeout_s >= _MIN_MILLISECONDS else timeout_s, MAX_SECONDS)


def _protocol(value: object) -> OtlpProtocol:
    if value == "http/json":  # named because the specification has it
        raise InvalidError("http/json is not supported")
    return cast("OtlpProtocol", one_of(value, ("http/protobuf", "grpc")))


def _compression(value: object) -> Compression:
    return cast("Compression", one_of(value, ("gzip", "deflate", "none")))
