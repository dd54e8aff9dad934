// Node resolves an addon's symbols when they are first called, and a missing one ends the process. So
// what the addons ask of Node and of its libuv is looked up in each Node beforehand.

import path from "node:path";
import { must, ToolError, which } from "./run.mjs";

const ofNode = /^(uv|napi|node_api|node)_/;

async function symbols(file, selection) {
  if (!which("nm")) throw new ToolError("nm is missing (Debian: apt-get install binutils)");
  const { stdout } = await must("nm", ["-D", selection, file], { capture: true });
  return stdout.split("\n").map((line) => line.trim().split(/\s+/).at(-1).split("@")[0]);
}

/** The symbols of Node's that an addon needs. */
export async function neededSymbols(addon) {
  return (await symbols(addon, "--undefined-only")).filter((name) => ofNode.test(name));
}

/** Which of an addon's symbols a Node does not have, by the addon's file name. */
export async function missingSymbols(node, addons) {
  const offered = new Set(await symbols(node, "--defined-only"));
  const missing = {};
  for (const addon of addons) {
    const needed = await neededSymbols(addon);
    if (needed.length === 0) throw new ToolError(`${addon} asks nothing of Node: is it an addon?`);
    missing[path.basename(addon)] = needed.filter((name) => !offered.has(name));
  }
  return missing;
}
