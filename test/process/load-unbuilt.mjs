// Without its addons, or with those of another version, the library says where it looked and what to
// do. Argument: an empty folder.
import { ok, rejects, strictEqual } from "node:assert/strict";
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { discoverInterpreter } from "coloop";

const folder = process.argv[2];
const root = path.resolve(import.meta.dirname, "../..");
const copy = (name) => cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
for (const name of ["dist", "python", "package.json"]) copy(name);
const { Python } = await import(pathToFileURL(path.join(folder, "dist", "index.js")).href);
const { executable, tag } = discoverInterpreter();

async function refused(...words) {
  await rejects(Python.start(), (error) => {
    strictEqual(error.code, "ERR_COLOOP_ADDON");
    for (const word of [...words, `npx coloop build --python ${executable}`]) {
      ok(error.message.includes(word), `${word} is not in: ${error.message}`);
    }
    return true;
  });
}

await refused(path.join(folder, "build", "loader", "coloop_loader.node"));
mkdirSync(path.join(folder, "build"));
writeFileSync(path.join(folder, "build", "loader"), "");
await refused("coloop_loader.node");
rmSync(path.join(folder, "build", "loader"));
copy("build/loader");
await refused(path.join(folder, "build", tag, `coloop_${tag}.node`));
mkdirSync(path.join(folder, "build", tag));
writeFileSync(path.join(folder, "build", tag, `coloop_${tag}.node`), "no addon");
await refused(`coloop_${tag}.node`, "reason: ");

const bridge = `build/${tag}/coloop_${tag}.node`;
rmSync(path.join(folder, bridge));
copy(bridge);
for (const [name, text] of [
  ["python/_coloop.pyi", "def added_later() -> None: ...\n"],
  ["dist/binding.d.ts", "export declare function addedLater(): void;\n"],
]) {
  appendFileSync(path.join(folder, name), text);
  await refused(path.join(folder, bridge), "built from another version", "process anew");
  copy(name);
}
const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
writeFileSync(path.join(folder, "package.json"), '{ "type": "module", "version": "9.9.9" }');
await refused(`built from: ${version}-`, "this package: 9.9.9-");
copy("package.json");

const py = await Python.start();
strictEqual(py.evalSync("1 + 1"), 2);
await py.close();
console.log("pass");
