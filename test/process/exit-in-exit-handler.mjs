// Python can be called in handlers of 'exit' that were added before it was started, not in later ones.
import { Python } from "coloop";

let py;
process.prependListener("exit", () => {
  if (py.evalSync("1 + 1") === 2) console.log("first");
});
py = await Python.start();
process.on("exit", () => {
  try {
    py.evalSync("1 + 1");
  } catch (error) {
    console.log(error.code === "ERR_COLOOP_EXITED" ? "pass" : String(error));
  }
});
