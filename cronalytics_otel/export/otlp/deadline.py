"""HTTP requests that end when their time is over, whatever the server does.

The time-outs of requests and urllib3, `Timeout(total=…)` included, bound each read from the socket
and not the whole request. So a server that sends headers or a body byte by byte holds a request for
ever. `test_headers_that_trickle_for_ever_end_at_the_timeout` hangs without this module: headers are
read where no caller can look at the clock. Here each read and each upload on a connected socket gets
the time that is left of the whole request.

Not bounded here: the DNS lookup, which only the system limits. While a connection is made, each address, the TLS handshake and each message to a proxy get half of the time.
A SOCKS proxy has the libraries' usual time-outs.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from ...clock import SYSTEM_CLOCK
from .trust import system_context

_DEADLINE: ContextVar[float] = ContextVar("deadline")
"""The monotonic time, in seconds, at which the request of this thread must be over."""


@contextmanager
def within_deadline(timeout_s: float) -> Iterator[None]:
    """Bound the requests inside the block that use a `DeadlineAdapter`."""
    token = _DEADLINE.set(SYSTEM_CLOCK.monotonic_s() + timeout_s)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def remaining_s() -> float:
    """Return the seconds that are left, more than 0. Raises TimeoutError when none are."""
    left_s = _DEADLINE.get() - SYSTEM_CLOCK.monotonic_s()
    if left_s <= 0:
        raise TimeoutError
    return left_s


class DeadlineAdapter(HTTPAdapter):
    """An adapter of requests, for use inside `within_deadline()` only."""

    def __init__(self, *, trusts_system: bool = False) -> None:
        """With `trusts_system`, the system's authorities are trusted beside those that requests is given."""
        self._tls: dict[str, Any] = {"ssl_context": system_context()} if trusts_system else {}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **(kwargs | self._tls))
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **(kwargs | self._tls))
        if isinstance(manager, urllib3.ProxyManager):  # a SOCKS proxy has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket; each read gets the time that is left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(remaining_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineSocket:
    """A connected socket as http.client uses it; each operation gets the time that is left."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def makefile(self, *_args: Any, **_kwargs: Any) -> io.BufferedReader:
        """Return a file to read the answer from: http.client asks for no other."""
        return io.BufferedReader(_DeadlineReader(self._sock))

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(remaining_s())
        self._sock.sendall(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        """Read the status and the headers of the answer.

        Interim answers (102, 103) come before it and mean nothing here. http.client itself passes over
        100 alone, and would take the answer for that of the next request.
        """
        super().begin()
        while 102 <= self.status < 200:
            # Without headers, `begin` reads the next answer.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        self.timeout = remaining_s() / 2  # an address that never answers leaves time for the next
        super().connect()
        self.sock = cast("socket.socket", _DeadlineSocket(self.sock))


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final = {"http": _Pool, "https": _TlsPool}
