"""The open connections to destinations, kept between the syncs of one process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from ..config import Destination


class Closable(Protocol):
    def close(self) -> None: ...


S = TypeVar("S", bound=Closable)


class KeptSenders(Generic[S]):
    """One sender for each destination, by its name."""

    def __init__(self, open_sender: Callable[[Destination], S]) -> None:
        self._open = open_sender
        self._senders: dict[str, tuple[Destination, S]] = {}

    def get(self, destination: Destination) -> S:
        """Return the destination's sender: a new one when its settings have changed.

        Raises what opening it raises.
        """
        known = self._senders.pop(destination.name, None)
        if known is not None and known[0] != destination:
            known[1].close()
            known = None
        if known is None:
            known = (destination, self._open(destination))
        self._senders[destination.name] = known
        return known[1]

    def close(self, is_busy: Callable[[str], bool]) -> None:
        """Close all but those of busy destinations, which end with the process."""
        for name, (_, sender) in list(self._senders.items()):
            if not is_busy(name):
                sender.close()
                del self._senders[name]
