"""Where we may call: never link-local or metadata addresses, our own network only where an administrator said so.

The name is resolved here once for each call and the connection is made to what was looked at, not to the name.
"""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, OpenStack and others
        "169.254.170.2",  # AWS, containers
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # GCP
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure, a public address
        "192.0.0.192",  # Oracle
    )
)
SHARED = ipaddress.ip_network("100.64.0.0/10")
NAT64 = ipaddress.ip_network("64:ff9b::/96")


TICK = ': tick "internal" if that is meant.'


class AddressRefused(Exception):
    """This address is not to be called; the message says why and what may be done."""

    @property
    def why(self) -> str:
        """The message for whoever has nothing to tick."""
        return str(self).removesuffix(TICK)


def check(url: str) -> None:
    """Raise AddressRefused for what is no plain http(s) address of one host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("This is no web address.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or not url.isprintable():
        raise AddressRefused("Give an address such as https://hooks.example.org/triage.")
    if parts.username is not None or parts.password is not None or " " in url:
        raise AddressRefused("Leave name and password out of the address: messages are signed.")


def allowed(url: str, *, internal: bool, networks: Sequence[Network] = ()) -> list[str]:
    """The IP addresses that the URL's host means now; AddressRefused where one of them is not to be called.

    `networks`: ours that may be called anyway. OSError where the name cannot be resolved.
    """
    check(url)
    return meant(url, internal=internal, networks=networks)


def meant(url: str, *, internal: bool, networks: Sequence[Network] = ()) -> list[str]:
    """`allowed` for an address that was checked when it was entered."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise AddressRefused("This is no web address.") from None
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise AddressRefused(f"{parts.hostname} is no name of a host") from None
    numbers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for number in numbers:
        why = trouble(number, internal=internal, networks=networks)
        if why:
            raise AddressRefused(f"{parts.hostname} is {number}, {why}")
    return numbers


def trouble(number: str, *, internal: bool, networks: Sequence[Network] = ()) -> str:
    """Why this IP address is not to be called, as the end of a sentence; empty where it may be."""
    try:
        address = _inner(ipaddress.ip_address(number.partition("%")[0]))
    except ValueError:
        return "which is no address."
    if address in METADATA:
        return "where a cloud keeps its machines' credentials."
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "which is no single host's own address."
    if address.is_loopback or address.is_private or (address.version == 4 and address in SHARED):
        if internal or any(address in network for network in networks):
            return ""
        return f"in our own network{TICK}"
    if address.is_reserved or not address.is_global:
        return "which is reserved."
    return ""


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does: 127.0.0.1 may be written in many ways."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
