// A Task with a live timer keeps Node alive.
import { Python } from "coloop";

const py = await Python.start();
void py.eval("__import__('asyncio').sleep(0.3)").then(() => console.log("pass"));
