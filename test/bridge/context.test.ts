import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import { checkLeaks, startPython } from "../fixtures/py2/start.js";

const py = await startPython();
const mod = py.import("seam_context");
const storage = new AsyncLocalStorage<string>();
const ask = () => storage.getStore();

checkLeaks(py);

const inStore = <T>(store: string, work: () => T): T => storage.run(store, work);

describe("JavaScript that a Task calls sees the store of the call that started the Task", () => {
  test("at once", async () => {
    expect(await inStore("a", () => mod.ask_now(ask))).toBe("a");
  });

  test("after turns of the loop", async () => {
    expect(await inStore("a", () => mod.ask_after(ask, 5))).toBe("a");
  });

  test("after a sleep, the store being another one meanwhile", async () => {
    const promise = inStore("a", () => mod.ask_after_sleep(ask, 0.005)) as Promise<string>;
    await inStore("b", () => new Promise((resolve) => setTimeout(resolve, 10)));
    expect(await promise).toBe("a");
  });

  test("after a JavaScript promise, which another store fulfils", async () => {
    let fulfil: () => void = () => {};
    const wait = new Promise<void>((resolve) => {
      fulfil = resolve;
    });
    const promise = inStore("a", () => mod.ask_after_promise(ask, wait)) as Promise<string>;
    await new Promise((resolve) => setImmediate(resolve));
    inStore("b", () => fulfil());
    expect(await promise).toBe("a");
  });

  test("in 100 calls at once, each its own", async () => {
    const stores = Array.from({ length: 100 }, (_, i) => `store ${i}`);
    const calls = stores.map((store, i) => inStore(store, () => mod.ask_often(ask, 1 + (i % 5))));
    const seen = (await Promise.all(calls)) as string[][];
    for (const [i, answers] of seen.entries()) {
      expect(answers).toEqual(Array(1 + (i % 5)).fill(stores[i]));
    }
  });

  test("in Tasks and callbacks that the Task starts", async () => {
    expect(await inStore("a", () => mod.ask_in_child(ask))).toEqual(["a", "a", "a"]);
  });

  test("through a method of an object", async () => {
    class Asker {
      get() {
        return ask();
      }
    }
    expect(await inStore("a", () => mod.ask_by_method(new Asker()))).toBe("a");
  });

  test("in an async function, also after its own awaits", async () => {
    const later = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return ask();
    };
    const [seen] = (await inStore("a", () => mod.await_async_function(later))) as string[];
    expect(seen).toBe("a");
  });

  test("in timers that the called JavaScript starts", async () => {
    const later = () => new Promise((resolve) => setTimeout(() => resolve(ask()), 1));
    const [seen] = (await inStore("a", () => mod.await_async_function(later))) as string[];
    expect(seen).toBe("a");
  });

  test("none, if the call had none", async () => {
    expect(await mod.ask_after(ask, 2)).toBeNull();
  });

  test("in an async generator", async () => {
    const seen: unknown[] = [];
    await inStore("a", async () => {
      for await (const item of mod.items(ask, 3) as AsyncIterable<unknown>) seen.push(item);
    });
    expect(seen).toEqual(["a", "a", "a"]);
  });

  test("with eval, exec, call and options", async () => {
    const locals = { m: mod, ask };
    expect(await inStore("a", () => py.eval("await m.ask_after(ask, 2)", locals))).toBe("a");
    expect(await inStore("a", () => py.call("seam_context", "ask_after", [ask, 2]))).toBe("a");
    expect(await inStore("a", () => mod.ask_after.$with({ timeout: 5000 })(ask, 2))).toBe("a");
  });
});

describe("synchronous calls", () => {
  test("JavaScript called by Python sees the caller's store", () => {
    expect(inStore("a", () => mod.ask_sync(ask))).toBe("a");
    expect(inStore("a", () => mod.ask_nested(ask, 20))).toBe("a");
  });

  test("and its inner ones", () => {
    const seen = inStore("a", () => [
      mod.ask_sync(() => inStore("b", () => mod.ask_sync(ask))),
      mod.ask_sync(ask),
    ]);
    expect(seen).toEqual(["b", "a"]);
  });

  test("inside JavaScript that a Task called: a call there has that store", async () => {
    const inner = () => mod.ask_sync(ask) as unknown;
    expect(await inStore("a", () => mod.ask_after(inner, 2))).toBe("a");
  });
});

describe("the caller's side", () => {
  test("the store after `await` is the caller's own", async () => {
    await inStore("a", async () => {
      await mod.ask_after(ask, 3);
      expect(ask()).toBe("a");
    });
    expect(ask()).toBeUndefined();
  });

  test("handlers of the promise have the store where they were added", async () => {
    const promise = inStore("a", () => mod.ask_after(ask, 1)) as Promise<string>;
    expect(await inStore("b", () => promise.then(() => ask()))).toBe("b");
  });

  test("AsyncResource.bind keeps its store when Python calls", async () => {
    const bound = inStore("bound", () => AsyncResource.bind(ask));
    expect(await inStore("a", () => mod.ask_after(bound, 2))).toBe("bound");
  });

  test("enterWith inside a call does not leak to other calls", async () => {
    const enter = () => {
      storage.enterWith("entered");
      return ask();
    };
    await Promise.all([
      inStore("a", () => mod.ask_after(enter, 1)),
      inStore("b", async () => {
        expect(await mod.ask_after(ask, 4)).toBe("b");
      }),
    ]);
    expect(ask()).toBeUndefined();
  });
});

describe("contextvars", () => {
  test("a variable set in a Task stays in it", async () => {
    expect(await mod.set_and_call("mine", () => 1)).toEqual(["mine", 1, "mine"]);
    expect(mod.get_variable()).toBe("unset");
    expect(await mod.get_variable_later()).toBe("unset");
  });

  test("parallel Tasks have their own", async () => {
    const calls = Array.from({ length: 50 }, (_, i) => mod.set_and_call(i, () => i));
    const seen = (await Promise.all(calls)) as unknown[];
    expect(seen).toEqual(Array.from({ length: 50 }, (_, i) => [i, i, i]));
  });

  test("Python called by JavaScript that a Task called sees the Task's variables", async () => {
    const [, seen] = (await mod.set_and_call("outer", () => mod.get_variable())) as unknown[];
    expect(seen).toBe("outer");
  });

  test("a Task started by such JavaScript inherits them", async () => {
    let inner: Promise<unknown> = Promise.resolve();
    await mod.set_and_call("outer", () => {
      inner = mod.get_variable_later() as Promise<unknown>;
    });
    expect(await inner).toBe("outer");
  });

  test("asyncio.Task keeps the variables of its synchronous caller", async () => {
    const seen = await py.eval(
      "await c.copy_context().run(lambda: (m.set_variable('inner'), m.get_variable_later())[1])",
      { c: py.import("contextvars"), m: mod },
    );
    expect(["inner", "unset"]).toContain(seen);
  });
});

describe("threads", () => {
  test("to_thread runs in the Task's context: its JavaScript calls see the store", async () => {
    expect(await inStore("a", () => mod.ask_in_thread(ask))).toBe("a");
  });

  test("a thread of its own has none", async () => {
    mod.keep(ask);
    const [thread, result] = inStore("a", () =>
      py.evalSync<[{ is_alive(): boolean }, unknown[]]>(
        "(lambda p: [c.ref(p[0]), c.ref(p[1])])(m.call_kept_from_thread())",
        { m: mod, c: py.import("coloop") },
      ),
    );
    while (thread.is_alive()) await new Promise((resolve) => setImmediate(resolve));
    expect((result as { $toJs?: () => unknown }).$toJs?.() ?? result).toEqual([null]);
    mod.keep(null);
  });
});
