// What hooks throw at the end is told, whatever it is, and Python is closed all the same.
// signal: SIGTERM
// exit: 143
// stderr: an onShutdown hook threw undefined
import { Python } from "coloop";

const py = await Python.start();
const warnings = [];
process.on("warning", (warning) => warnings.push(warning.message));
const thrown = [undefined, { not: "an error" }, new Error("of a hook")];
for (const value of thrown) {
  py.onShutdown(() => {
    throw value;
  });
}
py.shutdownOnSignals({ grace: 10_000 });
process.prependListener("exit", () => {
  try {
    py.evalSync("1");
  } catch (error) {
    const wanted = ["threw undefined", "threw { not: 'an error' }", "of a hook"];
    const told = wanted.every((text) => warnings.some((warning) => warning.endsWith(text)));
    console.log(told && error.code === "ERR_COLOOP_CLOSED" ? "pass" : `${error} ${warnings}`);
  }
});
setInterval(() => {}, 1000);
console.log("ready");
