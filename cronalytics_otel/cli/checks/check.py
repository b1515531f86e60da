"""The result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..context import file_fault


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It is worth knowing, and nothing is lost by it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    state: State
    detail: str
    fix: str | None = None
    """The advice on what to do; None if all is well."""


def ok(name: str, detail: str) -> Check:
    return Check(name=name, state=State.OK, detail=detail)


def warning(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, state=State.WARNING, detail=detail, fix=fix)


def failed(name: str, detail: str, fix: str) -> Check:
    return Check(name=name, state=State.FAILED, detail=detail, fix=fix)


def unreadable(name: str, error: OSError) -> Check:
    """Return the failed check of a file or folder that this user may not read."""
    fault = file_fault(error)
    return failed(name, str(fault), fault.remedy)
