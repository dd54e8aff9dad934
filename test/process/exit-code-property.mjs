// process.exitCode is kept.
// exit: 4
import { Python } from "coloop";

await Python.start();
console.log("pass");
process.exitCode = 4;
