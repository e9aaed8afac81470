"""Every call to an ITSM or knowledge base: the name is looked up once, looked at, and the call goes to that number.

A name that meant a public host when it was entered may mean a machine of our own network at the next call. Hosts that
a customer's administrator entered (`Source.public_hosts`) are called at public addresses and in the networks of
TRIAGE_ITSM_NETWORKS only, all others wherever the provider's administrators wanted; cloud metadata and link-local
addresses never.
"""

import ipaddress
import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from triage.environment import environment
from triage.itsm import addresses, outgoing
from triage.itsm.outgoing import Answer, ExchangeFailed

MOST_NUMBERS = 3
"""Addresses of one name that a call tries; the next one only where nothing could be sent to the one before."""


def called(
    method: str,
    url: str,
    *,
    public_hosts: Sequence[str],
    body: bytes | None = None,
    headers: Mapping[str, str],
    most: int = outgoing.ANSWER_BYTES,
) -> Answer:
    """The answer of the URL's host, at one of the addresses that it may be called at; raises ExchangeFailed."""
    numbers = _numbers(url, internal=host_of(url) not in public_hosts)[:MOST_NUMBERS]
    for number in numbers[:-1]:
        try:
            return outgoing.answered(method, url, body=body, headers=headers, address=number, most=most)
        except ExchangeFailed as error:
            if not error.unreached:
                raise
    return outgoing.answered(method, url, body=body, headers=headers, address=numbers[-1], most=most)


def host_of(url: str) -> str:
    """The URL's host in lower case; empty for what is no address."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def vouched(public_hosts: Sequence[str], *, settings: Mapping[str, object], secret: str) -> list[str]:
    """The hosts left to a customer's administrator after a provider's wrote these settings and credentials."""
    written = {host_of(url) for url in [*urls_of(settings), *token_urls(secret)]}
    return [host for host in public_hosts if host not in written]


def urls_of(settings: Mapping[str, object]) -> list[str]:
    """The addresses in a source's settings."""
    return [str(value) for name, value in settings.items() if name.endswith("_url")]


def led_astray(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Whether credentials that were entered for these settings would go to a host that they were not entered for.

    A host is scheme, name and port. `article_url` only names articles; nothing is sent there.
    """
    return bool(_origins(after) - _origins(before))


def _origins(settings: Mapping[str, object]) -> set[tuple[str, str, int | str | None]]:
    return {
        _origin(str(value))
        for name, value in settings.items()
        if name.endswith("_url") and name != "article_url" and value
    }


def _origin(url: str) -> tuple[str, str, int | str | None]:
    try:
        told = urlsplit(url.strip())
        return told.scheme, told.hostname or "", told.port or {"https": 443, "http": 80}.get(told.scheme)
    except ValueError:
        return "", "", url  # no address: it is the same as nothing but itself


def token_urls(secret: str) -> list[str]:
    """The address in stored credentials, where they are an OAuth client's."""
    try:
        told = json.loads(secret or "{}")
    except ValueError:
        return []
    url = told.get("token_url") if isinstance(told, dict) else None
    return [str(url)] if url else []


def networks() -> tuple[addresses.Network, ...]:
    """Private networks in which ITSMs may be that customers' administrators enter: TRIAGE_ITSM_NETWORKS."""
    listed = environment().itsm_networks.split(",")
    return tuple(ipaddress.ip_network(one.strip()) for one in listed if one.strip())


def _numbers(url: str, *, internal: bool) -> list[str]:
    host = outgoing.host(url)
    try:
        return addresses.meant(url, internal=internal, networks=networks())
    except addresses.AddressRefused as error:
        raise ExchangeFailed(f"it is not called: {error.why}", permanent=False) from None
    except OSError as error:
        raise ExchangeFailed(
            f"{host} does not answer: its name cannot be resolved: {error}", permanent=False
        ) from error
