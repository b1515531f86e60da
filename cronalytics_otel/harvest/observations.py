"""What hooks told, written down for whoever sends the trace."""

from __future__ import annotations

from collections.abc import Sequence

from ..hooks import Note
from ..host import hook_payloads as notes
from ..host.home import Home
from ..journal import Journal


def keep(home: Home, told: Sequence[Note], lost: int) -> None:
    """Takes no lock but the journal's own: another process may be syncing.

    Raises `JournalError` when it cannot be written.
    """
    read = ((note, notes.read(note.hook, note.time_s, note.told)) for note in told)
    details = [(note.root_id, note.session_id, d) for note, d in read if d is not None]
    with Journal.open(home.journal, mend=False) as journal:
        journal.observations.add(details, lost + len(told) - len(details))
