// Whoever waits for a socket that is gone waits for nothing: Node does not.
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio, socket
loop = asyncio.get_event_loop()
ours, theirs = socket.socketpair()
ours.setblocking(False)
receiving = loop.sock_recv(ours, 1)
future = receiving.send(None)
ours.close()
del ours, receiving
print("pass", flush=True)
`);
