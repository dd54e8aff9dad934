// A Worker is terminated while Python in it catches every exception.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 20000
import { Python } from "coloop";
import { terminateDuring } from "./worker-helpers.mjs";

const py = await Python.start();
await terminateDuring("catches");
console.log(py.evalSync("'pass'"));
