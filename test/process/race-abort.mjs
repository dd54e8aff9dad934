// 1,000 aborts around the moment of completion: one outcome each, no Task is left.
import { Python } from "coloop";

const py = await Python.start();
const sleep = py.import("asyncio").sleep;
const outcomes = { done: 0, AbortError: 0 };
for (let i = 0; i < 1000; i++) {
  const controller = new AbortController();
  const delay = (i % 5) / 2000;
  const call = sleep.$with({ signal: controller.signal })(delay, "done");
  const end = performance.now() + delay * 1000 + ((i % 11) - 5) / 20;
  if (i % 2 === 0) while (performance.now() < end);
  else await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  outcomes[
    await call.then(
      (value) => value,
      (error) => error.name,
    )
  ]++;
}
const left = py.evalSync("sum(not t.done() for t in a.all_tasks(a.get_event_loop()))", {
  a: py.import("asyncio"),
});
const all = outcomes.done + outcomes.AbortError === 1000;
console.log(all && left <= 1 ? "pass" : [outcomes, left]);
