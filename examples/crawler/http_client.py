"""A small HTTP/1.1 client over asyncio's streams: GET, keep-alive, Content-Length and chunks."""

from __future__ import annotations

import asyncio


class CutOff(Exception):
    """The connection broke in the middle of an answer."""


class Response:
    """Status, headers with lower-case names, and the body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Connection:
    """One connection, kept open from request to request and opened again where needed."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, target: str) -> Response:
        """GETs a target; on a kept connection that the server has closed meanwhile, once more."""
        kept = self._writer is not None
        try:
            try:
                return await self._get(target)
            except ConnectionError:
                self.close()
                if not kept:
                    raise
                return await self._get(target)
        except BaseException:  # cut off or cancelled: what is left of the answer must not be read
            self.close()
            raise

    async def _get(self, target: str) -> Response:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        request = f"GET {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n"
        self._writer.write(request.encode("ascii"))
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("closed before the answer") from error
        status, headers = _parse_head(head)
        try:
            body = await self._read_body(self._reader, headers)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise CutOff(target) from error
        if headers.get("connection") == "close":
            self.close()
        return Response(status, headers, body)

    @staticmethod
    async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            chunks: list[bytes] = []
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                chunks.append((await reader.readexactly(size + 2))[:-2])
            await reader.readuntil(b"\r\n")
            return b"".join(chunks)
        return await reader.readexactly(int(headers.get("content-length", 0)))

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return int(status_line.split(" ", 2)[1]), headers
