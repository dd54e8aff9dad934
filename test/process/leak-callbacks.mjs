// New JavaScript functions that Python calls and keeps for a while.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat((py) => {
  py.execSync(`
kept = []

def call(function, value):
    kept.append(function)
    if len(kept) > 100:
        kept.clear()
    return function(value)
`);
  const { call } = py.globals;
  for (let i = 0; i < 25_000; i++) if (call((value) => value + i, 1) !== i + 1) throw new Error();
  py.execSync("kept.clear()");
});
