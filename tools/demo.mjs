// `npm run demo`: from a bare clone to the running example. The example runs in this very process, so
// that Ctrl-C and SIGTERM reach it once, as they would reach any program.

import path from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "./build.mjs";
import { installPackages } from "./install.mjs";
import { main, root, seconds } from "./run.mjs";

let ready = false;

await main(async () => {
  const start = performance.now();
  await installPackages();
  await build({});
  console.log(`[coloop] ready after ${seconds(start)}\n`);
  ready = true;
});

if (ready) {
  const example = path.join(root, "examples", "crawler", "main.mjs");
  process.argv = [process.argv[0], example, ...process.argv.slice(2)];
  await import(pathToFileURL(example).href);
}
