// Modules of the package that are imported late: a policy may forbid by then to list the folder.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { Python } from "coloop";

const py = await Python.start({ sandbox: { deny: ["os.listdir"] } });
const names = readdirSync(new URL("../../python/_erlang_impl/", import.meta.url))
  .filter((file) => file.endsWith(".py") && file !== "__init__.py")
  .map((file) => file.slice(0, -3));
const loaded = py.evalSync("[*__import__('sys').modules]");
const late = names.filter((name) => !loaded.includes(`_erlang_impl.${name}`));
assert.notEqual(late.length, 0);
py.execSync(`
import sys
for folder in [*sys.path_importer_cache]:
    if folder.endswith("_erlang_impl"):
        del sys.path_importer_cache[folder]
`);
for (const [number, name] of late.entries()) {
  py.import(`${["coloop", "erlang", "_erlang_impl"][number % 3]}.${name}`);
}
await py.close();
console.log("pass");
