// A cancelled timer does not keep Node alive.
// within: 5000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio
loop = asyncio.get_event_loop()
handles = [loop.call_later(60, print, "not reached") for _ in range(10)]
for handle in handles:
    handle.cancel()
`);
const controller = new AbortController();
const call = py.exec("import asyncio\nawait asyncio.sleep(60)", {}, { signal: controller.signal });
setTimeout(() => controller.abort(), 10);
call.catch((error) => console.log(error.name === "AbortError" ? "pass" : error));
