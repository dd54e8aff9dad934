"""getaddrinfo() and getnameinfo(), with the socket module as the oracle."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import unittest
from typing import Any

import _coloop
import coloop

HOSTS = [
    "127.0.0.1",
    "0.0.0.0",
    "255.255.255.255",
    "::1",
    "::",
    "2001:db8:0:0:0::0001",
    "::FFFF:1.2.3.4",
    "::1.2.3.4",
    "fe80::1",
    "fe80::1%lo",
    "fe80::1%1",
    "::1%lo",
    # Not literals, or not for everybody.
    "127.1",
    "1",
    "0x7f.1",
    "127.0.0.01",
    "1.2.3.256",
    "127.0.0.1%lo",
    "fe80::1%no-such-zone",
    "[::1]",
    ":::",
    "",
    "127.0.0.1\0",
    b"127.0.0.1",
    None,
]
PORTS = [0, 80, 65535, 65536, -1, None, "80", "http", b"80", True, socket.AF_INET]
FAMILIES = [0, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 12345]
TYPES = [0, socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, 77]
PROTOCOLS = [0, socket.IPPROTO_TCP, socket.IPPROTO_UDP, socket.IPPROTO_ICMP, 200]
FLAGS = [
    0,
    socket.AI_PASSIVE,
    socket.AI_NUMERICHOST,
    socket.AI_NUMERICSERV | socket.AI_PASSIVE,
    socket.AI_CANONNAME,
    socket.AI_ADDRCONFIG,
    socket.AI_V4MAPPED,
    socket.AI_V4MAPPED | socket.AI_ALL,
    1 << 30,
]


def outcome(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        return type(error), str(error)


class Literals(unittest.TestCase):
    def test_every_combination_is_what_getaddrinfo_says(self) -> None:
        taken = 0
        for host, port in itertools.product(HOSTS, PORTS):
            for question in itertools.product(FAMILIES, TYPES, PROTOCOLS, FLAGS):
                known = outcome(_coloop.resolve_literal, host, port, *question)
                if known is None:
                    continue
                taken += 1
                asked = outcome(socket.getaddrinfo, host, port, *question)
                if known != asked:
                    self.fail(f"{host!r} {port!r} {question}: {known} is not {asked}")
                for ours, real in zip(known, asked, strict=True):
                    self.assertEqual([type(each) for each in ours], [type(each) for each in real])
        self.assertGreater(taken, 1000)

    def test_the_usual_questions_are_not_asked(self) -> None:
        for host, port, question in (
            ("127.0.0.1", 80, (0, 0, 0, 0)),
            ("127.0.0.1", 80, (socket.AF_INET, socket.SOCK_STREAM, 0, 0)),
            ("::1", None, (0, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_PASSIVE)),
            ("::1", 53, (socket.AF_INET6, socket.SOCK_DGRAM, 0, 0)),
        ):
            self.assertIsNotNone(_coloop.resolve_literal(host, port, *question))

    def test_it_is_audited(self) -> None:
        seen: list[Any] = []

        def hook(event: str, args: tuple[Any, ...]) -> None:
            if listening and event == "socket.getaddrinfo":
                seen.append(args)

        listening = True
        sys.addaudithook(hook)
        _coloop.resolve_literal("127.0.0.1", 80, 0, socket.SOCK_STREAM, 0, 0)
        del seen[1:]
        _coloop.resolve_literal("127.0.0.2", 81, 0, socket.SOCK_STREAM, 0, 0)
        socket.getaddrinfo("127.0.0.2", 81, 0, socket.SOCK_STREAM)
        listening = False
        self.assertEqual(seen[1], seen[2])


class Mixin:
    make: Any

    def run_in_loop(self, coroutine: Any) -> Any:
        loop = type(self).make()
        try:
            return loop.run_until_complete(coroutine(loop))
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    def test_addresses_and_names_resolve_as_the_socket_module_says(self: Any) -> None:
        async def main(loop: Any) -> None:
            for host, port, options in (
                ("127.0.0.1", 80, {}),
                ("127.0.0.1", None, {"type": socket.SOCK_STREAM}),
                ("::1", 80, {"family": socket.AF_INET6}),
                ("fe80::1%lo", 80, {"type": socket.SOCK_DGRAM}),
                ("127.0.0.1", "80", {}),
                ("127.0.0.1", 80, {"flags": socket.AI_CANONNAME}),
                ("localhost", 80, {}),
                (b"127.0.0.1", 80, {}),
                (None, 80, {"flags": socket.AI_PASSIVE}),
            ):
                found = await loop.getaddrinfo(host, port, **options)
                self.assertEqual(found, socket.getaddrinfo(host, port, **options))

        self.run_in_loop(main)

    def test_errors_are_the_socket_modules(self: Any) -> None:
        async def main(loop: Any) -> None:
            for arguments, options, error in (
                (("127.0.0.1", 80), {"family": socket.AF_INET6}, socket.gaierror),
                (("127.0.0.1", 80), {"type": 77}, socket.gaierror),
                (("fe80::1%no-such-zone", 80), {}, socket.gaierror),
                (("127.0.0.1", 80), {"family": "AF_INET"}, TypeError),
                ((127001, 80), {}, TypeError),
                (("127.0.0.1", 80.5), {}, OSError),
            ):
                with self.assertRaises(error):
                    await loop.getaddrinfo(*arguments, **options)
            with self.assertRaises(TypeError):
                loop.getaddrinfo("127.0.0.1", 80, nothing=1)

        self.run_in_loop(main)

    def test_names_of_addresses(self: Any) -> None:
        async def main(loop: Any) -> None:
            numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
            for address, flags in (
                (("127.0.0.1", 80), numeric),
                (("::1", 80, 0, 0), numeric),
                (("fe80::1", 80, 0, 1), numeric),
                (("127.0.0.1", 80), numeric | socket.NI_DGRAM),
                (("127.0.0.1", 80), socket.NI_NUMERICHOST),
                (("127.0.0.1", 80), 0),
            ):
                found = await loop.getnameinfo(address, flags)
                self.assertEqual(found, socket.getnameinfo(address, flags))
            for address, error in (
                (("localhost", 80), socket.gaierror),  # a name: it is not asked for
                (("127.0.0.1",), TypeError),
                ("127.0.0.1", TypeError),
            ):
                with self.assertRaises(error):
                    await loop.getnameinfo(address, numeric)

        self.run_in_loop(main)


class OurResolver(Mixin, unittest.TestCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioResolver(Mixin, unittest.TestCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
