// A Worker is terminated inside JavaScript that Python called.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 20000
import { Python } from "coloop";
import { terminateDuring } from "./worker-helpers.mjs";

const py = await Python.start();
for (let i = 0; i < 5; i++) await terminateDuring("nested", i * 5);
console.log(py.evalSync("'pass'"));
