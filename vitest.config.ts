import { defineConfig } from "vitest/config";

// One process holds one interpreter, so every test file gets a process of its own.
export default defineConfig({
  test: {
    include: ["test/{unit,bridge,process,architecture}/**/*.test.ts"],
    pool: "forks",
    isolate: true,
    maxWorkers: 2,
    execArgv: ["--expose-gc"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 5_000,
    // What is shipped is what is tested: "coloop" is dist/, loaded by Node itself.
    server: { deps: { external: [/\/dist\//, /\.node$/] } },
  },
});
