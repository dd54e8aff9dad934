// With Python loaded and at work, every signal that Node.js and its programs use does what it did.
// node: --inspect-port=0
// noise: ^(Debugger listening on|For help, see|$)
// within: 60000
import { spawn } from "node:child_process";
import { once } from "node:events";
import inspector from "node:inspector";
import { createConnection, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import time
def compute():
    end = time.monotonic() + 0.01
    while time.monotonic() < end:
        pass
`);
const timer = setInterval(() => py.globals.compute(), 1);

const wrong = [];
const check = (ok, what) => {
  if (!ok) wrong.push(what);
};

async function until(condition) {
  for (let i = 0; i < 1000 && !condition(); i++) await sleep(5);
  return condition();
}

for (const name of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2", "SIGWINCH", "SIGPIPE"]) {
  const came = [];
  const count = (signal) => came.push(signal);
  process.on(name, count);
  process.kill(process.pid, name);
  check(await until(() => came.length === 1 && came[0] === name), name);
  process.off(name, count);
}

check(inspector.url() === undefined, "the inspector runs before SIGUSR1");
process.kill(process.pid, "SIGUSR1");
check(await until(() => inspector.url() !== undefined), "SIGUSR1");
inspector.close();

// SIGCHLD: the end of each child is noticed, with its status.
const children = Array.from({ length: 100 }, (_, i) => {
  const child = spawn("/bin/sh", ["-c", `exit ${i}`], { stdio: "ignore" });
  return once(child, "exit");
});
const ends = await Promise.all(children);
check(
  ends.every(([code], i) => code === i),
  "SIGCHLD",
);

// SIGPIPE by default: a write to a peer that is gone is an error and ends nothing.
const server = createServer((socket) => socket.resetAndDestroy()).listen(0);
await once(server, "listening");
const client = createConnection(server.address().port);
const failed = new Promise((resolve) => client.once("error", resolve));
const writing = setInterval(() => client.write("x".repeat(1 << 16)), 1);
const error = await failed; // whenever the reset comes
clearInterval(writing);
check(["EPIPE", "ECONNRESET"].includes(error.code), `a write to nobody: ${error.code}`);
server.close();

clearInterval(timer);
check(py.evalSync("1 + 1") === 2, "Python");
console.log(wrong.length === 0 ? "pass" : wrong.join(", "));
