// One module of CPython's tests in a Node.js process of its own: child.mjs MODULE FILE [DEBUG].
import { Python } from "coloop";

const [module, file, debug] = process.argv.slice(2);
const py = await Python.start({ sandbox: { subprocess: () => true } });
py.execSync("import sys\nsys.path.insert(0, folder)", { folder: import.meta.dirname });
py.import("suite").run(module, file, debug);
await py.call("suite", "run_with_children", [module, file, debug]);
process.exit();
