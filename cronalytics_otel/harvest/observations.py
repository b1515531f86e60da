"""Observations on their way from memory into the journal, where whoever sends the trace finds them."""

from __future__ import annotations

from collections.abc import Sequence

from ..hooks import RawObservation
from ..host import hook_payloads
from ..host.home import Home
from ..journal import Journal


def write_observations(home: Home, observations: Sequence[RawObservation], lost: int) -> None:
    """Write observations into the journal, and add `lost` to its count of lost ones.

    Takes only the journal's own lock, because another process may be syncing. Raises `JournalError`
    when the journal cannot be written.
    """
    read = [(raw, hook_payloads.read(raw.hook, raw.at_ns, raw.arguments)) for raw in observations]
    rows = [
        (raw.run_session_id, raw.session_id, record) for raw, record in read if record is not None
    ]
    with Journal.open(home.journal, replace_damaged=False) as journal:
        journal.observations.add(rows, lost + len(observations) - len(rows))
