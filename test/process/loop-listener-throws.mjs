// An error that a loopError listener throws is the process's uncaught exception; Python goes on.
// stderr: ValueError: in a callback
import { Python } from "coloop";

const py = await Python.start();
const error = new Error("of the listener");
py.once("loopError", () => {
  throw error;
});
process.once("uncaughtException", async (caught) => {
  const value = await py.eval("await __import__('asyncio').sleep(0, 5)");
  console.log(caught === error && value === 5 ? "pass" : [caught, value]);
});
py.execSync(`
import asyncio

def fail():
    raise ValueError("in a callback")

asyncio.get_event_loop().call_soon(fail)
`);
