"""Passwords as the directory in an SQLite file keeps them: salted, by scrypt (RFC 7914).

Loaded where a password is set or tried only, since no run needs it and hashing takes its time to load.
"""

import hashlib
import hmac
import os

SHORTEST = 12
"""Characters."""


def stored(password: str) -> str:
    """Return what is kept of a password."""
    salt = os.urandom(16)
    return f"{salt.hex()}${_hashed(password, salt)}"


def matches(password: str, kept: str) -> bool:
    """Say whether this is the password of which `kept` was kept; False where that is empty."""
    salt, _, wanted = kept.partition("$")
    return bool(kept) and hmac.compare_digest(_hashed(password, bytes.fromhex(salt)), wanted)


def _hashed(password: str, salt: bytes) -> str:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1).hex()
