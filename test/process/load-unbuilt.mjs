// Without its addons the library says where it looked and what to do. Argument: an empty folder.
import { ok, rejects, strictEqual } from "node:assert/strict";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { discoverInterpreter } from "coloop";

const folder = process.argv[2];
const root = path.resolve(import.meta.dirname, "../..");
cpSync(path.join(root, "dist"), path.join(folder, "dist"), { recursive: true });
writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
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
cpSync(path.join(root, "build", "loader"), path.join(folder, "build", "loader"), {
  recursive: true,
});
await refused(path.join(folder, "build", tag, `coloop_${tag}.node`));
mkdirSync(path.join(folder, "build", tag));
writeFileSync(path.join(folder, "build", tag, `coloop_${tag}.node`), "no addon");
await refused(`coloop_${tag}.node`, "reason: ");
console.log("pass");
