"""Signatures as `sha256=<hex>` of HMAC-SHA256 over the raw body, as Jira and GitHub send them.

The form is that of WebSub (section 8) with SHA-256. No time is signed, so whoever verifies also has to remember.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from triage.itsm.base import SignatureInvalid

_FORM = re.compile(r"sha256=[0-9a-f]{64}")


def signature(secret: str, body: bytes) -> str:
    """The header's value for these bytes."""
    return f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"


def check(*, secrets: Sequence[str], headers: Mapping[str, str], name: str, body: bytes) -> None:
    """Raise SignatureInvalid unless the header `name` (lower case) signs these bytes with one of the secrets.

    Only the one spelling that senders use is taken, lower-case hex: each signature can be written in one way only.
    """
    told = headers.get(name, "")
    if not told:
        raise SignatureInvalid(f"the header {name} is missing; set the secret of this source in the sender's webhook")
    if not _FORM.fullmatch(told):
        raise SignatureInvalid(f"{name} must be sha256= and 64 hexadecimal digits in lower case")
    if not secrets:
        raise SignatureInvalid("no secret is set for this source; set the one that the sender's webhook has")
    # each is compared, so that the time tells nothing of which one it was
    matches = [hmac.compare_digest(signature(secret, body), told) for secret in secrets]
    if not any(matches):
        raise SignatureInvalid("the signature is not of these bytes; compare the secret with the sender's")
