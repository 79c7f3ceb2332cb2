"""Which addresses may be connected to: public ones, and hosts the config names.

Pages are hostile: an image URL may point at the machine itself, its network or a cloud's metadata
service, by name, by number, by redirect or by a name that changes between check and use. So names
are resolved here, once, and every socket is checked by the address it is about to connect to.
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

FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")  # controls, blanks, backslash

# Public by their number, yet a cloud's metadata or host service behind them.
CLOUD_SERVICES = frozenset({ipaddress.ip_address("168.63.129.16")})  # Azure's wire server
# Special-purpose ranges that some versions of `ipaddress` take for global.
SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
        *("100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10"),
    )
)
NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
IPV4_COMPATIBLE = ipaddress.ip_network("::/96")  # RFC 4291, section 2.5.5.1


class Refused(Exception):
    """A request that is not made; `reason` goes into the ledger."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class AddressRefused(OSError):
    """A socket that is not opened. An OSError, so that HTTP clients carry it through."""


def check_url(text: str, max_length: int) -> URL:
    """Parse an image URL. Raises Refused unless it is plain http(s) to a named host."""
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


def is_public(address: IPAddress) -> bool:
    """Tell whether an address is reachable by everybody, looking inside tunnelled forms.

    Sources: IANA special-purpose registries as in `ipaddress`, RFC 4291 (mapped, compatible),
    RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 (NAT64).
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return all(is_public(one) for one in inner)
    if address.is_multicast or address in CLOUD_SERVICES:
        return False
    return address.is_global and not any(address in network for network in SPECIAL)


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address] | None:
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if any(address in network for network in (*NAT64, IPV4_COMPATIBLE)):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return None


async def system_lookup(host: str, port: int) -> list[str]:
    """Addresses of a host by the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Gate(AbstractResolver):
    """Resolves names to permitted addresses only, and refuses sockets to all others.

    `allowed` holds `host:port` pairs that may be private; a pair is bound to its name: another
    name that resolves to the same address is refused.
    """

    def __init__(
        self, allowed: Iterable[str], ports: Iterable[int], lookup: Lookup = system_lookup
    ) -> None:
        self._named = {pair.lower() for pair in allowed}
        self._ports = frozenset(ports)
        self._lookup = lookup
        self._pinned: set[tuple[IPAddress, int]] = set()
        for pair in self._named:
            host, _, port = pair.rpartition(":")
            address = _literal(host.strip("[]"))
            if address is not None:
                self._pinned.add((address, int(port)))

    def check(self, url: URL) -> None:
        """Raise Refused for a forbidden port or a literal address that is not public."""
        host, port = url.host or "", url.port or 0
        if self._is_named(host, port):
            return
        if port not in self._ports:
            raise Refused("url.port", str(port))
        address = _literal(host)
        if address is not None and not is_public(address):
            raise Refused("address.private", host)

    def _is_named(self, host: str, port: int) -> bool:
        name = f"[{host}]" if ":" in host else host.rstrip(".")
        return f"{name}:{port}".lower() in self._named

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Resolve a name. Raises AddressRefused when none of its addresses is permitted."""
        named = self._is_named(host, port)
        results: list[ResolveResult] = []
        for text in await self._lookup(host, port):
            address = _literal(text)
            if address is None or not (named or is_public(address)):
                continue
            if named:
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
        """Make the socket for one address: the last check before connecting."""
        family, kind, protocol, _, target = info
        address = _literal(str(target[0]))
        permitted = address is not None and (
            (address, target[1]) in self._pinned
            or (is_public(address) and target[1] in self._ports)
        )
        if not permitted:
            raise AddressRefused(f"{target[0]}:{target[1]}: not a public address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Nothing is held open."""


def _literal(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None
