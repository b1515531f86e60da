"""What the spans of a run say about the program that recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

AttributeValue: TypeAlias = str | bool | int | float | tuple[str, ...]
"""What a span or resource attribute may hold (OTLP's scalar types, and lists of strings)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """The resource that a run became final with: a copy that is sent later has the same one."""

    attributes: tuple[tuple[str, AttributeValue], ...] = ()
    """Names and values, in the order of the names."""
    scope_version: str = ""
    """The version of the plugin: that of the instrumentation scope."""
