"""HTTP requests that end when their time is over, whatever the server does.

A time-out of requests or urllib3 bounds one operation on the socket: one address tried, one
message written, one piece read. A server that trickles a byte a second holds a request for ever.
Here each of those operations gets what is left of the whole. Only looking up the host's name
has no bound but the system's own, and a SOCKS proxy has requests' usual time-outs.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

_DEADLINE: ContextVar[float] = ContextVar("deadline")
"""`time.monotonic()` when the request of this thread must be over."""


@contextmanager
def deadline(timeout_s: float) -> Iterator[None]:
    """What runs inside and uses DeadlineAdapter is over after `timeout_s`."""
    token = _DEADLINE.set(time.monotonic() + timeout_s)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def remaining_s() -> float:
    """What is left, more than 0; raises TimeoutError when nothing is."""
    left_s = _DEADLINE.get() - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


class DeadlineAdapter(HTTPAdapter):
    """requests' adapter, for use inside of `deadline()` only."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, urllib3.ProxyManager):  # a SOCKS proxy has connections of its own
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Reader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(remaining_s())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock))

    def _read_status(self) -> tuple[str, int, str]:
        """Of the answer. What comes before it on the way (102, 103) says nothing; http.client itself
        passes over 100 alone."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 102 <= status < 200:
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Addresses that are left share the time that is left: the first may be a black hole."""
        addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        for tried, (*_, address) in enumerate(addresses):
            left = len(addresses) - tried
            try:
                sock = create_connection(
                    (str(address[0]), self.port),
                    remaining_s() / left,
                    socket_options=self.socket_options,
                )
            except OSError:
                if left == 1:
                    raise
            else:
                sock.settimeout(remaining_s())  # not its share: for the TLS handshake
                return sock
        raise OSError("the host name has no address")

    def send(self, data: Any) -> None:
        """Python's sockets, TLS too, take their time-out for all of what is sent at once."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(remaining_s())
        super().send(data)


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final = {"http": _Pool, "https": _TlsPool}
