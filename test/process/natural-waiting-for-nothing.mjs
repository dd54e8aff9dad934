// A Task that waits for what can never happen does not keep Node alive.
// within: 5000
import { Python } from "coloop";

const py = await Python.start();
const never = () => console.log("not reached");
py.eval("__import__('asyncio').Event().wait()").then(never, never);
py.eval("await p", { p: new Promise(() => {}) }).then(never, never);
py.eval("__import__('asyncio').get_running_loop().create_future()").then(never, never);
console.log("pass");
