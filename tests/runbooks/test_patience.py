"""A peer that drips its answer, byte by byte and each in good time, is cut off when the whole has taken too long."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
import urllib3

from runbooks.patience import Patience, TooLong, TooMuch

SECONDS = 0.5


class Dripping:
    """Sends a beginning at once, and then a byte again and again until nobody listens."""

    def __init__(self, begins: bytes, goes_on: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(begins, goes_on))
        self._thread.start()

    def _serve(self, begins: bytes, goes_on: bytes) -> None:
        peer, _ = self._listening.accept()
        give_up = time.monotonic() + 10
        with peer:
            try:
                peer.sendall(begins)
                while time.monotonic() < give_up:
                    peer.sendall(goes_on)
                    time.sleep(0.02)
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()
        self._thread.join()


@pytest.fixture(
    params=[
        ("http", b"HTTP/1.1 200 OK\r\nx-slow: ", b"a"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"a"),
        ("https", b"\x16\x03\x03\x40\x00\x02", b"a"),  # the first bytes of a handshake that never ends
    ],
    ids=["headers", "body", "body of a length", "handshake"],
)
def dripping(request: pytest.FixtureRequest) -> Iterator[str]:
    scheme, begins, goes_on = request.param
    peer = Dripping(begins, goes_on)
    yield f"{scheme}://127.0.0.1:{peer.port}/"
    peer.close()


def test_whatever_drips_is_cut_off(dripping: str) -> None:
    began = time.monotonic()
    pools = urllib3.PoolManager(retries=False, timeout=5, ssl_context=ssl.create_default_context())
    with pytest.raises(TooLong), Patience(SECONDS) as patience, patience.watch(pools) as pool:
        patience.read(pool.request("GET", dripping, preload_content=False), most=1000_000)
    assert SECONDS - 0.1 < time.monotonic() - began < SECONDS + 3


def test_an_answer_in_time_is_given_and_one_too_large_is_not() -> None:
    for size, most in ((10, 10), (11, 10)):
        peer = Dripping(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode() + b"x" * size, b"y")
        with Patience(5) as patience, patience.watch(urllib3.PoolManager(retries=False)) as pool:
            answer = pool.request("GET", f"http://127.0.0.1:{peer.port}/", preload_content=False)
            if size > most:
                with pytest.raises(TooMuch):
                    patience.read(answer, most=most)
            else:
                assert patience.read(answer, most=most) == b"x" * size
            answer.close()
        peer.close()
