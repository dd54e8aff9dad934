"""A crawler that looks for broken links: asyncio and the standard library only.

Nothing here knows of JavaScript, but for `verdict`: a function that the host program registered.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from http_client import Connection, CutOff, Response

from coloop import verdict

_FENCED = re.compile(r"^(```|~~~).*?^\1.*?$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_MARKDOWN_LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)")


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets += [value for name, value in attrs if name == "href" and value]


def links_of(response: Response) -> list[str]:
    """What a page links to, as it is written there."""
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/html"):
        parser = _Anchors()
        parser.feed(response.body.decode())
        parser.close()
        return parser.targets
    if kind.startswith("text/markdown"):
        prose = _INLINE_CODE.sub("", _FENCED.sub("", response.body.decode()))
        return _MARKDOWN_LINK.findall(prose)
    return []


class Crawler:
    """Visits every page of one site that its pages link to, over many connections at once."""

    def __init__(self, origin: str, *, connections: int = 100, timeout: float = 4.0) -> None:
        self._origin = origin
        self._connections = connections
        self._timeout = timeout
        self._frontier: asyncio.Queue[str] = asyncio.Queue()
        self._findings: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        self._sources: dict[str, set[str]] = {}  # target -> pages that link to it
        self._broken: dict[str, str] = {}  # target -> why
        self._workers: list[asyncio.Task[None]] = []
        self._stopped = False
        self._pages = 0
        self._bytes = 0
        self._failures = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread_id = 0

    async def findings(self) -> AsyncIterator[dict[str, str]]:
        """Broken links, each as soon as it is known: source, target and reason."""
        self.loop = asyncio.get_running_loop()
        self.thread_id = threading.get_native_id()
        self._link("", "/")
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._connections)]
        end = asyncio.create_task(self._wait_for_end())
        try:
            while (finding := await self._findings.get()) is not None:
                yield finding
            await end
        finally:
            self.stop()
            await asyncio.gather(end, *self._workers, return_exceptions=True)

    def stop(self) -> None:
        """Ends the crawl where it is: the findings so far are still yielded."""
        # Before Python 3.12 wait_for() loses a cancellation that comes as the answer does
        # (https://github.com/python/cpython/issues/86296): the workers are told by a flag, too.
        self._stopped = True
        for worker in self._workers:
            worker.cancel()

    def progress(self) -> dict[str, int]:
        """Pages read, bytes read, answers that were no page, links that wait for their turn."""
        return {
            "pages": self._pages,
            "bytes": self._bytes,
            "failures": self._failures,
            "waiting": self._frontier.qsize(),
        }

    async def _wait_for_end(self) -> None:
        done = asyncio.create_task(self._frontier.join())
        try:
            # A worker ends only when it is cancelled or has failed.
            await asyncio.wait([done, *self._workers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            done.cancel()
            self._findings.put_nowait(None)
        for worker in self._workers:
            if worker.done() and not worker.cancelled():
                worker.result()

    async def _work(self) -> None:
        address = urlsplit(self._origin)
        connection = Connection(address.hostname or "", address.port or 80)
        try:
            while not self._stopped:
                target = await self._frontier.get()
                await self._visit(connection, target)
                self._frontier.task_done()
        finally:
            connection.close()

    async def _visit(self, connection: Connection, target: str) -> None:
        attempt = 1
        while True:
            response, reason = await self._fetch(connection, target)
            if response is not None and reason is None:
                break
            self._failures += 1
            ruling = verdict(target, reason, attempt)
            if ruling == "broken":
                self._break(target, str(reason))
            if ruling != "retry":
                return
            attempt += 1
        self._pages += 1
        self._bytes += len(response.body)
        if "location" in response.headers:
            self._link("", response.headers["location"])
        for link in links_of(response):
            absolute = urldefrag(urljoin(self._origin + target, link)).url
            if absolute.startswith(self._origin + "/"):
                self._link(target, absolute[len(self._origin) :])

    async def _fetch(
        self, connection: Connection, target: str
    ) -> tuple[Response | None, str | None]:
        """The answer, and why it is no page, if it is none."""
        try:
            response = await asyncio.wait_for(connection.get(target), self._timeout)
        except asyncio.TimeoutError:
            return None, "timed out"
        except CutOff:
            return None, "cut off"
        return response, None if response.status < 400 else str(response.status)

    def _link(self, source: str, target: str) -> None:
        known = self._sources.get(target)
        if known is None:
            known = self._sources[target] = set()
            self._frontier.put_nowait(target)
        if source and source not in known:
            known.add(source)
            if target in self._broken:
                self._report(source, target)

    def _break(self, target: str, reason: str) -> None:
        self._broken[target] = reason
        for source in self._sources[target]:
            self._report(source, target)

    def _report(self, source: str, target: str) -> None:
        finding = {"source": source, "target": target, "reason": self._broken[target]}
        self._findings.put_nowait(finding)
