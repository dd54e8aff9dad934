// JavaScript's own timers and Python's end together; neither cuts the other off.
import { Python } from "coloop";

const py = await Python.start();
const seen = [];
const late = () => {
  seen.push("python");
  if (seen.length === 2) console.log("pass");
};
void py.eval("await __import__('asyncio').sleep(0.1)").then(late);
setTimeout(() => {
  seen.push("javascript");
  if (seen.length === 2) console.log("pass");
}, 150);
