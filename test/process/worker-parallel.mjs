// Four Workers and the main thread call Python at once; each has its own loop and results.
import { Python } from "coloop";
import { startWorker } from "./worker-helpers.mjs";

const py = await Python.start();
const workers = Array.from({ length: 4 }, () => startWorker("count"));
let own = 0;
for (let i = 0; i < 500; i++) own += await py.eval(`await __import__('asyncio').sleep(0, ${i})`);
const sums = (await Promise.all(workers)).map(({ message }) => message);
const ok = own === (500 * 499) / 2 && sums.every((sum) => sum === 2001000);
console.log(ok ? "pass" : [own, sums]);
