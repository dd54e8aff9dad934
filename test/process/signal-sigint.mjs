// process.on('SIGINT') works with Python loaded; Python raises no KeyboardInterrupt.
// signal: SIGINT
import { Python } from "coloop";

const py = await Python.start();
process.once("SIGINT", () => {
  console.log(py.evalSync("1 + 1") === 2 ? "pass" : "wrong");
  clearInterval(timer);
});
const timer = setInterval(() => py.evalSync("sum(range(1000))"), 1);
console.log("ready");
