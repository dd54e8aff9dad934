// A server keeps Node alive until it is closed.
import { Python } from "coloop";

const py = await Python.start();
await py.exec(`
import asyncio
server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
`);
const start = performance.now();
const timer = setTimeout(() => {
  console.log(performance.now() - start > 150 ? "pass" : "too early");
  py.globals.server.close();
}, 200);
timer.unref();
