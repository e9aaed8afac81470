"""A second address of a server, over which a test tampers with the bytes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

Change = Callable[[bytes], bytes | None]


@contextmanager
def wire(endpoint: str, *, request: Change = bytes, response: Change = bytes) -> Iterator[str]:
    """A second address of the server whose bytes pass through `request` and `response`; None cuts the connection."""
    host, port = endpoint.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, target: socket.socket, change: Change) -> None:
        with closing(source), closing(target):
            with suppress(OSError):  # the other direction may have closed both
                while data := source.recv(65536):
                    changed = change(data)
                    if changed is None:
                        break
                    target.sendall(changed)
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection((host, int(port)))
            threading.Thread(target=carry, args=(near, far, request), daemon=True).start()
            threading.Thread(target=carry, args=(far, near, response), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
