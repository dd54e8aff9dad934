// Promises that Python awaits: fulfilled and rejected ones.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat(async (py) => {
  py.execSync(`
async def wait(promise):
    try:
        return await promise
    except Exception as error:
        return str(error)
`);
  const { wait } = py.globals;
  for (let i = 0; i < 40; i++) {
    const calls = [];
    for (let j = 0; j < 50; j++) {
      calls.push(wait(Promise.resolve(j)), wait(Promise.reject(new Error("no"))));
    }
    await Promise.all(calls);
  }
});
