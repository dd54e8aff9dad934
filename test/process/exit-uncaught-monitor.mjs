// process.on('uncaughtException') keeps the process alive; Python goes on.
import { Python } from "coloop";

const py = await Python.start();
process.once("uncaughtException", async () => {
  if ((await py.eval("40 + 2")) === 42) console.log("pass");
});
setTimeout(() => {
  throw new Error("caught by the handler");
}, 1);
