// Starts, calls, threads, servers, interrupts, signals, Workers and their ends in the order that a seed gives, then the end
// that it gives. The line "promise {…}" on stdout says how the process must end; tools/orders.mjs compares.
//
//   node orders-script.mjs SEED
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";
import { random } from "./random-helpers.mjs";

const seed = isMainThread ? Number(process.argv[2]) : workerData.seed;
const number = random(seed);
const any = (end) => Math.floor(number() * end);
const choice = (list) => list[any(list.length)];
const trace = process.env["COLOOP_ORDERS_TRACE"] ? console.error : () => {};

const code = `
import asyncio, socket, threading, time
import coloop

def spin(seconds=1e9):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def halted(stop):
    stop()
    spin()

async def halted_task(stop):
    await asyncio.sleep(0)
    halted(stop)

def nested(function, depth):
    return function() if depth == 0 else nested(function, depth - 1)

async def nap(seconds):
    await asyncio.sleep(seconds)
    return seconds

async def count(end):
    for i in range(end):
        await asyncio.sleep(0)
        yield i

async def stubborn(seconds):
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.sleep(0.01)

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data)

async def serve(talk):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    kept.extend([server, reader, writer])
    for _ in range(talk):
        writer.write(b"x" * 1000)
        assert await reader.readexactly(1000) == b"x" * 1000

async def datagrams():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
    kept.extend([transport, theirs])

async def watch():
    ours, theirs = socket.socketpair()
    kept.extend([ours, theirs])
    asyncio.get_running_loop().add_reader(ours, ours.recv, 1)

if "kept" not in globals():
    kept = []

def call_back():
    try:
        while True:
            coloop.call("echo", 1)
    except (NameError, RuntimeError):
        pass  # Python was closed, and nothing is registered until it starts again

def start_thread(kind, daemon):
    loop = asyncio.get_event_loop()
    work = {
        "sleep": lambda: time.sleep(0.2),
        "spin": lambda: spin(0.2),
        "call": call_back,
        "post": lambda: loop.call_soon_threadsafe(kept.append, 1),
        "run": lambda: coloop.run(nap(0.05)),
        "never": threading.Event().wait,
    }[kind]
    threading.Thread(target=work, daemon=daemon).start()
`;

let py;
let closed = false;
const workers = []; // those that run: { worker, exit }
const wanted = []; // what went wrong with the checks of this script

function check(holds, what) {
  if (!holds) wanted.push(what);
}

async function outcome(call) {
  try {
    return { value: await call() };
  } catch (error) {
    return { error };
  }
}

/** A promise of which it does not matter how it ends. */
function forget(promise) {
  promise.catch(() => {});
}

const calls = {
  sync: () => check(py.evalSync("6 * 7") === 42, "evalSync"),
  async awaited() {
    const { value, error } = await outcome(() => py.globals.nap(0.001));
    check(value === 0.001, `await: ${error}`);
  },
  nested: () => check(py.globals.nested(() => py.evalSync("1 + 1"), 3) === 2, "nested"),
  async stream() {
    let sum = 0;
    for await (const item of py.globals.count(5)) sum += item;
    check(sum === 10, "stream");
  },
  async broken() {
    for await (const _ of py.globals.count(50)) break;
  },
  async raises() {
    const { error } = await outcome(() => py.evalSync("1 / 0"));
    check(error?.name === "ZeroDivisionError", `raises: ${error}`);
  },
  pending: () => forget(py.globals.stubborn(3600)),
  promise: () => forget(py.eval("await never", { never: new Promise(() => {}) })),
  executor: () => forget(py.eval("await asyncio.to_thread(time.sleep, 0.1)")),
  owned: () => py.execSync("coloop.run(nap(0.001))"),
};

/** Whether an error is that of `py.interrupt()`. */
function checkInterrupted({ error }, what) {
  check(error?.code === "ERR_COLOOP_INTERRUPTED", `${what}: ${error}`);
}

const steps = {
  async start() {
    const again = await Python.start(isMainThread ? {} : { interpreter: workerData.interpreter });
    check(closed || py === undefined || again === py, "another handle");
    py = again;
    closed = false;
    py.register("echo", (value) => value);
    py.execSync(code);
  },
  call: () => choice(Object.values(calls))(),
  thread() {
    py.globals.start_thread(choice(["sleep", "spin", "call", "post", "run"]), true);
    if (any(3) === 0) py.globals.start_thread(choice(["sleep", "spin"]), false);
    if (any(4) === 0) py.globals.start_thread("never", true);
  },
  async server() {
    const { error } = await outcome(() =>
      choice([() => py.globals.serve(any(4)), py.globals.datagrams, py.globals.watch])(),
    );
    check(error === undefined, `server: ${error}`);
  },
  async interrupt() {
    const timeout = 1 + any(20);
    const { error } = await outcome(
      choice([
        () => py.globals.spin.$with({ timeout })(),
        () => py.evalSync("[x for x in iter(int, 1)]", undefined, { timeout }),
        () => py.eval("await nap(3600)", undefined, { timeout }),
        () => py.call("asyncio", "sleep", [3600], { timeout }),
      ]),
    );
    check(error?.name === "PythonTimeoutError", `timeout: ${error}`);
  },
  async halt() {
    check(!py.interrupt(), "nothing runs, and was interrupted");
    const stop = () => check(py.interrupt(), "it runs, and was not interrupted");
    const call = choice([
      () => py.globals.halted(stop),
      () => py.globals.halted_task(stop),
      () => py.execSync("stop()\nspin()", { stop }),
      () => py.globals.nested(() => py.globals.halted(stop), 3),
    ]);
    checkInterrupted(await outcome(call), "halt");
  },
  async abort() {
    const controller = new AbortController();
    const pending = outcome(() => py.globals.nap.$with({ signal: controller.signal })(3600));
    if (any(2)) await wait(any(5));
    controller.abort();
    const { error } = await pending;
    check(error?.name === "AbortError", `abort: ${error}`);
  },
  async close() {
    await py.close();
    closed = true;
    const { error } = await outcome(() => py.evalSync("1"));
    check(error?.code === "ERR_COLOOP_CLOSED", `closed: ${error}`);
  },
  pause: () => wait(any(20)),
  turn: () => turn(),
};

/** A Worker that has started Python: where there are any, half of them in interpreters of their own. */
async function startWorker(data) {
  const interpreter = canHaveOwn() && any(2) === 0 ? "own" : "shared";
  trace("Worker", interpreter);
  const workerData = { seed: any(2 ** 31), interpreter, ...data };
  const worker = new Worker(new URL(import.meta.url), { workerData });
  const exit = new Promise((resolve) => worker.once("exit", resolve));
  worker.on("error", (error) => check(error.message === "thrown", `Worker: ${error.stack}`));
  const first = await new Promise((resolve) => {
    worker.once("message", resolve);
    void exit.then(resolve);
  });
  check(first === "ready", `a Worker ended at once: ${first}`);
  return { worker, exit };
}

function canHaveOwn() {
  const [major, minor] = py.version.split(".").map(Number);
  return major > 3 || minor >= 12;
}

async function interruptWorker(worker) {
  const { threadId } = worker; // another one when it has ended
  while (worker.threadId === threadId && (closed || !py.interrupt({ threadId }))) await turn();
}

const mainSteps = {
  async signal() {
    const name = choice(["SIGUSR2", "SIGHUP", "SIGWINCH", "SIGTERM", "SIGINT"]);
    const listen = choice([py.onSignal.bind(py), process.once.bind(process)]);
    let remove;
    await new Promise((resolve) => {
      remove = listen(name, () => resolve());
      process.kill(process.pid, name);
    });
    if (typeof remove === "function") remove();
  },
  async child() {
    const [status] = await once(spawn("/bin/sh", ["-c", "exit 3"]), "exit");
    check(status === 3, `child: ${status}`);
  },
  async worker() {
    const { worker, exit } = await startWorker();
    worker.on("message", (text) => {
      if (text === "interrupt me") void interruptWorker(worker);
      else check(false, `Worker: ${text}`);
    });
    workers.push({ worker, exit });
  },
  async haltByWorker() {
    const { worker, exit } = await startWorker({ interrupts: true });
    worker.postMessage("go");
    checkInterrupted(await outcome(() => py.globals.spin()), "halt by a Worker");
    await exit;
  },
  async terminate() {
    if (workers.length === 0) return;
    const [{ worker, exit }] = workers.splice(any(workers.length), 1);
    await worker.terminate();
    await exit;
  },
};

/** How the process ends: `promise` is what tools/orders.mjs will see. */
const ends = {
  async natural() {
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
    await py.close();
    return { promise: { code: 0 }, leave: () => clearInterval(alive) };
  },
  async exitCode() {
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
    await py.close();
    return {
      promise: { code: 9 },
      leave() {
        process.exitCode = 9;
        clearInterval(alive);
      },
    };
  },
  exit: () => ({ promise: { code: 7 }, leave: () => process.exit(7) }),
  inFrames: () => ({
    promise: { code: 5 },
    leave: () => py.globals.nested(() => process.exit(5), 3),
  }),
  inTask: () => ({
    promise: { code: 6 },
    leave() {
      py.register("leave", () => process.exit(6));
      forget(py.eval("await nap(0.001) and coloop.call('leave')"));
    },
  }),
  throws: () => ({
    promise: { code: 1, stderr: "Error: thrown on purpose" },
    leave: () =>
      setImmediate(() => {
        throw new Error("thrown on purpose");
      }),
  }),
  rejects: () => ({
    promise: { code: 1, stderr: "ZeroDivisionError" },
    leave: () => void py.eval("1 / 0"),
  }),
  killed: () => ({
    promise: { signal: "SIGKILL", atexit: 0 },
    leave: () => process.kill(process.pid, "SIGKILL"),
  }),
  unhandled() {
    process.removeAllListeners("SIGTERM");
    return {
      promise: { signal: "SIGTERM", atexit: 0 },
      leave: () => process.kill(process.pid, "SIGTERM"),
    };
  },
  shutdown() {
    return {
      promise: { code: 143 },
      leave() {
        py.shutdownOnSignals({ signals: ["SIGTERM"], grace: 1000 });
        process.kill(process.pid, "SIGTERM");
      },
    };
  },
};

const workerEnds = {
  stays: () => {},
  exits: () => setTimeout(() => process.exit(3), any(30)),
  throws: () =>
    setTimeout(() => {
      throw new Error("thrown");
    }, any(30)),
  spins: () => setTimeout(() => py.execSync("while True: pass"), any(30)),
  sleeps: () => setTimeout(() => py.execSync("time.sleep(0.5)"), any(30)),
  async interrupted() {
    parentPort.postMessage("interrupt me");
    const { error } = await outcome(() => py.globals.spin());
    if (error?.code !== "ERR_COLOOP_INTERRUPTED") parentPort.postMessage(`interrupted: ${error}`);
  },
  returns: () => py.close().then(() => clearInterval(alive)),
};

async function go(names, table, count) {
  for (let i = 0; i < count; i++) {
    const name = closed ? choice(["start", "start", "pause"]) : choice(names);
    trace(isMainThread ? "main" : "worker", name);
    await table[name]();
  }
  if (closed) await steps.start();
}

await steps.start();
const alive = setInterval(() => {}, 1000); // a signal's listener alone does not keep Node
if (isMainThread) {
  py.execSync("import atexit\natexit.register(lambda: print('atexit'))");
  const table = { ...steps, ...mainSteps };
  await go([...Object.keys(table), "call", "call", "worker"], table, 4 + any(16));
  const name = choice(Object.keys(ends));
  trace("end", name);
  const { promise, leave } = await ends[name]();
  const whole = {
    code: null,
    signal: null,
    atexit: 1,
    stderr: null,
    end: name,
    wanted,
    ...promise,
  };
  console.log(`promise ${JSON.stringify(whole)}`);
  leave();
} else if (workerData.interrupts) {
  parentPort.postMessage("ready");
  await once(parentPort, "message");
  while (!py.interrupt({ threadId: 0 })) await turn();
  await py.close();
  clearInterval(alive);
} else {
  parentPort.postMessage("ready");
  await go(Object.keys(steps), steps, any(12));
  const end = choice(Object.keys(workerEnds));
  trace("worker end", end);
  for (const what of wanted) parentPort.postMessage(what);
  workerEnds[end]();
}
