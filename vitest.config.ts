import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// One process holds one interpreter, so every test file gets a process of its own.
export default defineConfig({
  resolve: {
    // In-process tests use the sources under either name; children and Workers use dist/.
    alias: { coloop: fileURLToPath(new URL("src/index.ts", import.meta.url)) },
  },
  test: {
    include: ["test/{unit,bridge,smoke,process,cli,architecture}/**/*.test.ts"],
    pool: "forks",
    isolate: true,
    maxWorkers: 2,
    execArgv: ["--expose-gc"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
  },
});
