// A Worker is terminated while it runs a loop of its own, which waits.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 20000
import { Python } from "coloop";
import { terminateDuring } from "./worker-helpers.mjs";

const py = await Python.start();
for (let i = 0; i < 5; i++) await terminateDuring("run", i * 5);
console.log(py.evalSync("'pass'"));
