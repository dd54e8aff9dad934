"""The guide's examples on owned loops; test/bridge/module.test.ts has them on the hosted one."""

from __future__ import annotations

import asyncio
import sys
import unittest
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import asyncio_guide as guide

import coloop

REMEDIES = {
    "subprocess_shell": "node:child_process",
    "subprocess_exec": "node:child_process",
    "create_subprocess_shell": "node:child_process",
    "create_subprocess_exec": "node:child_process",
    "add_signal_handler": r"py\.onSignal\(\)",
    "remove_signal_handler": r"py\.onSignal\(\)",
}


class TestWaysToRun(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(asyncio.set_event_loop_policy, None)

    def test_run(self) -> None:
        self.assertEqual(guide.with_run(), "ErlangEventLoop")

    @unittest.skipIf(sys.version_info < (3, 11), "asyncio.Runner came with 3.11")
    def test_runner(self) -> None:
        self.assertEqual(guide.with_runner(), "ErlangEventLoop")

    def test_install(self) -> None:
        self.assertEqual(guide.with_install(), "ErlangEventLoop")

    def test_by_hand(self) -> None:
        self.assertEqual(guide.by_hand(), "ErlangEventLoop")

    def test_mode(self) -> None:
        self.assertEqual(guide.mode(), "shared GIL")

    def test_loops_in_threads(self) -> None:
        self.assertEqual(guide.loops_in_threads(), {"a": ["a", "a"], "b": ["b", "b"]})


class TestOnAnOwnedLoop(unittest.TestCase):
    def assert_gives(self, example: Callable[[], Awaitable[Any]], expected: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            self.assertEqual(coloop.run(example(), debug=True), expected)
            self.assertEqual(coloop.run(example()), expected)

    def test_tcp_echo(self) -> None:
        self.assert_gives(
            guide.tcp_echo,
            {
                "echo": "Hello, World!",
                "peer is the server": True,
                "own address is another": True,
                "socket": True,
            },
        )

    def test_udp_echo(self) -> None:
        self.assert_gives(guide.udp_echo, ["connected", "not connected"])

    def test_udp_broadcast(self) -> None:
        self.assert_gives(guide.udp_broadcast, {"None": False, "True": True})

    def test_sleep(self) -> None:
        self.assertGreaterEqual(coloop.run(guide.sleep()), 0.02)

    def test_gather(self) -> None:
        self.assert_gives(guide.gather, [2, 4, 6])

    def test_wait_for(self) -> None:
        self.assert_gives(guide.wait_for, ["done", "timed out"])

    @unittest.skipIf(sys.version_info < (3, 11), "asyncio.timeout came with 3.11")
    def test_timeout(self) -> None:
        self.assert_gives(guide.timeout, ["done", "timed out"])

    def test_create_task(self) -> None:
        expected = (
            "background is made",
            "background begins",
            "meanwhile",
            "background ends",
            "result",
        )
        self.assert_gives(guide.create_task, list(expected))

    def test_wait(self) -> None:
        self.assert_gives(guide.wait, [3, 0])

    def test_asgi_delay(self) -> None:
        self.assert_gives(guide.asgi_delay, [200, '{"slept": true}'])

    def test_spawn_task(self) -> None:
        self.assert_gives(lambda: guide.handle_request_async("owned"), "ok, done: False")
        self.assertEqual(guide.take_finished(), ["owned", "owned"])

    def test_refusals(self) -> None:
        texts = coloop.run(guide.refusals())
        self.assertEqual(set(texts), set(REMEDIES))
        for name, remedy in REMEDIES.items():
            self.assertRegex(texts[name], remedy)


if __name__ == "__main__":
    unittest.main()
