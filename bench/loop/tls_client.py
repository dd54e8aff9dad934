"""The TLS cells' load where the C client has no OpenSSL headers: same arguments and output."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time


class _Client(asyncio.Protocol):
    requests = 0

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received < len(self.request):
            return
        if data[-1:] != self.request[-1:] or self.received > len(self.request):
            raise SystemExit("tls_client: a wrong answer")
        _Client.requests += 1
        self.received = 0
        self.transport.write(self.request)


async def _main(port: str, size: str, count: str, warm: str, measured: str, pid: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = bytes(ord("a") + i % 23 for i in range(int(size)))
    connect = asyncio.get_running_loop().create_connection
    for _ in range(int(count)):
        await connect(lambda: _Client(request), "127.0.0.1", int(port), ssl=context)
    # What clock_getcpuclockid(3) computes; time has none for processes.
    processor = ~int(pid) << 3 | 2
    await asyncio.sleep(float(warm) / 1000)
    before, cpu, start = _Client.requests, time.clock_gettime(processor), time.monotonic()
    await asyncio.sleep(float(measured) / 1000)
    used = time.clock_gettime(processor) - cpu
    result = {
        "requests": _Client.requests - before,
        "seconds": time.monotonic() - start,
        "cpu": used,
    }
    print(json.dumps(result))


asyncio.run(_main(*sys.argv[2:]))
