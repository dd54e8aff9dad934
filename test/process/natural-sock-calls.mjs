// A call on a socket keeps Node alive while it waits, and no longer when it was cancelled or its socket is closed.
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio, socket, threading, time

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
    return a, b  # open, and nobody waits for them
`);
const kept = await py.call("__main__", "main");
process.on("exit", () => kept.length);
