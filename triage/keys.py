"""The installation's one secret and the keys derived from it, one for each purpose.

A key for one purpose says nothing about another's (HKDF-SHA256, RFC 5869), so a leaked model key does not open secrets.
"""

import base64
import os
import secrets
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from triage.environment import EnvironmentInvalid, environment


def derive(purpose: str) -> bytes:
    """32 bytes for one purpose, equal on every process of the installation."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"triage:{purpose}".encode()).derive(_installation())


def encrypt(plain: str) -> str:
    """A Fernet token (AES-128-CBC with HMAC-SHA256) that only this installation can open."""
    return _fernet().encrypt(plain.encode()).decode()


def decrypt(token: str) -> str:
    """The plain text; raises ValueError where the installation's key is not the one that encrypted."""
    try:
        return _fernet().decrypt(token.encode()).decode()
    except InvalidToken:
        raise ValueError(
            "a stored secret does not open with this installation's key; restore the key file or enter the secret again"
        ) from None


@lru_cache(maxsize=1)
def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive("fernet")))


@lru_cache(maxsize=1)
def _installation() -> bytes:
    given = environment().installation_key.get_secret_value()
    text = given or _key_file()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        where = "TRIAGE_INSTALLATION_KEY" if given else str(environment().home / "installation.key")
        raise EnvironmentInvalid(f"{where} must be 64 hex digits: make one with `openssl rand -hex 32`.")
    return key


def _key_file() -> str:
    """The key in TRIAGE_HOME, made on first use; two processes that start together agree on one."""
    home = environment().home
    file = home / "installation.key"
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = home / f".installation.key.{os.getpid()}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(secrets.token_hex(32))
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(draft, file)  # fails where another process was first: then its key is the key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text(encoding="ascii").strip()
