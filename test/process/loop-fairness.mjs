// Neither language starves the other: callback chains of Python's that never end, beside JavaScript's timers,
// immediates and HTTP; immediates and I/O of JavaScript's that never end, beside Python's timers, Tasks and
// sockets. On the main thread, then in a Worker. Counted, not timed: a side that starves never gets there.
// within: 60000
import http from "node:http";
import net from "node:net";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { isMainThread, Worker } from "node:worker_threads";
import { Python } from "coloop";

const enough = 50;
const py = await Python.start();
py.execSync(`
import asyncio

def never_ending(chains):
    """Chains that always have something ready; one wakes itself as a thread would."""
    loop = asyncio.get_event_loop()
    chains["running"] = True
    chains["links"] = 0

    def link(schedule):
        if chains["running"]:
            chains["links"] += 1
            schedule(link, schedule)

    for _ in range(3):
        link(loop.call_soon)
    link(loop.call_soon_threadsafe)
    link(lambda *callback: loop.call_later(0, *callback))

async def live(enough):
    """Python's timers, Tasks and sockets."""
    async def echo(reader, writer):
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for number in range(enough):
        await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        writer.write(b"%03d" % number)
        assert await reader.readexactly(3) == b"%03d" % number
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return enough
chains = {}
`);

async function listening(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}

async function besidePython() {
  const server = http.createServer((request, response) => response.end(request.url));
  const port = await listening(server);
  py.execSync("never_ending(chains)");
  for (let i = 0; i < enough; i++) await wait(1);
  for (let i = 0; i < enough; i++) await turn();
  for (let i = 0; i < enough; i++) {
    const response = await fetch(`http://127.0.0.1:${port}/${i}`);
    if ((await response.text()) !== `/${i}`) throw new Error("another answer");
  }
  const links = py.evalSync("chains['links']");
  py.execSync("chains['running'] = False");
  server.close();
  server.closeAllConnections();
  if (links < enough) throw new Error(`Python came only ${links} times to its turn`);
}

async function besideJavaScript() {
  let running = true;
  let turns = 0;
  const spin = () => {
    turns += 1;
    if (running) setImmediate(spin);
  };
  for (let i = 0; i < 3; i++) spin();
  const interval = setInterval(() => {}, 0);
  // Two sockets that send to each other what they receive.
  const server = net.createServer((socket) => socket.on("error", () => {}).pipe(socket));
  const ball = net.connect(await listening(server), "127.0.0.1");
  ball.on("data", (data) => running && ball.write(data));
  ball.write("ball");
  const done = await py.eval("await live(enough)", { enough });
  running = false;
  clearInterval(interval);
  ball.destroy();
  server.close();
  if (done !== enough || turns < enough) throw new Error(`${done} and ${turns} turns`);
}

await besidePython();
await besideJavaScript();
await Promise.all([besidePython(), py.eval("await live(enough)", { enough })]);
await py.close();
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  worker.on("exit", (code) => console.log(code === 0 ? "pass" : `Worker: ${code}`));
}
