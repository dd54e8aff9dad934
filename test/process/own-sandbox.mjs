// The policy holds in interpreters of Workers' own, whose start it lets pass although it is strict.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

const reports = [];
const py = await Python.start({
  sandbox: { deny: ["open", "socket.connect"], onEvent: (report) => reports.push(report) },
});
const task = async ({ py, assert }) => {
  const refused = (code) => {
    const error = (() => {
      try {
        py.execSync(code);
      } catch (caught) {
        return caught;
      }
    })();
    assert.equal(error?.name, "RuntimeError", `${code}: ${error?.name}`);
    return error.message;
  };
  assert.match(refused("import os; os.fork()"), /os\.fork is blocked in Node\.js host context/);
  assert.match(refused("import subprocess; subprocess.run(['true'])"), /blocked in Node\.js/);
  assert.match(
    refused("import _posixsubprocess; _posixsubprocess.fork_exec()"),
    /_posixsubprocess\.fork_exec is blocked/,
  );
  assert.match(refused("import os; os.system('true')"), /os\.system is blocked/);
  assert.match(
    refused("import signal; signal.signal(signal.SIGTERM, print)"),
    /blocked in Node\.js/,
  );
  assert.match(refused("open('/etc/hostname')"), /open is blocked/);
  assert.match(refused("import socket; socket.socket().connect(('127.0.0.1', 9))"), /blocked/);
  // What is raised is of this interpreter.
  py.execSync(`
import os
try:
    os.fork()
except RuntimeError as error:
    assert isinstance(error, PermissionError) and isinstance(error, RuntimeError), type(error).__mro__
else:
    raise AssertionError
`);
  py.sandbox.tighten({ deny: ["os.listdir"] });
  assert.match(refused("import os; os.listdir('.')"), /os\.listdir is blocked/);
};
await inOwn(task);
await inOwn(task);
assert.throws(() => py.execSync("import os; os.listdir('.')"), /os\.listdir is blocked/);
while (!reports.some(({ event }) => event === "os.listdir")) {
  await new Promise((resolve) => setImmediate(resolve));
}
assert.ok(reports.some(({ event }) => event === "os.fork"));
console.log("pass");
