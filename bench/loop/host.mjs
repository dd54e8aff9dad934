// coloop inside Node: `node host.mjs owned|hosted PYTHON serve KIND ARGUMENT` and
// `… measure SCALE CELLS` do what server.py and operations.py do in a plain interpreter.

import { fileURLToPath } from "node:url";
import { Python } from "coloop";

const [place, python, task, first, second] = process.argv.slice(2);
const owned = place === "owned";
const py = await Python.start({ python });
py.execSync("import sys; sys.path.insert(0, folder)", {
  folder: fileURLToPath(new URL(".", import.meta.url)),
});
const { new_event_loop: newLoop } = py.import("coloop");

if (task === "serve") {
  const server = py.import("server");
  // On its own loop Python blocks this thread until the process is killed.
  if (owned) server.serve(newLoop, first, second);
  await server.listen(first, second);
} else {
  const operations = py.import("operations");
  const scale = Number(first);
  const cells = second.split(",");
  // Some operations wait for a thread of Python's, which alone would not keep Node alive.
  const alive = setInterval(() => {}, 60_000);
  const result = owned
    ? operations.on_new(newLoop, scale, cells)
    : await operations.on_running(scale, cells);
  console.log(JSON.stringify(result));
  clearInterval(alive);
  await py.close();
}
