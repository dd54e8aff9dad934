// A call on a socket keeps Node alive while it waits, and no longer when it was cancelled or its socket is closed,
// in whatever order.
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio, os, socket, threading, time

def pair():
    both = socket.socketpair()
    for each in both:
        each.setblocking(False)
    return both

async def main():
    loop = asyncio.get_running_loop()
    a, b = pair()
    buffer = bytearray(10)
    for call in (loop.sock_recv(b, 1), loop.sock_recv_into(b, buffer), loop.sock_recvfrom(b, 1)):
        try:
            await asyncio.wait_for(call, 0.01)
        except asyncio.TimeoutError:
            pass
    buffer.clear()  # nobody holds it any more
    threading.Thread(target=lambda: (time.sleep(0.2), a.send(b"pass")), daemon=True).start()
    print((await loop.sock_recv(b, 10)).decode(), flush=True)
    forgotten = loop.sock_recv(b, 10)
    forgotten.send(None)
    forgotten.close()
    kept = [a, b]  # open, and nobody waits for them
    for leave in (lambda sock: sock.close(), lambda sock: os.close(sock.detach())):
        c, d = pair()
        kept += [c, d]
        waiting = asyncio.ensure_future(loop.sock_recv(c, 1))
        await asyncio.sleep(0)
        leave(c)
        waiting.cancel()
        await asyncio.wait([waiting])
    return kept
`);
const kept = await py.call("__main__", "main");
process.on("exit", () => kept.length);
