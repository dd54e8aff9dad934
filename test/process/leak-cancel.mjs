// Calls that are aborted, and their timers and signals.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat(async (py) => {
  const sleep = py.import("asyncio").sleep;
  for (let i = 0; i < 40; i++) {
    const controller = new AbortController();
    const calls = [];
    for (let j = 0; j < 20; j++) {
      calls.push(
        sleep
          .$with({ signal: controller.signal, timeout: 60_000 })(60)
          .catch(() => {}),
      );
    }
    controller.abort();
    await Promise.all(calls);
  }
  await new Promise((resolve) => setTimeout(resolve, 5));
});
