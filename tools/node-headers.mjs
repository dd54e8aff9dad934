// Finds the headers of this Node: node_api.h, and uv.h of the libuv inside it.

import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { ask, ToolError } from "./run.mjs";

function gypCaches() {
  const home = os.homedir();
  const folders = [
    process.env.XDG_CACHE_HOME && path.join(process.env.XDG_CACHE_HOME, "node-gyp"),
    path.join(home, ".cache", "node-gyp"),
    path.join(home, "Library", "Caches", "node-gyp"),
    process.env.LOCALAPPDATA && path.join(process.env.LOCALAPPDATA, "node-gyp", "Cache"),
    path.join(home, ".node-gyp"),
  ];
  return folders
    .filter(Boolean)
    .map((folder) => path.join(folder, process.versions.node, "include", "node"));
}

/** The headers of a libuv installed beside Node, with Node-API's own from the package of that name. */
function separateHeaders() {
  const uv = ask("pkg-config", ["--variable=includedir", "libuv"]);
  if (!uv || !existsSync(path.join(uv, "uv.h"))) return undefined;
  try {
    const require = createRequire(import.meta.url);
    const folder = path.join(
      path.dirname(require.resolve("node-api-headers/package.json")),
      "include",
    );
    return [folder, uv];
  } catch {
    return undefined;
  }
}

/** Returns the include folders (one, as a rule), or throws an error that lists what was tried. */
export function findNodeHeaders() {
  const prefix = path.dirname(path.dirname(realpathSync(process.execPath)));
  const nodedir = process.env.npm_config_nodedir;
  const candidates = [
    nodedir && path.join(nodedir, "include", "node"),
    path.join(prefix, "include", "node"),
    ...gypCaches(),
  ].filter(Boolean);
  for (const folder of candidates) {
    if (existsSync(path.join(folder, "uv.h")) && existsSync(path.join(folder, "node_api.h"))) {
      return [folder];
    }
  }
  const separate = separateHeaders();
  if (separate) return separate;
  throw new ToolError(
    [
      `no headers of Node ${process.versions.node} (node_api.h and uv.h) found. Tried:`,
      ...candidates.map((folder) => `  ${folder}`),
      "  pkg-config libuv with the npm package node-api-headers",
      "Install Node from nodejs.org or a version manager (its headers come along), or run",
      "`npx node-gyp install`, or set npm_config_nodedir to a folder that holds include/node.",
    ].join("\n"),
  );
}

/** The folder of the system's own libuv headers, against which the tests without Node are built. */
export function findSystemUv() {
  const folder = ask("pkg-config", ["--variable=includedir", "libuv"]) ?? "/usr/include";
  return existsSync(path.join(folder, "uv.h")) ? folder : undefined;
}
