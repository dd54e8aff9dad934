// A Task that reads from a socket keeps Node alive until the peer has sent and closed.
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio, socket, threading, time
ours, theirs = socket.socketpair()

def send():
    time.sleep(0.2)
    theirs.sendall(b"pass")
    theirs.close()

threading.Thread(target=send, daemon=True).start()
`);
void py.exec(
  `
reader, writer = await asyncio.open_connection(sock=ours)
print((await reader.read()).decode(), flush=True)
writer.close()
`,
);
