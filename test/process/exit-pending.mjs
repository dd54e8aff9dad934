// Tasks and promises that are pending at process.exit are dropped without a word.
import { Python } from "coloop";

const py = await Python.start();
for (let i = 0; i < 50; i++) void py.eval("__import__('asyncio').sleep(60)");
for (let i = 0; i < 50; i++) void py.eval("await p", { p: new Promise(() => {}) });
setTimeout(() => {
  console.log("pass");
  process.exit(0);
}, 20);
