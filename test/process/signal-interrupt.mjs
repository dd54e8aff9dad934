// Ctrl-C while Python blocks the thread, for a program that asks for it.
// signal: SIGINT
// within: 20000
import { once } from "node:events";
import { Python } from "coloop";

const py = await Python.start();
const alive = setInterval(() => {}, 1000); // a signal alone keeps no process alive
const events = [];
py.onSignal("SIGINT", (name, number) => events.push([name, number]), { interrupt: true });
try {
  py.execSync("import os, time; os.write(1, b'ready\\n'); time.sleep(60)");
} catch (error) {
  events.push(error.name);
}
if (events.length < 2) await once(process, "SIGINT");
const wanted = JSON.stringify(["PythonInterruptedError", ["SIGINT", 2]]);
console.log(JSON.stringify(events) === wanted ? "pass" : JSON.stringify(events));
clearInterval(alive);
await py.close();
