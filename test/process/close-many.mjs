// 50 times start and close: no handle, loop or proxy is left each time.
// within: 30000
// node: --expose-gc
import { Python } from "coloop";

let first;
for (let i = 0; i < 50; i++) {
  const py = await Python.start();
  await py.exec("import asyncio\nawait asyncio.sleep(0)");
  py.evalSync("object()");
  const { loops, uvHandles } = py.counters();
  first ??= { loops, uvHandles };
  if (loops !== first.loops || uvHandles !== first.uvHandles) throw new Error(`at ${i}`);
  await py.close();
}
console.log("pass");
