// A Worker's own interpreter has a policy besides the process's: stricter there, the same as ever elsewhere, and gone with it.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

const reports = [];
const py = await Python.start({
  sandbox: { deny: ["os.listdir"], onEvent: ({ event }) => reports.push(event) },
});
const outcomes = async ({ py, assert, Python }, wanted) => {
  py.execSync(`
import os, socket, threading

def outcome(function):
    try:
        function()
        return "passes"
    except RuntimeError as error:
        return error.event

def both():
    return [outcome(lambda: os.listdir("/")), outcome(lambda: open("/etc/hostname").close()),
            outcome(lambda: socket.socket().close()), outcome(lambda: open("/proc/self/status").close())]
`);
  assert.deepEqual(py.globals.both(), wanted);
  // A thread of Python's own, too.
  py.execSync(
    "found = []; t = threading.Thread(target=lambda: found.append(both())); t.start(); t.join()",
  );
  assert.deepEqual(py.evalSync("found[0]"), wanted);
  await py.close();
  const again = await Python.start({ interpreter: "own" }); // with none: nothing is loosened
  assert.throws(() => again.execSync("open('/etc/hostname')"), { pythonType: /RuntimeError/ });
};
const rules = { read: { allow: ["/proc"] } };
const strictest = ["os.listdir", "open", "passes", "passes"];
await inOwn(outcomes, strictest, { sandbox: { rules } });
const denied = await inOwn(
  ({ py }) => {
    py.execSync("import socket");
    try {
      py.execSync("socket.socket()");
    } catch (error) {
      return error.message;
    }
  },
  undefined,
  { sandbox: { deny: ["socket.__new__"] } },
);
assert.match(denied, /socket\.__new__ is blocked/);
// The next Worker may get the same interpreter.
const free = await inOwn(({ py }) =>
  py.evalSync("open('/etc/hostname').close() or __import__('socket').socket().close()"),
);
assert.equal(free, null);
// What runs code in other interpreters, which have other policies, is refused where there is one.
const others = ({ py }) => {
  try {
    const name = py.import("sys").hexversion >= 0x030d0000 ? "_interpreters" : "_xxsubinterpreters";
    py.execSync(`import ${name}`);
  } catch (error) {
    return error.message;
  }
};
assert.match(
  await inOwn(others, undefined, { sandbox: { rules } }),
  /^cpython\.PyInterpreterState_New is blocked/,
);
assert.equal(await inOwn(others), undefined);
const strict = await inOwn(
  ({ py }) => {
    try {
      py.execSync("open('/etc/hostname')");
    } catch (error) {
      return [error.message, py.evalSync("sum(range(4))")];
    }
  },
  undefined,
  { sandbox: { preset: "strict" } },
);
assert.match(strict[0], /open is blocked/);
assert.equal(strict[1], 6);
py.execSync("open('/etc/hostname').close()");
assert.throws(() => py.execSync("import os; os.listdir('/')"), /os\.listdir is blocked/);
for (const [sandbox, message] of [
  [{ allow: ["subprocess"] }, /takes `preset`, `deny` and `rules`/],
  [{ watch: ["open"] }, /takes `preset`, `deny` and `rules`/],
  [{ deny: ["opne"] }, /knows no event or group "opne"/],
  [{ rules: { connect: { allow: ["10.0.0.0/99"] } } }, /needs a host/],
]) {
  await assert.rejects(
    inOwn(() => 1, undefined, { sandbox }),
    message,
  );
}
while (!reports.includes("socket.__new__")) await new Promise((resolve) => setImmediate(resolve));
console.log("pass");
