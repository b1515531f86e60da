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
_MACHINES_KEPT: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The id that a home had on one machine."""

    machine: str | None
    """A hash of the machine's id. It is never sent. None where the machine has no id of its own."""
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What instance.json holds."""

    id: str
    """`service.instance.id`: a random UUID."""
    machine: str | None
    """See `Machine.machine`."""
    moved_ns: int | None = None
    """When the home was last found on a machine that it had not been on; None when it never was."""
    earlier: tuple[Machine, ...] = ()
    """The other machines that the home was found on, the newest last: one that comes back, or that
    shares the home, gets its own id again."""


def machine_hash(files: Sequence[Path] = _MACHINE_ID_FILES) -> str | None:
    """Return a hash that tells this machine from others: of its machine-id. None when it has none, as in
    many containers: a host name may change, and proves nothing."""
    for file in files:
        with contextlib.suppress(OSError):
            content = file.read_text(encoding="ascii", errors="replace").strip()
            if content and content != "uninitialized":
                return hashlib.sha256(_SALT + content.encode()).hexdigest()[:32]
    return None


def is_elsewhere(instance: Instance, machine: str | None) -> bool:
    """Return whether the home is proved to be on another machine than when it was last synced."""
    return None not in (instance.machine, machine) and instance.machine != machine


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
    return instance if instance.id else None


def instance_of(folder: Path, *, now_ns: int, machine: str | None = None) -> Instance:
    """Return the instance of the home whose plugin folder this is; call it under the lock of the sync.

    A home that has none gets one. One that is found on a machine that it was not on before gets a new
    one; on a machine that it was on, the one of then.

    Raises `JournalError` when the file cannot be read or written.
    """
    machine = machine_hash() if machine is None else machine
    known = read_instance(folder)
    if known is not None and not is_elsewhere(known, machine):
        return known
    instance = Instance(id=str(uuid4()), machine=machine)
    if known is not None:
        instance = _on_another_machine(known, machine, now_ns)
    try:
        _write(folder, instance)
    except OSError as error:
        raise translated(error) from error
    return instance


def _on_another_machine(known: Instance, machine: str | None, now_ns: int) -> Instance:
    others = [*known.earlier, Machine(machine=known.machine, id=known.id)]
    back = next((other for other in others if other.machine == machine), None)
    earlier = tuple(other for other in others if other is not back)[-_MACHINES_KEPT:]
    if back is not None:
        return Instance(id=back.id, machine=machine, moved_ns=known.moved_ns, earlier=earlier)
    log.warning(
        "cronalytics-otel: this home was moved or cloned from another machine;"
        " its runs have a new service.instance.id"
    )
    return Instance(id=str(uuid4()), machine=machine, moved_ns=now_ns, earlier=earlier)


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
