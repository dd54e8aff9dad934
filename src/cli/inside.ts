// Child of `coloop doctor`: starts Python and prints, as JSON, what it is in this process. A crash here is
// a finding there.

import { loadBinding } from "../binding.js";
import { discoverInterpreter } from "../discover.js";
import { Python } from "../python.js";
import { type Libraries, librariesScript } from "./libraries.js";

/** What Python is inside Node.js. */
export interface Inside {
  readonly mode: "isolated" | "plain";
  readonly reason: string;
  readonly libraries: Libraries;
}

const [selection] = process.argv.slice(2);
const interpreter = discoverInterpreter(selection);
const { mode, reason } = loadBinding(interpreter);
const py = await Python.start({ python: interpreter.executable });
py.execSync(librariesScript);
const libraries = JSON.parse(py.evalSync<string>("libraries()")) as Libraries;
await py.exec("import asyncio; await asyncio.sleep(0.001)");
await py.close();
const inside: Inside = { mode, reason, libraries };
process.stdout.write(`\n${JSON.stringify(inside)}\n`);
