// Python that waits for nothing does not keep Node alive.
// within: 5000
import { Python } from "coloop";

await Python.start();
console.log("pass");
