// SystemExit and KeyboardInterrupt out of an exception handler have no run_forever() to leave: JavaScript is told
// of what the handler was called for, Python's own error is printed, and the loop goes on.
// stderr: SystemExit: 4
import { Python } from "coloop";

const py = await Python.start();
const told = [];
py.on("loopError", ({ exception }) => told.push(exception.name));
await py.exec(
  `
import asyncio, sys

class Protocol(asyncio.DatagramProtocol):
    def datagram_received(self, data, address):
        data.missing

def handler(loop, context):
    raise errors.pop()

errors = [KeyboardInterrupt(), SystemExit(4)]
loop = asyncio.get_running_loop()
loop.set_exception_handler(handler)
transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", 0))
loop.call_soon(lambda: 1 / 0)
loop.call_soon(transport.sendto, b"data", transport.get_extra_info("sockname"))
while errors:
    await asyncio.sleep(0.001)
transport.close()
`,
  undefined,
  { timeout: 10_000 },
);
await py
  .exec(
    `
errors = [SystemExit(5)]
try:
    await asyncio.sleep(60)
finally:
    raise ValueError("after the time-out")
`,
    undefined,
    { timeout: 10 },
  )
  .catch((error) => told.push(error.name));
while (py.evalSync("len(errors)") > 0) await new Promise(setImmediate);
const wanted = "AttributeError,PythonTimeoutError,ValueError,ZeroDivisionError";
console.log(told.sort().join() === wanted ? "pass" : told);
await py.close();
