"""The instance: the id of this home on this machine, in a file of its own beside the journal.

The id is random. It outlives the journal, which may be repaired, deleted and filled anew. When the file
comes from another machine, the home was moved or cloned. Nothing tells which, so the home gets a new
id: two machines never share one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import Final
from uuid import uuid4

from . import documents
from .database import translated

log = logging.getLogger(__name__)

FILE_NAME: Final = "instance.json"

_MACHINE_ID_FILES: Final = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_SALT: Final = b"cronalytics-otel\0"
"""The machine's own id is confidential (machine-id(5)): only a hash with a salt is written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What instance.json holds."""

    id: str
    """`service.instance.id`: a random UUID."""
    machine: str
    """A hash of the machine's id. It is never sent."""
    moved_ns: int | None = None
    """When the home was last found on another machine than before; None when it never was."""


def machine_hash(files: Sequence[Path] = _MACHINE_ID_FILES) -> str:
    """Return a hash that tells this machine from others: of its machine-id, else of its host name."""
    name = socket.gethostname()
    for file in files:
        with contextlib.suppress(OSError):
            content = file.read_text(encoding="ascii", errors="replace").strip()
            if content and content != "uninitialized":
                name = content
                break
    return hashlib.sha256(_SALT + name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def read_instance(folder: Path) -> Instance | None:
    """Return the instance of the home whose plugin folder this is; None when there is none yet, or
    its file holds something else.

    Raises `JournalError` when the file is there and cannot be read.
    """
    try:
        text = (folder / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translated(error) from error
    except UnicodeDecodeError:
        return None
    try:
        instance = documents.from_json(Instance, text)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return instance if instance.id and instance.machine else None


def instance_of(folder: Path, *, now_ns: int, machine: str | None = None) -> Instance:
    """Return the instance of the home whose plugin folder this is. A home that has none, or that comes
    from another machine, gets a new one; call it under the lock of the sync.

    Raises `JournalError` when the file cannot be read or written.
    """
    machine = machine_hash() if machine is None else machine
    known = read_instance(folder)
    if known is not None and known.machine == machine:
        return known
    instance = Instance(
        id=str(uuid4()), machine=machine, moved_ns=None if known is None else now_ns
    )
    try:
        _write(folder, instance)
    except OSError as error:
        raise translated(error) from error
    if known is not None:
        log.warning(
            "cronalytics-otel: this home was moved or cloned from another machine;"
            " its runs have a new service.instance.id"
        )
    return instance


def _write(folder: Path, instance: Instance) -> None:
    """Replace the file as a whole: a kill leaves the old one or the new one."""
    text = json.dumps(documents.to_values(instance), indent=2) + "\n"
    descriptor, name = mkstemp(prefix=FILE_NAME, dir=folder)  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(folder / FILE_NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
