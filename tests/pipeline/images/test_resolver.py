"""No request reaches a private address: by name, number, redirect or a name that changes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_address
from threading import Thread

import pytest

from benben.pipeline.images.fetch.resolver import (
    AddressRefused,
    Refused,
    SafeResolver,
    check_url,
    is_public,
)
from tests.pipeline.images.fetching import fetch_all
from tests.web import picture, serving, settings

_PRIVATE = """
127.0.0.1 127.8.9.10 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1
100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.7 224.0.0.1 240.0.0.1
255.255.255.255 168.63.129.16 ::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::127.0.0.1 fe80::1 fc00::1
fd00:ec2::254 fec0::1 ff02::1 2001:db8::1 64:ff9b::7f00:1 64:ff9b:1::a00:1 2002:7f00:1::1
2002:c0a8:101:: 2001:0:4136:e378:8000:63bf:f5ff:fffe
64:ff9b:1::808:808 64:ff9b:1:1::808:808 64:ff9b:0:1::808:808 ::ffff:0:8.8.8.8 ::ffff:0:127.0.0.1
::8.8.8.8 4000::1 8000::1 fe00::1 5f00::1 1fff:ffff::1 100::1 200::1 ff0e::1 3fff::1
"""
PRIVATE = _PRIVATE.split()
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]

# {port} is the port of a server that must not be reached. One URL a line.
_LITERAL = r"""
http://127.0.0.1:{port}/
http://2130706433:{port}/
http://0x7f000001:{port}/
http://0177.0.0.1:{port}/
http://017700000001:{port}/
http://127.1:{port}/
http://127.0.1:{port}/
http://0:{port}/
http://0.0.0.0:{port}/
http://127.0.0.1.:{port}/
http://[::1]:{port}/
http://[::]:{port}/
http://[::ffff:127.0.0.1]:{port}/
http://[::ffff:7f00:1]:{port}/
http://[::127.0.0.1]:{port}/
http://[0:0:0:0:0:0:0:1]:{port}/
http://[64:ff9b::7f00:1]:{port}/
http://[2002:7f00:1::]:{port}/
http://[::1%25lo]:{port}/
http://localhost:{port}/
http://LOCALHOST:{port}/
http://localhost.:{port}/
http://127%2e0%2e0%2e1:{port}/
http://①②⑦.⓪.⓪.①:{port}/
http://127。0。0。1:{port}/
http://public.test@127.0.0.1:{port}/
http://public.test:80@127.0.0.1:{port}/
http://127.0.0.1:{port}#@public.test/
http://127.0.0.1:{port}\@public.test/
http://public.test\@127.0.0.1:{port}/
http://127.0.0.1:{port}/\tx
http:///127.0.0.1:{port}/
https://127.0.0.1:{port}/
ftp://127.0.0.1:{port}/
file:///etc/passwd
gopher://127.0.0.1:{port}/_x
data:image/gif;base64,R0lGOD
dict://127.0.0.1:{port}/
//127.0.0.1:{port}/
javascript:alert(1)
"""
LITERAL = [*_LITERAL.split(), "http://127.0.0.1:{port}/\tx", "http://127.0.0.1:{port}/a b"]


@pytest.mark.parametrize("text", PRIVATE)
def test_address_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_address_is_public(text: str) -> None:
    assert is_public(ip_address(text))


class Victim:
    """A port that counts who connects, on IPv4 and IPv6 loopback."""

    def __init__(self) -> None:
        self.connections = 0
        first = socket.create_server(("127.0.0.1", 0))
        self.port = first.getsockname()[1]
        self.sockets = [first]
        if socket.has_ipv6:
            self.sockets.append(socket.create_server(("::1", self.port), family=socket.AF_INET6))
        for listening in self.sockets:
            Thread(target=self._accept, args=(listening,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        for listening in self.sockets:
            listening.close()


@pytest.fixture
def victim() -> Iterator[Victim]:
    with closing(Victim()) as found:
        yield found


async def names(host: str, port: int) -> list[str]:
    """A DNS that the attacker controls: `10-0-0-1.test` is 10.0.0.1."""
    if host.endswith(".test"):
        return [host.removesuffix(".test").replace("-", "." if host[0].isdigit() else ":")]
    loop = asyncio.get_running_loop()
    return [str(info[4][0]) for info in await loop.getaddrinfo(host, port)]


def open_settings(port: int) -> object:
    """Settings that allow the victim's port, so that only its address can be refused."""
    return settings(f"limits.ports=[80, 443, {port}]")


def test_no_literal_form_of_a_private_address_is_connected_to(victim: Victim) -> None:
    urls = [url.replace("{port}", str(victim.port)) for url in LITERAL]
    outcomes = fetch_all(urls, open_settings(victim.port), names)
    assert len(outcomes) >= 40
    assert victim.connections == 0
    for outcome in outcomes:
        assert outcome.reason is not None, outcome.url
        assert outcome.reason.startswith(("url.", "address.")), outcome


def test_no_name_of_a_private_address_is_connected_to(victim: Victim) -> None:
    hosts = [text.replace(".", "-") for text in PRIVATE if ":" not in text]
    urls = [f"http://{host}.test:{victim.port}/x.png" for host in hosts]
    outcomes = fetch_all(urls, open_settings(victim.port), names)
    assert victim.connections == 0
    assert {outcome.reason for outcome in outcomes} == {"address.private"}


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/",
        "http://inside.test:{port}/",
        "http://[::1]:{port}/",
        "http://2130706433:{port}/",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/x",
    ],
)
def test_redirect_to_a_private_address_is_not_followed(victim: Victim, target: str) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    location = target.replace("{port}", str(victim.port))
    with serving({"/a.png": (302, {"Location": location}, b"")}) as web:
        chosen = settings(
            f"limits.ports=[80, 443, {victim.port}]", allow=(f"127.0.0.1:{web.port}",)
        )
        (outcome,) = fetch_all([web.url("/a.png")], chosen, lookup)
        assert web.count("/a.png") == 1
    assert victim.connections == 0
    assert outcome.reason in ("address.private", "url.scheme", "url.syntax")


def test_robots_redirect_to_a_private_address_is_not_followed(victim: Victim) -> None:
    location = f"http://127.0.0.1:{victim.port}/robots.txt"
    with serving({"/robots.txt": (301, {"Location": location}, b""), "*": picture()}) as web:
        chosen = settings(
            f"limits.ports=[80, 443, {victim.port}]", allow=(f"127.0.0.1:{web.port}",)
        )
        (outcome,) = fetch_all([web.url("/a.png")], chosen)
    assert victim.connections == 0
    assert outcome.reason == "consent.robots_unreachable"


def test_name_that_changes_after_the_check_is_not_connected_to(victim: Victim) -> None:
    answers = iter(["8.8.8.8"])

    async def lookup(host: str, port: int) -> list[str]:
        return [next(answers, "127.0.0.1")]

    async def connect() -> None:
        resolver = SafeResolver([], [victim.port], lookup)
        assert [found["host"] for found in await resolver.resolve("a.test", victim.port)] == [
            "8.8.8.8"
        ]
        with pytest.raises(AddressRefused):
            await resolver.resolve("a.test", victim.port)
        with pytest.raises(AddressRefused):
            resolver.open_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))

    asyncio.run(connect())
    assert victim.connections == 0


def test_of_mixed_addresses_only_public_ones_are_used() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["10.0.0.1", "8.8.8.8", "::1"]

    found = asyncio.run(SafeResolver([], [80], lookup).resolve("a.test", 80))
    assert [entry["host"] for entry in found] == ["8.8.8.8"]


def test_loopback_is_reached_only_by_the_host_and_port_that_the_config_names() -> None:
    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    with serving({"/robots.txt": 404, "*": picture()}) as web:
        chosen = settings(
            f"limits.ports=[{web.port}]", allow=(f"mine.test:{web.port}", "127.0.0.1:1")
        )
        urls = [web.url("/a.png", host) for host in ("mine.test", "other.test", "127.0.0.1")]
        outcomes = fetch_all(urls, chosen, lookup)
        assert [outcome.reason for outcome in outcomes] == [
            None,
            "address.private",
            "address.private",
        ]
        assert {seen.host for seen in web.seen} == {"mine.test"}


def test_ports_are_limited() -> None:
    resolver = SafeResolver([], [80, 443])
    with pytest.raises(Refused, match=r"url\.port"):
        resolver.check(check_url("http://8.8.8.8:25/x.png", 100))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a.test/" + "x" * 100, "url.length"),
        ("http://a.test/a b", "url.characters"),
        ("http://[bad/x.png", "url.syntax"),
        ("http://a.test:99999/", "url.syntax"),
        ("blob:x", "url.scheme"),
        ("http://u:p@a.test/", "url.userinfo"),
        ("http://@a.test/", "url.userinfo"),
    ],
)
def test_url_that_is_not_plain_is_refused(url: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        check_url(url, 100)
    assert refused.value.reason == reason
