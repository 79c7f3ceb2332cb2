"""Which URLs may be requested, and which addresses may be connected to.

Pages are hostile. An image URL may point at this machine, its network or a cloud's metadata
service: by name, by number, by redirect, or by a name that changes between check and use. So the
HTTP client resolves names here only, and every socket is checked again by the address it is about
to connect to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Awaitable[list[str]]]

FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")  # control characters, blanks, backslash

# Public by its number, although a cloud's own service answers there: Azure's wire server.
CLOUD_SERVICES = frozenset({ipaddress.ip_address("168.63.129.16")})
# Special-purpose ranges that some versions of `ipaddress` call global.
SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "3fff::/20"),
    )
)
# All that IANA has given out as global unicast (RFC 4291, section 2.4; RFC 3587).
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052, section 2.1


class Refused(Exception):
    """A request that must not be made; `reason` goes into the ledger."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class AddressRefused(OSError):
    """A socket that must not be opened. An OSError, because HTTP clients pass those on."""


# URLs


def check_url(text: str, max_length: int) -> URL:
    """Parse an image URL. Raises Refused unless it is a plain http(s) URL with a host."""
    if len(text) > max_length:
        raise Refused("url.length", str(len(text)))
    if FORBIDDEN.search(text):
        raise Refused("url.characters")
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError as error:
        raise Refused("url.syntax", str(error)) from None
    if url.scheme not in ("http", "https"):
        raise Refused("url.scheme", url.scheme)
    if not host or port is None:
        raise Refused("url.host")
    if "@" in urlsplit(text).netloc:
        raise Refused("url.userinfo")
    if "%" in host:
        raise Refused("url.host", "IPv6 zone")
    return url


def host_of(url: str) -> str:
    """Host of a URL in lower case; empty when the URL has none."""
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def host_port(url: str) -> str:
    """`host:port` of a URL, with the scheme's default port; empty for anything but http(s)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return ""
    host = (parts.hostname or "").lower()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def owner(url: str) -> str:
    """Key that assigns URLs to tasks: the host without a leading "www."."""
    return host_of(url).removeprefix("www.")


# Addresses


class SafeResolver(AbstractResolver):
    """Resolves names to permitted addresses only, and refuses sockets to all others.

    `allowed` holds `host:port` pairs that may have private addresses. Such a pair permits its own
    name only: another name that resolves to the same address is refused.
    """

    def __init__(
        self, allowed: Iterable[str], ports: Iterable[int], lookup: Lookup | None = None
    ) -> None:
        self._allowed = {pair.lower() for pair in allowed}
        self._ports = frozenset(ports)
        self._lookup = lookup or system_lookup
        self._pinned: set[tuple[IPAddress, int]] = set()  # addresses of allowed pairs
        for pair in self._allowed:
            host, _, port = pair.rpartition(":")
            address = _parse_address(host.strip("[]"))
            if address is not None:
                self._pinned.add((address, int(port)))

    def check(self, url: URL) -> None:
        """Raise Refused for a port that is not allowed or a literal address that is not public."""
        host, port = url.host or "", url.port or 0
        if self._is_allowed(host, port):
            return
        if port not in self._ports:
            raise Refused("url.port", str(port))
        address = _parse_address(host)
        if address is not None and not is_public(address):
            raise Refused("address.private", host)

    def _is_allowed(self, host: str, port: int) -> bool:
        name = f"[{host}]" if ":" in host else host.rstrip(".")
        return f"{name}:{port}".lower() in self._allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve a name. Raises AddressRefused when none of its addresses is permitted."""
        allowed = self._is_allowed(host, port)
        results: list[ResolveResult] = []
        for text in await self._lookup(host, port):
            address = _parse_address(text)
            if address is None or not (allowed or is_public(address)):
                continue
            if allowed:
                self._pinned.add((address, port))
            results.append(
                ResolveResult(
                    hostname=host,
                    host=text,
                    port=port,
                    family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        if not results:
            raise AddressRefused(f"{host}: no public address")
        return results

    def open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Create the socket for one address: the last check before connecting."""
        family, kind, protocol, _, target = info
        address = _parse_address(str(target[0]))
        permitted = address is not None and (
            (address, target[1]) in self._pinned
            or (is_public(address) and target[1] in self._ports)
        )
        if not permitted:
            raise AddressRefused(f"{target[0]}:{target[1]}: not a public address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Do nothing: no resources are held."""


async def system_lookup(host: str, port: int) -> list[str]:
    """Addresses of a host from the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: IPAddress) -> bool:
    """Tell whether an address belongs to the public internet.

    Of IPv6 only global unicast is, NAT64's well-known prefix, and IPv4 in its mapped form. An
    address that contains IPv4 addresses is public when all of those are. Sources: IANA's
    special-purpose registries as in `ipaddress`, RFC 4291, RFC 3056 (6to4), RFC 4380 (Teredo),
    RFC 6052 (NAT64).
    """
    if isinstance(address, ipaddress.IPv6Address):
        embedded = _embedded_ipv4(address)
        if embedded is not None:
            return all(is_public(one) for one in embedded)
        if address not in GLOBAL_UNICAST:
            return False
    if address.is_multicast or address in CLOUD_SERVICES:
        return False
    return address.is_global and not any(address in network for network in SPECIAL)


def _embedded_ipv4(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address] | None:
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return None


def _parse_address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None
