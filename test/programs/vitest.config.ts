import { defineConfig, mergeConfig } from "vitest/config";
import base from "../../vitest.config.js";

// Run by tools/programs.mjs, which makes the venv that they need.
const config = mergeConfig(base, defineConfig({}));
config.test = {
  ...config.test,
  include: ["test/programs/**/*.test.ts"],
  execArgv: ["--expose-gc", "--experimental-websocket"], // Node 20 hides its WebSocket
  testTimeout: 60_000,
};
export default config;
