"""How long and how much of one HTTP exchange is borne: the whole of it, not each read.

A time-out of a socket holds for each read, so a peer that drips a byte now and then, in its headers or while TLS is
agreed on, is never cut off by it.
"""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

PIECE = 64 * 1024


class TooMuch(Exception):
    """The answer has more bytes than may be."""


class TooLong(Exception):
    """The answer was not complete in time."""


class Patience:
    """A `with` whose connections are shut when it ends, or when the seconds are over, which is TooLong."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._timer.cancel()
        self._shut()  # pools close a kept connection only when nobody refers to them any more
        for one in self._sockets:
            one.close()
        # A connection that is shut shows as whatever was being read at that moment: half a header, half a piece.
        if self.over and isinstance(error, urllib3.exceptions.HTTPError) and self._sockets:
            raise TooLong from error

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._until

    def watch(self, pools: urllib3.PoolManager) -> urllib3.PoolManager:
        """Have these pools' connections end with the time."""
        kept = self._keep
        pools.pool_classes_by_scheme = {
            "http": _pool(urllib3.HTTPConnectionPool, _connection(HTTPConnection, kept)),
            "https": _pool(urllib3.HTTPSConnectionPool, _connection(HTTPSConnection, kept)),
        }
        return pools

    def read(self, answer: urllib3.BaseHTTPResponse, *, most: int) -> bytes:
        """The body, at most so many bytes; TooMuch or TooLong."""
        pieces: list[bytes] = []
        size = 0
        # read1 gives what is there: read and stream wait until their piece is full, however slowly it drips in
        while piece := answer.read1(PIECE, decode_content=False):
            size += len(piece)
            pieces.append(piece)
            if size > most:
                raise TooMuch
            if self.over:
                break
        if self.over:  # an answer without a length ends as well where its connection is shut
            raise TooLong
        return b"".join(pieces)

    def _keep(self, connected: socket.socket) -> None:
        # A copy of the descriptor: TLS takes the socket itself over.
        self._sockets.append(socket.socket(fileno=os.dup(connected.fileno())))
        if self.over:
            self._shut()

    def _shut(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _connection(base: type[Any], keep: Callable[[socket.socket], None]) -> type[Any]:
    def connected(self: Any) -> socket.socket:
        made: socket.socket = base._new_conn(self)  # noqa: SLF001 - the one place before TLS takes the socket over
        keep(made)
        return made

    return type(base.__name__, (base,), {"_new_conn": connected})


def _pool(base: type[Any], connection: type[Any]) -> type[Any]:
    return type(base.__name__, (base,), {"ConnectionCls": connection})
