"""The destinations of traces, from config.yaml or from the OTEL_EXPORTER_OTLP_* variables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

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

OtlpProtocol: TypeAlias = Literal["http/protobuf", "grpc"]
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
_TRACES_PATH: Final = "/v1/traces"
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
)
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
KEY_IN_PATH: Final = re.compile(r"(?<=/)(?=[^/\d]*\d)[^/]{24,}")
_NOT_IN_URLS: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_IS_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""A text that begins otherwise may be anything, even a header with its key."""
_GRPC_TARGET: Final = re.compile(
    r"https?://.+|(?:dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):.+"
    r"|(?:[\w.-]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):\d+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A place that traces are sent to, with all that it takes to reach it.

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

    @property
    def safe_endpoint(self) -> str:
        """The endpoint for logs and screens: without user information, query values, and what may be a
        key in its path."""
        return safe_url(self.endpoint)


def safe_url(url: str) -> str:
    """Return `url` without user information, and with `***` for each value of its query and for each
    part of its path that is long and has digits, as keys do."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if not parts.netloc:  # a bare gRPC target, such as host:4317
        return url.partition("?")[0].rpartition("@")[2]
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    query = urlencode([(name, "***") for name in names], safe="*")
    path = KEY_IN_PATH.sub("***", parts.path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))


def read_destinations(
    configured: Raw, env: Mapping[str, str], problems: list[str]
) -> tuple[Destination, ...]:
    """Return the destinations of config.yaml, or, without any there, the one of the OTEL_* variables.

    No OTEL_EXPORTER_OTLP_* variable applies to a configured destination, so that the secrets of one
    backend are not sent to another. A destination that cannot be used as it was meant is left out.
    """
    if configured.found is None:
        default = _default_destination(env, problems)
        return (default,) if default else ()
    found = []
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
        destination = _destination(name, fields, _configured_endpoint, problems)
        if destination:
            found.append(destination)
    return tuple(found)


def _default_destination(env: Mapping[str, str], problems: list[str]) -> Destination | None:
    exporters = [name.strip() for name in env.get("OTEL_TRACES_EXPORTER", "otlp").split(",")]
    named = next((name for name in exporters if name in _EXPORTERS), None)
    if named is None:
        if exporters != ["none"]:
            problems.append(
                f"OTEL_TRACES_EXPORTER: only {', '.join(_EXPORTERS)} and none are known;"
                " none is used"
            )
        return None

    def fields(key: str) -> Raw:
        if key == "protocol" and _EXPORTERS[named] is not None:
            return Raw("OTEL_TRACES_EXPORTER", _EXPORTERS[named])
        own = f"OTEL_EXPORTER_OTLP_TRACES_{key.upper()}"
        name = own if own in env else f"OTEL_EXPORTER_OTLP_{key.upper()}"
        return Raw(name, env.get(name))

    return _destination("default", fields, _standard_endpoint, problems)


def _destination(
    name: str,
    fields: FieldReader,
    endpoint_of: Callable[[Raw, OtlpProtocol, list[str]], str],
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


def _standard_endpoint(raw: Raw, protocol: OtlpProtocol, problems: list[str]) -> str:
    """Return the endpoint of the OTEL_* variables: a signal's own URL as it is, the base URL with the
    path appended."""
    url = str(raw.get() or _DEFAULT_ENDPOINT[protocol]).strip()
    if "_TRACES_" in raw.where and raw.found is not None:
        return _checked(url, protocol)
    endpoint = _with_traces_path(url, protocol)
    if endpoint.endswith(_TRACES_PATH * 2):
        problems.append(
            f"{raw.where}: it ends in {_TRACES_PATH}, and the standard says to append that once"
            " more, so it is; put a full URL into OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
        )
    return endpoint


def _configured_endpoint(raw: Raw, protocol: OtlpProtocol, _problems: list[str]) -> str:
    """Return the endpoint of config.yaml, which is a base URL, or a URL that has the path already."""
    value = raw.get()
    if not isinstance(value, str):
        raise InvalidError(f"expected a URL, not {kind(value)}")
    url = value.strip()
    path = _split(url).path.removesuffix("/")
    if not path.endswith(_TRACES_PATH):
        return _with_traces_path(url, protocol)
    return _checked(urlunsplit(_split(url)._replace(path=path)), protocol)


def _with_traces_path(url: str, protocol: OtlpProtocol) -> str:
    checked = _checked(url, protocol)
    if protocol == "grpc":
        return checked
    parts = urlsplit(checked)
    return urlunsplit(parts._replace(path=parts.path.removesuffix("/") + _TRACES_PATH))


def _checked(url: str, protocol: OtlpProtocol) -> str:
    """Return `url` if a request can be sent there; raises InvalidError if not."""
    parts = _split(url)
    if protocol == "grpc":
        if "@" in url:
            raise InvalidError("gRPC does not send user information of a URL (use headers)")
        if not _GRPC_TARGET.fullmatch(url):  # not shown: a key may stand in its place
            raise InvalidError("it is neither http://…, https://… nor HOST:PORT")
        return url
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        what = safe_url(url) if _IS_URL.match(url) else "it"
        raise InvalidError(f"{what} does not begin with http:// or https:// and a host")
    return urlunsplit(parts._replace(fragment=""))


def _split(url: str) -> SplitResult:
    if _NOT_IN_URLS.search(url):
        raise InvalidError("a URL has no blanks and no control characters")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        if "://" not in url:  # a bare gRPC target
            return SplitResult("", "", url, "", "")
        raise InvalidError("not a URL (its host or port)") from None
    return parts


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
