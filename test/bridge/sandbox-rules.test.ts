// Rules over arguments, reports, and tightening from JavaScript.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Python, type SandboxEvent } from "../../src/index.js";

const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "coloop-rules-")));
const events: SandboxEvent[] = [];
let py: Python;

beforeAll(async () => {
  for (const name of ["in", "in/out", "in/out/secret", "elsewhere"]) {
    mkdirSync(path.join(folder, name));
  }
  for (const name of ["in/a", "in/out/b", "in/out/secret/c", "elsewhere/d"]) {
    writeFileSync(path.join(folder, name), "text");
  }
  symlinkSync(path.join(folder, "elsewhere"), path.join(folder, "in/link"));
  symlinkSync(path.join(folder, "elsewhere/new"), path.join(folder, "in/out/dangling"));
  const rules = {
    read: { allow: [path.join(folder, "in")] },
    write: {
      allow: [path.join(folder, "in/out"), "/dev/null"],
      deny: [path.join(folder, "in/out/secret")],
    },
    connect: {
      allow: ["localhost:1", "10.0.0.0/8", "[fd00::1]:5", "@good", path.join(folder, "in/out")],
    },
    bind: { allow: ["127.0.0.1"] },
    resolve: { allow: ["*.example.com", "localhost"] },
    import: { deny: ["wave", "xml.sax"] },
    load: { allow: ["libm.so*"] },
    symbol: { deny: ["get*id"] },
  };
  py = await Python.start({
    sandbox: { rules, watch: ["os.kill"], onEvent: (event) => events.push(event) },
  });
  py.execSync(
    `import ctypes, importlib.util, os, pathlib, shutil, socket, sqlite3
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def ext(file): importlib.util.module_from_spec(importlib.util.spec_from_file_location("odd", file))`,
  );
});

afterAll(async () => {
  await py.close();
  rmSync(folder, { recursive: true });
});

/** The rule that refuses the code, `none`, or what else it raises. */
function outcome(code: string): string {
  try {
    py.execSync(code, { d: folder });
    return "none";
  } catch (error) {
    const { message, name } = error as Error;
    return / The rule "(\w+)" /.exec(message)?.[1] ?? `${name}: ${message}`;
  }
}

describe("paths", () => {
  test.each([
    ["open(d + '/in/a').close()", "none"],
    ["open(os.fsencode(d + '/in/a')).close()", "none"],
    ["open(pathlib.Path(d, 'in/a')).close()", "none"],
    ["open(d + '/in/../in/./a').close()", "none"],
    ["open(d + '/in/missing')", /^FileNotFoundError/],
    ["open(d + '/in/missing/missing')", /^FileNotFoundError/],
    ["open(d + '/elsewhere/d')", "read"],
    ["open(d + '/in/../elsewhere/d')", "read"],
    ["open(d + '/in/missing/../../elsewhere/d')", "read"],
    ["open(d + '/in/link/d')", "read"],
    ["open(d + '/inside')", "read"],
    ["open(os.fsencode(d) + b'/\\xff')", "read"],
    ["open(d + '/\\udcff')", "read"],
    ["open(d + '/' + '\u00e9' * 150)", "read"], // one of the two is cut within a letter
    ["open(d + '/a' + '\u00e9' * 150)", "read"],
    ["open('/proc/self/root' + d + '/elsewhere/d')", "read"],
    ["open('/proc/self/cwd/package.json')", "read"],
    ["open('package.json')", "read"],
    ["os.open(d + '/elsewhere/d', os.O_RDONLY)", "read"],
    ["os.open('elsewhere/d', os.O_RDONLY, dir_fd=0)", "read"],
    ["os.listdir(d)", "read"],
    ["os.listdir(d + '/in')", "none"],
    ["list(os.scandir(d + '/in/link'))", "read"],
    ["os.chdir(d)", "read"],
    ["import io; io.FileIO(pathlib.Path(d, 'elsewhere/d'))", "read"],
    ["open(d + '/in/a', 'w')", "write"],
    ["open(d + '/in/a', 'r+')", "write"],
    ["open(d + '/in/out/b', 'a').close()", "none"],
    ["open(d + '/in/out/dangling', 'w')", "write"],
    ["os.mkdir(d + '/in/out/x'); os.rmdir(d + '/in/out/x')", "none"],
    ["pathlib.Path(d, 'in/out/y').touch(); pathlib.Path(d, 'in/out/y').unlink()", "none"],
    ["os.mkdir(d + '/in/out/../x')", "write"],
    ["os.remove(d + '/in/a')", "write"],
    ["os.remove(d + '/in/out/secret/c')", "write"],
    ["os.rename(d + '/in/out/secret', d + '/in/out/open')", "write"],
    ["os.rename(d + '/in/a', d + '/in/out/a')", "write"],
    ["os.link(d + '/elsewhere/d', d + '/in/out/d')", "read"],
    ["os.link(d + '/in/a', d + '/in/out/d')", "write"],
    ["os.symlink(d, d + '/in/out/s')", "none"],
    ["open(d + '/in/out/s/elsewhere/d')", "read"],
    ["os.chmod(d + '/in/a', 0o600)", "write"],
    ["os.truncate(d + '/in/link/d', 0)", "write"],
    ["shutil.rmtree(d + '/elsewhere')", "read"],
    ["sqlite3.connect(':memory:').close()", "none"],
    ["sqlite3.connect(d + '/in/out/db').close()", "none"],
    ["sqlite3.connect(d + '/elsewhere/db')", "write"],
    ["sqlite3.connect('file:' + d + '/elsewhere/db?mode=rw', uri=True)", "write"],
    ["import csv, decimal, html.parser", "none"],
    ["ext(d + '/elsewhere/odd.so')", "read"],
    ["ext(d + '/in/odd.so')", /^ImportError/],
  ])("%s: %s", (code, wanted) => {
    if (typeof wanted === "string") expect(outcome(code)).toBe(wanted);
    else expect(outcome(code)).toMatch(wanted);
  });

  test("of a folder that is open", () => {
    py.execSync(`out = os.open(${JSON.stringify(path.join(folder, "in/out"))}, os.O_RDONLY)`);
    expect(outcome("os.mkdir('z', dir_fd=out); os.rmdir('z', dir_fd=out)")).toBe("none");
    expect(outcome("os.mkdir('../z', dir_fd=out)")).toBe("write");
    py.execSync("os.close(out)");
  });
});

test.each([
  ["socket.create_connection(('127.0.0.1', 1))", /^ConnectionRefusedError/],
  ["socket.create_connection(('127.0.0.1', 2))", "connect"],
  ["socket.create_connection(('0.0.0.0', 2))", "connect"],
  ["socket.create_connection(('11.0.0.1', 1))", "connect"],
  ["udp.connect(('10.200.3.4', 99))", "none"],
  ["udp.connect(('::ffff:11.0.0.1', 99))", "connect"],
  ["udp.sendto(b'', ('11.0.0.1', 9))", "connect"],
  ["udp.sendmsg([b''], [], 0, ('11.0.0.1', 9))", "connect"],
  ["udp.connect(('127.1', 1))", "connect"],
  ["udp.connect((bytearray(b'10.0.0.1'), 9))", "connect"],
  ["socket.socket(socket.AF_UNIX).connect(d + '/in/out/none')", /^FileNotFoundError/],
  ["socket.socket(socket.AF_UNIX).connect(d + '/elsewhere/none')", "connect"],
  ["socket.socket(socket.AF_UNIX).connect('\\0abstract')", "connect"],
  ["socket.socket(socket.AF_UNIX).connect('\\0good')", /^ConnectionRefusedError/],
  ["socket.socket(socket.AF_UNIX).connect('\\0good\\0evil')", "connect"],
  ["socket.socket().bind(('127.0.0.1', 0))", "none"],
  ["socket.socket().bind(('', 0))", "bind"],
  ["socket.getaddrinfo('192.0.2.1', 80)", "none"],
  ["socket.getaddrinfo('localhost', 80)", "none"],
  ["socket.getaddrinfo('example.com', 80)", "resolve"],
  ["socket.getaddrinfo('example.com.evil.org', 80)", "resolve"],
  ["socket.gethostbyname('ｌocalhost')", "resolve"],
  ["socket.gethostbyaddr('192.0.2.1')", "resolve"],
  ["socket.getnameinfo(('192.0.2.1', 80), 0)", "resolve"],
  ["import wave", "import"],
  ["import xml.dom", "none"],
  ["import xml.sax.handler", "import"],
  ["ctypes.CDLL('libm.so.6').cos", "none"],
  ["ctypes.CDLL('libc.so.6')", "load"],
  ["ctypes.CDLL(None).getpid", "symbol"],
  ["ctypes.CDLL(None).labs", "none"],
])("%s: %s", (code, wanted) => {
  if (typeof wanted === "string") expect(outcome(code)).toBe(wanted);
  else expect(outcome(code)).toMatch(wanted);
});

describe("reports", () => {
  const reported = async (name: string, code: string): Promise<SandboxEvent> => {
    events.length = 0;
    outcome(code);
    expect(events).toEqual([]); // on a turn of its own
    const found = (): SandboxEvent | undefined => events.findLast(({ event }) => event === name);
    await vi.waitFor(() => expect(found()).toBeDefined());
    return found() as SandboxEvent;
  };

  test("tell the event, its arguments and the stack", async () => {
    const event = await reported("os.remove", "def inner():\n  os.remove('/nowhere')\ninner()");
    expect(event).toMatchObject({
      ...{ event: "os.remove", group: "filesystem", verdict: "refused", lost: 0 },
      args: ["'/nowhere'", "-1"],
    });
    expect(event.stack.slice(0, 2)).toEqual([
      { file: "<coloop>", line: 2, function: "inner" },
      { file: "<coloop>", line: 3, function: "<module>" },
    ]);
    expect(event.thread).toBe(BigInt(py.evalSync("str(__import__('threading').get_ident())")));
  });

  test("of what is watched and allowed", async () => {
    expect(await reported("os.kill", "os.kill(os.getpid(), 0)")).toMatchObject({
      ...{ event: "os.kill", verdict: "watched", args: [String(process.pid), "0"] },
    });
  });

  test("run no code of the arguments", async () => {
    const code = "class Odd(str):\n  def __repr__(self): os._exit(9)\nos.remove(Odd('/nowhere'))";
    expect((await reported("os.remove", code)).args[0]).toBe("<Odd>");
  });

  test("come from every thread while JavaScript is busy, and nobody waits", async () => {
    events.length = 0;
    py.execSync(`
import threading
def refused():
    for _ in range(200):
        try: os.fork()
        except RuntimeError: pass
threads = [threading.Thread(target=refused) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`);
    expect(events).toEqual([]);
    await vi.waitFor(() => expect(events.length).toBeGreaterThan(0));
    expect(events.length).toBe(1000); // the list is full
    expect(new Set(events.map(({ thread }) => thread)).size).toBeGreaterThan(1);
    expect((await reported("os.remove", "os.remove('/nowhere')")).lost).toBe(600);
  });

  test("what the listener throws is an uncaught exception", async () => {
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught = new Promise((resolve) => process.once("uncaughtException", resolve));
    const push = vi.spyOn(events, "push").mockImplementation(() => {
      throw new Error("a listener's own");
    });
    outcome("os.fork()");
    expect(await caught).toMatchObject({ message: "a listener's own" });
    push.mockRestore();
    for (const listener of listeners) process.on("uncaughtException", listener);
  });
});

describe("tighten", () => {
  test.each([
    [{ allow: ["os.fork"] }, /has no option "allow"; it has: preset, deny, rules/],
    [{ preset: "default" }, /must be "strict", not "default"/],
    [{ rules: { file: {} } }, /has no option "file"; it has: read, write, connect/],
    [{ rules: { read: {} } }, /needs a list: allow, deny or both/],
    [{ rules: { connect: { allow: ["1.2.3.4/99"] } } }, /"connect allow 1.2.3.4\/99" needs a host/],
    [{ rules: { connect: { allow: ["a:99999"] } } }, /needs a host/],
    [
      { rules: { connect: { deny: ["/run/*.sock"] } } },
      /a Unix socket's path or @name without "\*"/,
    ],
    [{ rules: { read: { deny: ["~/x"] } } }, /"read deny ~\/x" needs the path of .*no "~"/],
    [{ rules: { write: { deny: ["/d/f*.txt"] } } }, /"write deny \/d\/f\*\.txt" needs .*no "\*"/],
    [
      { rules: { import: { deny: ["xml.*"] } } },
      /"import deny xml\.\*" needs .*covers its submodules/,
    ],
    [{ rules: { import: { deny: ["xml."] } } }, /needs a module's name/],
    [{ rules: { import: { deny: ["./xml"] } } }, /needs a module's name/],
    [{ deny: ["socket.conect"] }, /near it are: socket\.connect/],
  ])("%j is an error", (options, message) => {
    expect(() => py.sandbox.tighten(options as never)).toThrow(message);
  });

  test("adds to what there is and takes nothing away", () => {
    py.sandbox.tighten({ rules: { read: { allow: ["/"], deny: [path.join(folder, "in/a")] } } });
    expect(outcome("open(d + '/elsewhere/d')")).toBe("read");
    expect(outcome("open(d + '/in/a')")).toBe("read");
    expect(outcome("open(d + '/in/out/b').close()")).toBe("none");
    py.execSync(
      "from coloop import _sandbox\n_sandbox.tighten(rules={'bind': {'allow': ['10.0.0.1']}})",
    );
    expect(outcome("socket.socket().bind(('127.0.0.1', 0))")).toBe("bind");
    py.sandbox.tighten({ deny: ["os.kill"] });
    expect(outcome("os.kill(os.getpid(), 0)")).toBe(
      "RuntimeError: os.kill is blocked in Node.js host context. The sandbox policy denies it.",
    );
  });
});
