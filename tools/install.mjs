// What a tool needs from outside this folder: npm packages, and Debian packages where it may.

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { ask, must, root, run, timed, which } from "./run.mjs";

/** `npm ci` without install scripts, when node_modules is missing or older than the lock. */
export async function installPackages() {
  const lock = path.join(root, "package-lock.json");
  const installed = path.join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  await timed("npm packages installed", () =>
    must(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { quiet: true }),
  );
}

function isInstalled(name) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is dpkg that fills it in
  return ask("dpkg-query", ["-W", "-f=${db:Status-Status}", name]) === "installed";
}

/** Installs Debian packages. Returns undefined when all are there, else the reason why not. */
export async function installDebianPackages(...names) {
  if (!which("apt-get")) return `this system has no apt-get to install ${names.join(", ")}`;
  const missing = names.filter((name) => !isInstalled(name));
  if (missing.length === 0) return undefined;
  if (process.getuid?.() !== 0) return `not root: apt-get install ${missing.join(" ")}`;
  const apt = (...args) =>
    run("apt-get", ["-q", "-y", ...args], {
      capture: true,
      env: { DEBIAN_FRONTEND: "noninteractive" },
    });
  const install = () => apt("install", "--no-install-recommends", ...missing);
  return await timed(`apt-get install ${missing.join(" ")}`, async () => {
    if ((await install()).code === 0) return undefined;
    await apt("update");
    const { code, stderr } = await install();
    return code === 0 ? undefined : `apt-get install failed: ${stderr.trim().split("\n").at(-1)}`;
  });
}
