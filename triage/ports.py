"""Free ports on loopback, for servers that this machine starts for itself."""

import contextlib
import itertools
import os
import socket

PORTS = range(12_000, 32_000)
_looked_at = itertools.count()


class NoPorts(Exception):
    """Too few ports are free; the message says which were looked at."""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on, each told only once by a process.

    They lie below those that Linux gives out by itself, and each process begins at a place of its own: of two that
    start servers at one moment, neither takes what the other has found and not opened yet.
    """
    found: list[int] = []
    for _ in PORTS:
        if len(found) == count:
            return found
        port = PORTS[(os.getpid() * 7919 + next(_looked_at)) % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    raise NoPorts(f"fewer than {count} ports from {PORTS[0]} to {PORTS[-1]} are free. End what listens there.")
