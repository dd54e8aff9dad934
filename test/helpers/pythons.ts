// The Pythons that a test of every version runs on.

import { existsSync } from "node:fs";
import { addonFiles } from "../../src/binding.js";
import { findPythons } from "../../tools/pythons.mjs";

/** Those of this machine that an addon is built for. */
export const builtPythons = (await findPythons()).filter((python) =>
  existsSync(addonFiles(python).bridge),
);
