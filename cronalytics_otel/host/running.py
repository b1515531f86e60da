"""The runs that are going on now, as the ledger has them: also those whose process is gone."""

from __future__ import annotations

from ..model import RunningRun
from . import ledger
from .home import Home
from .processes import process_is_gone
from .sqlite import reading


def read_running(home: Home) -> tuple[RunningRun, ...]:
    """Return the open rows of the ledger, the oldest claim first; none where there is no ledger.

    A row may be open although its run is final in the journal: Hermes itself closes the row of a process
    that has died only when a gateway starts. Raises `HostDataError` when the ledger cannot be read.
    """
    if not home.ledger.exists():
        return ()
    with reading(home.ledger) as connection:
        executions = ledger.read_open(connection, home.ledger)
    return tuple(
        RunningRun(
            execution=execution,
            process_is_gone=process_is_gone(
                execution.pid, execution.process_started_at, execution.claimed_ns
            ),
        )
        for execution in executions
    )
