// What broke in comparable libraries and has no better place: containers that change while they cross, and
// names that are code.

import type { PythonError } from "coloop";
import { expect, test } from "vitest";
import { checkLeaks, rejected, startPython } from "../helpers/python.js";

const py = await startPython();
checkLeaks(py);
test("a dict and a list that a thread changes all the time cross whole", () => {
  py.execSync(`
import threading
shared, items, go_on = {"kept": 1}, [0], True

def change():
    i = 0
    while go_on:
        i += 1
        shared[str(i % 50)] = i
        shared.pop(str((i + 25) % 50), None)
        items.append(i) if len(items) < 100 else items.clear()

changer = threading.Thread(target=change)
changer.start()
`);
  try {
    for (let i = 0; i < 2000; i += 1) {
      const seen = py.evalSync("shared") as Record<string, number>;
      expect(seen["kept"]).toBe(1);
      expect(Object.values(seen).every(Number.isInteger)).toBe(true);
      expect((py.evalSync("items") as number[]).every(Number.isInteger)).toBe(true);
    }
  } finally {
    py.execSync("go_on = False; changer.join(); del shared, items, changer, change");
  }
});

test("names are names, whatever is in them", async () => {
  const code = "math'); raise SystemExit; ('";
  expect((await rejected<PythonError>(py.call(code, "sqrt", [4]))).pythonType).toBe(
    "ModuleNotFoundError",
  );
  expect((await rejected<PythonError>(py.call("math", "sqrt(4) or ", [4]))).pythonType).toBe(
    "AttributeError",
  );
  expect("sqrt(4)" in py.import("math")).toBe(false);
  const name = "quote'\"); raise SystemExit #";
  expect(() => py.register(name, () => 1)).toThrow(/is not a Python identifier/);
  expect(py.evalSync("{key: 1}", { key: name })).toEqual({ [name]: 1 });
});
