// Children that Node.js runs for Python, by asyncio; and what the user's function may answer.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { beforeEach, describe, expect, test } from "vitest";
import {
  type PyProxy,
  Python,
  type SubprocessDecision,
  type SubprocessRequest,
} from "../../src/index.js";
import { checkLeaks, startPython } from "../helpers/python.js";

type Decide = (request: SubprocessRequest) => SubprocessDecision | Promise<SubprocessDecision>;

let decide: Decide = () => true;
let requests: SubprocessRequest[] = [];

const py = await startPython({
  sandbox: {
    subprocess: (request) => {
      requests.push(request);
      return decide(request);
    },
  },
});
const guide = py.import("children_guide");
checkLeaks(py);

beforeEach(() => {
  decide = () => true;
  requests = [];
});

const fail = () => {
  throw new Error("angry");
};
const angry = { enumerable: true, get: fail };

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function nested(depth: number): unknown {
  return depth === 0 ? 0 : [nested(depth - 1)];
}

function disposed(): unknown {
  const proxy = py.evalSync<PyProxy>("children_guide.Mute()");
  proxy.$dispose();
  return proxy;
}

const refused = "subprocess.Popen is blocked in Node.js host context. ";

describe("asyncio", () => {
  test("a program's streams and exit code", async () => {
    const [out, err, code] = await guide.run("sh", "-c", "cat; echo e >&2; exit 3", "in");
    expect([out, err, code]).toEqual(["", "e\n", 3]);
  });

  test("what goes in comes out", async () => {
    const run = guide.run.$with({ kwargs: { data: "there and back" } });
    expect(await run("cat")).toEqual(["there and back", "", 0]);
  });

  test("a shell's line, a folder and an environment of its own", async () => {
    const shell = guide.shell.$with({ kwargs: { cwd: "/", env: { NAME: "value" } } });
    expect(await shell("pwd; echo $NAME; exit 9")).toEqual(["/\nvalue\n", 9]);
  });

  test("streams go where they are led", async () => {
    expect(await guide.streams()).toEqual(["a\nb\n", 0, "into a pipe\n"]);
  });

  test("a conversation line by line", async () => {
    expect(await guide.lines()).toEqual([["ONE\n", "TWO\n"], 0]);
  });

  test("signals end a child", async () => {
    expect(await guide.signals()).toEqual({ terminate: -15, kill: -9, hup: -1 });
  });

  test("a time-out leaves the child running", async () => {
    expect(await guide.timed_out()).toEqual([true, -9]);
  });

  test("50 MB both ways", async () => {
    const size = 50 * 2 ** 20;
    expect(await guide.echo_much(size)).toEqual([size, true, 0]);
  }, 60_000);

  test("100 children at once", async () => {
    const before = guide.open_descriptors();
    expect(await guide.many(100)).toBe(true);
    expect(guide.open_descriptors()).toBe(before);
  }, 60_000);

  test("a loop of its own in a thread", async () => {
    expect(await guide.owned_in_thread()).toEqual(["from an owned loop\n", "", 0]);
  });

  test("a loop that blocks the JavaScript thread says where to go", () => {
    expect(() =>
      py.execSync("import asyncio, children_guide as g; asyncio.run(g.run('true'))"),
    ).toThrow("this loop blocks the JavaScript thread");
  });

  test.each([
    ["no such program", ["/no/such"], {}, ["FileNotFoundError", 2, "/no/such"]],
    ["not on PATH", ["no-such-program"], {}, ["FileNotFoundError", 2, "no-such-program"]],
    ["no program", ["/etc/passwd"], {}, ["PermissionError", 13, "/etc/passwd"]],
    ["no name", [""], {}, ["PermissionError", 13, ""]],
    ["a descriptor that is not open", ["true"], { stdout: 999 }, ["OSError", 9, null]],
    ["below a file", ["/etc/passwd/x"], {}, ["NotADirectoryError", 20, "/etc/passwd/x"]],
    ["no such folder", ["true"], { cwd: "/no/such" }, ["FileNotFoundError", 2, "/no/such"]],
    [
      "a file as folder",
      ["true"],
      { cwd: "/etc/passwd" },
      ["NotADirectoryError", 20, "/etc/passwd"],
    ],
  ])("the error of %s", async (_, argv, kwargs, [type, errno, name]) => {
    const before = guide.open_descriptors();
    expect(await guide.failing.$with({ kwargs })(argv)).toMatchObject({ type, errno, name });
    expect(await guide.failing_in_thread.$with({ kwargs })(argv)).toMatchObject({
      type,
      errno,
      name,
    });
    expect(guide.open_descriptors()).toBe(before);
  });
});

describe("the request", () => {
  test("says what is to be started, and from where", async () => {
    const kwargs = { cwd: "/tmp", env: { A: "1" }, start_new_session: true };
    await guide.run.$with({ kwargs })("true", "x");
    const [request] = requests;
    expect(request).toMatchObject({
      argv: ["true", "x"],
      cwd: "/tmp",
      env: { A: "1" },
      ...{ stdin: "pipe", stdout: "pipe", stderr: "pipe", passFds: [], detached: true },
    });
    expect(Object.keys(request ?? {})).not.toContain("shell");
    const frames = request?.stack.map((frame) => frame.function);
    expect(frames).toContain("create_subprocess_exec");
    const own = request?.stack.find((frame) => frame.file.endsWith("children_guide.py"));
    const line = readFileSync(own?.file as string, "utf8").split("\n")[(own?.line as number) - 1];
    expect(line).toContain("create_subprocess_exec");
    expect(own?.function).toBe("run");
  });

  test("names streams and a shell's line", async () => {
    await guide.streams();
    expect(requests.map(({ stdin, stdout, stderr }) => [stdin, stdout, stderr])).toEqual([
      ["inherit", "pipe", "stdout"],
      ["ignore", "ignore", "inherit"],
      ["inherit", expect.any(Number), "inherit"],
    ]);
    expect(requests[0]).toMatchObject({
      shell: "echo a; echo b >&2",
      argv: ["/bin/sh", "-c", "echo a; echo b >&2"],
    });
  });

  test("has the executable where it is another", async () => {
    const run = guide.run.$with({ kwargs: { executable: "/bin/sh" } });
    expect(await run("name", "-c", "echo $0")).toEqual(["name\n", "", 0]);
    expect(requests[0]).toMatchObject({ executable: "/bin/sh", argv: ["name", "-c", "echo $0"] });
  });

  test("cannot be changed in place", async () => {
    decide = (request) => {
      (request.argv as string[]).push("more");
      return true;
    };
    expect(await guide.failing(["echo"])).toMatchObject({
      text: `${refused}The sandbox's subprocess function denies it: it failed`,
      cause: expect.stringContaining("not extensible"),
    });
  });
});

describe("the answer", () => {
  test.each<[string, Decide, string]>([
    ["false", () => false, "."],
    ["nothing", () => undefined, "."],
    ["null", () => null, "."],
    ["a reason", () => "not here", ": not here"],
    ["an object with a reason", () => ({ reason: "not now" }), ": not now"],
    ["false, later", async () => sleep(5, false), "."],
  ])("%s denies", async (_, answer, text) => {
    decide = answer;
    const denied = {
      type: "RuntimeError",
      text: `${refused}The sandbox's subprocess function denies it${text}`,
    };
    expect(await guide.failing(["true"])).toMatchObject(denied);
    expect(await guide.failing_in_thread(["true"])).toMatchObject(denied);
  });

  test("true, later, allows", async () => {
    decide = async () => sleep(5, true);
    expect(await guide.run("echo", "late")).toEqual(["late\n", "", 0]);
  });

  test.each<[string, Decide, string]>([
    [
      "throws",
      () => {
        throw new Error("boom");
      },
      "Error: boom",
    ],
    ["is rejected", () => Promise.reject(new Error("later")), "Error: later"],
    ["a number", () => 1 as never, "answered with number"],
    ["an array", () => ["true"] as never, "answered with object"],
    ["an empty object", () => ({}), "without anything in it"],
    [
      "a wrong argv",
      () => ({ argv: "ls" }) as never,
      'a wrong "argv": it must be an array of strings',
    ],
    ["an empty argv", () => ({ argv: [] }), 'a wrong "argv"'],
    ["a wrong cwd", () => ({ cwd: 1 }) as never, 'a wrong "cwd": it must be a string'],
    [
      "a wrong env",
      () => ({ env: { A: 1 } }) as never,
      'a wrong "env": it must be an object of strings',
    ],
    ["a wrong uid", () => ({ uid: -1 }), 'a wrong "uid"'],
    ["a wrong reason", () => ({ reason: 1 }) as never, "a reason that is no string"],
    ["an unknown name", () => ({ args: [] }) as never, 'an unknown "args"; known: argv'],
    ["another stdin", (request) => ({ ...request, stdin: "ignore" }), "cannot change stdin"],
    ["a line without a shell", () => ({ shell: "ls" }), "a shell line to a request that has none"],
  ])("%s: the error is the cause", async (_, answer, cause) => {
    decide = answer;
    const error = { type: "RuntimeError", cause: expect.stringContaining(cause) };
    expect(await guide.failing(["true"])).toMatchObject(error);
    expect(await guide.failing_in_thread(["true"])).toMatchObject(error);
  });

  test.each<[string, () => unknown, string]>([
    ["nothing at all", () => undefined, "undefined"],
    ["a symbol", () => Symbol("odd"), "Symbol(odd)"],
    ["an object whose getter throws", () => Object.defineProperty({}, "a", angry), ""],
    ["a proxy whose traps throw", () => new Proxy({}, { get: fail, getPrototypeOf: fail }), ""],
    ["a revoked proxy", revoked, ""],
    ["a deep array", () => nested(2000), ""],
    ["an object of Python's without a text", () => py.evalSync("children_guide.Mute()"), "mute"],
    ["a disposed proxy", disposed, "disposed"],
  ])("throws %s: that is the cause", async (_, make, cause) => {
    py.execSync("import children_guide");
    decide = () => {
      throw make();
    };
    const error = { type: "RuntimeError", cause: expect.stringContaining(cause) };
    expect(await guide.failing(["true"])).toMatchObject(error);
    expect(await guide.failing_in_thread(["true"])).toMatchObject(error);
  });

  test.each<[string, string, string]>([
    ["half a character", "no \ud800", "no \\ud800"],
    ["a NUL", "no\0", "no\\x00"],
  ])("%s in a reason is shown", async (_, reason, text) => {
    for (const answer of [reason, { reason }]) {
      decide = () => answer;
      expect(await guide.failing(["true"])).toMatchObject({
        text: `${refused}The sandbox's subprocess function denies it: ${text}`,
      });
    }
  });

  test("is read once", async () => {
    const values = [["echo", "first"], [1]];
    decide = () =>
      Object.defineProperty({}, "argv", { enumerable: true, get: () => values.shift() });
    expect(await guide.run("true")).toEqual(["first\n", "", 0]);
  });

  test.each<[string, Decide, string]>([
    ["argv", (request) => ({ ...request, argv: ["echo", "changed"] }), "changed\n"],
    ["only argv", () => ({ argv: ["echo", "only"] }), "only\n"],
    ["cwd", () => ({ cwd: "/" }), "/ asked\n"],
    ["env", (request) => ({ ...request, env: { WHAT: "told" } }), "/tmp told\n"],
    ["executable", () => ({ executable: "/bin/echo" }), "-c echo $(pwd) $WHAT\n"],
    ["the request itself", (request) => request, "/tmp asked\n"],
  ])("changes %s", async (_, answer, out) => {
    decide = answer;
    const kwargs = { cwd: "/tmp", env: { WHAT: "asked" } };
    const [stdout] = await guide.run.$with({ kwargs })("/bin/sh", "-c", "echo $(pwd) $WHAT");
    expect(stdout).toBe(out);
  });

  test("changes a shell's line", async () => {
    decide = (request) => ({ ...request, shell: `${request.shell} there` });
    expect(await guide.shell("echo")).toEqual(["there\n", 0]);
  });

  test("what was decided on is what is run", async () => {
    decide = async () => sleep(20, true);
    const code = `
import asyncio
argv = ["echo", "decided"]
environment = {"A": "decided"}
task = asyncio.ensure_future(children_guide.shell("echo $A", env=environment))
await asyncio.sleep(0.005)
environment["A"] = "changed"
result = await task
`;
    await py.exec(`import children_guide\n${code}`);
    expect(py.evalSync("result")).toEqual(["decided\n", 0]);
  });

  test("that never comes can be cancelled", async () => {
    let answer: (value: boolean) => void = () => {};
    decide = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    expect(await guide.cancelled_while_asking()).toBe(0);
    answer(true); // too late: nothing is started
    await sleep(20);
    expect(readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim()).toBe(
      "",
    );
  });
});

describe("the function", () => {
  test("has to be one", async () => {
    await expect(Python.start({ sandbox: { subprocess: true as never } })).rejects.toThrow(
      'the option "subprocess" of Python.start\'s sandbox must be a function, not true',
    );
  });

  test("is the main thread's", async () => {
    const code = `
      const { parentPort, workerData } = require("node:worker_threads");
      import(workerData)
        .then(({ Python }) => Python.start({ sandbox: { subprocess: () => true } }))
        .catch((error) => parentPort.postMessage(error.message));
    `;
    const library = new URL("../../dist/index.js", import.meta.url).href;
    const worker = new Worker(code, { eval: true, workerData: library });
    const [message] = await once(worker, "message");
    await worker.terminate();
    expect(message).toContain(
      'the option "subprocess" of Python.start\'s sandbox is for the main thread',
    );
  });

  test("can be replaced", async () => {
    expect(await Python.start({ sandbox: { subprocess: () => "another" } })).toBe(py);
    expect(await guide.failing(["true"])).toMatchObject({
      text: expect.stringMatching(/: another$/),
    });
  });
});
