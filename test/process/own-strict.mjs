// The preset `strict`: an interpreter of a Worker's own starts nevertheless, and then computes only.
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

await Python.start({ sandbox: { preset: "strict" } });
const task = async ({ py, assert }) => {
  assert.equal(py.evalSync("sum(range(10))"), 45);
  assert.equal(await py.eval("await __import__('asyncio').sleep(0, 5)"), 5);
  assert.throws(() => py.execSync("open('/etc/hostname')"), /open is blocked/);
};
await inOwn(task);
await inOwn(task);
console.log("pass");
