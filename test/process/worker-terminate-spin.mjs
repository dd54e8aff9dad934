// A Worker is terminated while Python spins and sleeps in it.
// within: 20000
import { Python } from "coloop";
import { terminateDuring } from "./worker-helpers.mjs";

const py = await Python.start();
await terminateDuring("spin", 50);
console.log(py.evalSync("'pass'"));
