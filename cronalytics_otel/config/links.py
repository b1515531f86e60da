"""Where the trace explorers are, from `links` in config.yaml.

A trace explorer is a web page on which people look at traces: Jaeger, Grafana (with Tempo), Honeycomb or Datadog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from .endpoints import checked
from .values import (
    FieldReader,
    InvalidError,
    Raw,
    fields_of,
    mapping,
    or_default,
    report_unknown_keys,
    shown,
)


class ExplorerName(StrEnum):
    JAEGER = "jaeger"
    GRAFANA = "grafana"
    HONEYCOMB = "honeycomb"
    DATADOG = "datadog"


DEFAULT_TEMPO_DATASOURCE: Final = "cronalytics-tempo"
"""The uid of the data source that `collector/` sets up in Grafana."""

_TEMPO_DATASOURCE: Final = "tempo_datasource"
_KEYS: Final = (*ExplorerName, _TEMPO_DATASOURCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerAddress:
    """Where one trace explorer is."""

    explorer: ExplorerName
    url: str
    """The address of its page, without a slash at the end."""
    tempo_datasource: str = DEFAULT_TEMPO_DATASOURCE
    """The uid of Tempo in Grafana; the other explorers have no use for it."""


LOCAL_ADDRESSES: Final = (
    ExplorerAddress(explorer=ExplorerName.JAEGER, url="http://localhost:16686"),
    ExplorerAddress(explorer=ExplorerName.GRAFANA, url="http://localhost:3000"),
)
"""Where Jaeger and Grafana are on this machine unless somebody moved them."""


def read_links(
    configured: Raw, env: Mapping[str, str], problems: list[str]
) -> tuple[ExplorerAddress, ...] | None:
    """Return the addresses that can be used, in the order of `ExplorerName`; None if the setting is missing or empty.

    Any other address is reported and left out.
    """
    if configured.found in (None, {}):
        return None
    section = mapping(configured, problems)
    report_unknown_keys(section, _KEYS, configured.where, problems)
    fields = fields_of(section, configured.where, env)
    datasource: str = or_default(
        fields(_TEMPO_DATASOURCE), _text, DEFAULT_TEMPO_DATASOURCE, problems
    )
    found = []
    for explorer in ExplorerName:
        url = _url(explorer, fields, problems)
        if url is not None:
            found.append(ExplorerAddress(explorer=explorer, url=url, tempo_datasource=datasource))
    return tuple(found)


def _url(explorer: ExplorerName, fields: FieldReader, problems: list[str]) -> str | None:
    raw = fields(explorer)
    if raw.found is None:
        return None
    try:
        return _page(explorer, _text(raw.get()))
    except InvalidError as error:
        problems.append(f"{raw.where}: {error}; there are no links to it")
        return None


def _page(explorer: ExplorerName, text: str) -> str:
    """Return the address of a page. Raises `InvalidError` for one that no path can be added to, or that has a secret."""
    url = checked(text, "http/protobuf")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise InvalidError("a link is shown to people: it must have no user and no password")
    if "?" in text or "#" in text:
        raise InvalidError("give the address of the page without ? and #")
    path = parts.path.strip("/")
    if explorer is ExplorerName.HONEYCOMB and not path:
        raise InvalidError("the team is missing (https://ui.honeycomb.io/TEAM/environments/ENV)")
    return url.rstrip("/")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidError(f"{shown(value)} is not a text")
    return value.strip()
