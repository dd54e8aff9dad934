// Python calls JavaScript: registered functions, promises that Python awaits, errors that cross twice.

import { Python, PythonError } from "coloop";

const py = await Python.start();

py.register("double", (value) => value * 2);
py.register("fetchUser", async (id) => {
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (id < 0) throw new RangeError(`no user ${id}`);
  return { id, name: `user ${id}` };
});

py.execSync(`
import asyncio
from coloop import JsError, double, fetchUser

def doubled(numbers):
    return [double(number) for number in numbers]

async def names(ids):
    users = await asyncio.gather(*(fetchUser(id) for id in ids))
    return [user["name"] for user in users]

async def careful(id):
    try:
        return await fetchUser(id)
    except JsError as error:
        return f"Python caught {error.name}: {error.message}"

def broken():
    return {}["key"]
`);

const { doubled, names, careful, broken } = py.globals;
console.log(doubled([1, 2.5, -3]));
console.log(await names([7, 8]));
console.log(await careful(-1));
await names([-2]).catch((error) => console.log(error instanceof RangeError, error.message));
try {
  broken();
} catch (error) {
  if (!(error instanceof PythonError)) throw error;
  console.log(error.name, error.message, error.frames.at(-1).function);
}

await py.close();
