"""A thread for each destination: none waits for another, and the next sync waits for none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from .exporter import Delivery

LOOK_S = 0.1
"""Between two looks, while couriers are waited for, at whether there is something better to do."""

Errand: TypeAlias = Callable[[Callable[[], bool]], Delivery]
"""Brings a destination what it lacks; asks, between requests, whether to stop there."""


@dataclass(slots=True)
class _UnderWay:
    next: Errand | None
    """To be begun as soon as the one at hand has stopped: it knows more than that."""
    dismissed: bool = False

    def to_stop(self) -> bool:
        return self.next is not None or self.dismissed


class DestinationThreads:
    """Those of one process, kept between its syncs. What they brought is collected by the sync that
    sent them, or by a later one.

    The threads are daemons: none of them holds the process. Not for use across a fork.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: dict[str, _UnderWay] = {}
        self._ended: list[tuple[str, Delivery | BaseException]] = []

    def send(self, name: str, errand: Errand) -> None:
        """One that is under way goes on with this errand after the request at hand."""
        with self._changed:
            known = self._under_way.get(name)
            if known is not None:
                known.next = errand
                return
            courier = self._under_way[name] = _UnderWay(errand)
        thread = threading.Thread(
            target=self._walk, args=(name, courier), name=f"cronalytics-otel {name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # some versions of Python start none while the interpreter leaves
            self._walk(name, courier)

    def is_under_way(self, name: str) -> bool:
        with self._changed:
            return name in self._under_way

    def dismiss_all_but(self, names: Collection[str]) -> None:
        """The others end after the request at hand: they are not in the settings any more."""
        with self._changed:
            for name, courier in self._under_way.items():
                courier.dismissed = name not in names

    def wait(self, names: Collection[str], enough: Callable[[], bool]) -> None:
        """Until these are back, or it is enough."""
        with self._changed:
            while not self._under_way.keys().isdisjoint(names) and not enough():
                self._changed.wait(LOOK_S)

    @property
    def have_news(self) -> bool:
        """Whether there is something to collect."""
        return bool(self._ended)

    def collect(self) -> dict[str, Delivery]:
        """What came of the errands that have ended since the last time, by destination.

        Raises what one of them raised.
        """
        with self._changed:
            ended, self._ended = self._ended, []
        deliveries: dict[str, Delivery] = {}
        for name, end in ended:
            if isinstance(end, BaseException):
                raise end
            deliveries[name] = deliveries[name].then(end) if name in deliveries else end
        return deliveries

    def _walk(self, name: str, courier: _UnderWay) -> None:
        while True:
            with self._changed:
                errand, courier.next = courier.next, None
                if errand is None or courier.dismissed:
                    del self._under_way[name]
                    self._changed.notify_all()
                    return
            end: Delivery | BaseException
            try:
                end = errand(courier.to_stop)
            except BaseException as error:  # noqa: BLE001 - raised where it is collected
                end = error
            with self._changed:
                self._ended.append((name, end))
