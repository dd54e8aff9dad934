// A program that puts something else in the place of asyncio's Future gets an exception of Python's.
import assert from "node:assert/strict";
import { Python } from "coloop";

const py = await Python.start();
py.execSync("import asyncio; asyncio.Future = asyncio.futures.Future = None");
await assert.rejects(
  py.exec("import asyncio; asyncio.get_running_loop().create_future()"),
  /'NoneType' object is not callable/,
);
console.log("pass");
await py.close();
