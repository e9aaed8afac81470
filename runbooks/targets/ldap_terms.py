"""What is said to an LDAP server besides plain requests: filters that no value can bend, names, controls.

The only file that imports ldap3.
"""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

with warnings.catch_warnings():
    # ldap3 2.9.1 asks pyasn1 for names that have newer ones since.
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core import exceptions
    from ldap3.operation.search import compile_filter, parse_filter
    from ldap3.protocol.controls import build_control
    from ldap3.protocol.rfc3062 import PasswdModifyRequestValue
    from ldap3.protocol.sasl.sasl import validate_simple_password
    from ldap3.utils.conv import escape_bytes
    from ldap3.utils.dn import parse_dn
    from pyasn1.codec.ber.encoder import encode
    from pyasn1.error import PyAsn1Error as Asn1Error
    from pyasn1.type import namedtype, univ

__all__ = [
    "ASSERTION",
    "Asn1Error",
    "any_of",
    "asserting",
    "check_filter",
    "escaped",
    "exceptions",
    "ldap3",
    "lies_under",
    "parts",
    "password_request",
    "prepared",
    "printable",
    "tracking",
]

TOGETHER = 100
ASSERTION = "1.3.6.1.1.12"
SESSION_TRACKING = "1.3.6.1.4.1.21008.108.63.1"


def escaped(value: str) -> str:
    """Return any text as it may stand in a filter: every byte of it escaped (RFC 4515), so none can mean anything."""
    return str(escape_bytes(value.encode("utf-8", "replace")) or "")


def any_of(attribute: str, values: Iterable[str]) -> str:
    """Return a filter that matches any of these values."""
    return f"(|{''.join(f'({attribute}={escaped(value)})' for value in values)})"


def parts(values: Sequence[str]) -> list[Sequence[str]]:
    """Return the values in pieces that one filter may hold."""
    return [values[start : start + TOGETHER] for start in range(0, len(values), TOGETHER)]


def check_filter(matching: str) -> None:
    """Raise ValueError unless this is one LDAP filter."""
    try:
        _compiled(matching)
    except (exceptions.LDAPException, Asn1Error, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"not an LDAP filter such as (objectClass=person): {printable(str(error))}") from None


def lies_under(dn: str, base: str) -> bool:
    """Say whether a DN is the base or lies below it; False also for what is no DN."""
    try:
        inner, outer = ([(a.casefold(), v.casefold().strip()) for a, v, _ in parse_dn(name)] for name in (dn, base))
    except (exceptions.LDAPException, LookupError):
        return False
    return bool(outer) and inner[-len(outer) :] == outer


def asserting(matching: str) -> Any:
    """Return the control that lets a change happen only while its entry matches (RFC 4528)."""
    return build_control(ASSERTION, True, encode(_compiled(matching)), encode_control_value=False)


def tracking(run_id: str) -> Any:
    """Return the control that names the run to the server (draft-wahl-ldap-session); others pass over it."""
    texts = {"ip": "", "name": "triage", "format": f"{SESSION_TRACKING}.3", "identifier": run_id}
    kinds = namedtype.NamedTypes(*(namedtype.NamedType(name, univ.OctetString()) for name in texts))
    value = univ.Sequence(componentType=kinds)
    for name, text in texts.items():
        value[name] = text.encode()
    return build_control(SESSION_TRACKING, False, encode(value), encode_control_value=False)


def password_request(dn: str, password: bytes) -> Any:
    """Return the value of a request to set a password (RFC 3062)."""
    value = PasswdModifyRequestValue()
    value["userIdentity"] = dn
    value["newPasswd"] = password
    return value


def prepared(password: str) -> bytes:
    """Return the password's bytes as a client sends them to sign in (RFC 4513, 5.1.1); none where it can't be one."""
    try:
        return bytes(validate_simple_password(password))
    except (exceptions.LDAPException, UnicodeError):
        return b""


def printable(text: object) -> str:
    """Return what a server or library said as it may stand in a message."""
    return "".join(c if c.isprintable() else "?" for c in str(text or "")[:300])


def _compiled(matching: str) -> Any:
    root = parse_filter(matching, None, False, True, None, False)
    return compile_filter(root.elements[0])
