// The example of the README.

import { Python } from "coloop";

const py = await Python.start(); // COLOOP_PYTHON, ./.venv, VIRTUAL_ENV or python3 on PATH
console.log(py.import("statistics").mean([1, 2, 3, 4])); // 2.5
py.execSync(`
import asyncio
async def greet(name, delay):
    await asyncio.sleep(delay)
    return f"hello, {name}"
`);
const { greet } = py.globals;
console.log(await Promise.all([greet("Node", 0.02), greet("Python", 0.01)])); // [ 'hello, Node', 'hello, Python' ]
await py.close();
