// 500,000 synchronous calls with values of several kinds, without a turn of the loop in between.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat((py) => {
  const echo = py.evalSync("lambda *values: values[-1]");
  for (let i = 0; i < 5000; i++) {
    echo(i);
    echo("text", i % 2 === 0);
    echo([i, "list", null], { a: i });
    echo(2n ** 70n);
    echo(new Uint8Array(16));
  }
});
