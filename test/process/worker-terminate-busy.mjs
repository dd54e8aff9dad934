// A Worker is terminated while its Python does this: the parent lives on. See worker-script.mjs.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 20000
import { Python } from "coloop";
import { terminateDuring } from "./worker-helpers.mjs";

const py = await Python.start();
for (let i = 0; i < 5; i++) await terminateDuring("busy", i * 2);
console.log(await py.eval("await __import__('asyncio').sleep(0, 'pass')"));
