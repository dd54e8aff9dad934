// anyio's own tests in a Node.js process of their own: anyio-suite.mjs VENV FOLDER RESULT DEBUG [pytest's arguments].
import { Python } from "coloop";

const [python, folder, result, debug, ...filters] = process.argv.slice(2);
const py = await Python.start({ python, signals: "host" });
py.execSync("import sys; sys.path.insert(0, folder)", { folder: import.meta.dirname });
py.import("anyio_suite").run_on_ours(folder, result, debug === "1", filters);
process.exit();
