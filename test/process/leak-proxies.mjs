// Proxies that are made and dropped in a synchronous loop.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat((py) => {
  const make = py.evalSync("object");
  for (let i = 0; i < 25_000; i++) make();
});
