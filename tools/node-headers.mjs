// Finds the headers of this Node: node_api.h, and uv.h of the libuv inside it.

import { existsSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { ask, root, ToolError } from "./run.mjs";

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

/**
 * For a Node without headers of its own: those of a libuv installed beside it, with Node-API's from the
 * package `node-api-headers`. Neither is a dependency; `tried` is told which of them is missing.
 */
function separateHeaders(tried) {
  const uv = ask("pkg-config", ["--variable=includedir", "libuv"]);
  const hasUv = uv && existsSync(path.join(uv, "uv.h"));
  const api = findPackage("node-api-headers");
  if (hasUv && api) return [path.join(api, "include"), uv];
  tried.push(`pkg-config libuv: ${hasUv ? uv : "not found"}`);
  tried.push(`the npm package node-api-headers: ${api ?? "not installed"}`);
  return undefined;
}

/** A package of the project that is built in, or of this one. */
function findPackage(name) {
  const { resolve } = createRequire(import.meta.url);
  try {
    return path.dirname(resolve(`${name}/package.json`, { paths: [process.cwd(), root] }));
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
  const tried = [...candidates];
  const separate = separateHeaders(tried);
  if (separate) return separate;
  throw new ToolError(
    [
      `no headers of Node ${process.versions.node} (node_api.h and uv.h) found. Tried:`,
      ...tried.map((place) => `  ${place}`),
      "Do one of these:",
      "  install Node from nodejs.org or with a version manager: its headers come along",
      "  npx node-gyp install",
      "  set npm_config_nodedir to a folder that holds include/node",
      "  install libuv's headers (Debian: apt-get install libuv1-dev pkg-config) and",
      "  `npm install --save-dev node-api-headers`",
    ].join("\n"),
  );
}

/** The folder of the system's own libuv headers, against which the tests without Node are built. */
export function findSystemUv() {
  const folder = ask("pkg-config", ["--variable=includedir", "libuv"]) ?? "/usr/include";
  return existsSync(path.join(folder, "uv.h")) ? folder : undefined;
}
