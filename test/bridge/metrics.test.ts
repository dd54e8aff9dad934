import { describe, expect, test } from "vitest";
import { checkLeaks, startPython, until } from "../fixtures/py2/start.js";

const py = await startPython();

checkLeaks(py);

py.execSync(`
import asyncio, socket, threading, time

async def late(seconds):
    """A timer that is due while the loop is busy."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_later(0, done.set_result, None)
    time.sleep(seconds)
    await done

async def wait_for(event):
    await event.wait()

async def with_handles(look):
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    near, far = socket.socketpair()
    for each in (near, far):
        each.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=near)
    receiving = loop.create_task(loop.sock_recv(far, 1))
    watched, other = socket.socketpair()
    loop.add_reader(watched, print)
    timer = loop.call_later(60, print)
    loop.call_later(60, print).cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    look()
    timer.cancel()
    loop.remove_reader(watched)
    writer.write(b"x")
    await receiving
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    for each in (far, watched, other):
        each.close()

def compute(event):
    while not event.is_set():
        pass

event = threading.Event()
thread = threading.Thread(target=compute, args=(event,))
`);

describe("metrics", () => {
  test("what waits is counted, by kind", async () => {
    const before = py.metrics();
    let during = before;
    await py.globals.with_handles(() => {
      during = py.metrics();
    });
    const { handles } = during;
    expect(handles.streams - before.handles.streams).toBe(1);
    expect(handles.acceptors - before.handles.acceptors).toBe(1);
    expect(handles.sockets - before.handles.sockets).toBe(1);
    expect(handles.watches - before.handles.watches).toBe(1);
    expect(during.timers - before.timers).toBe(1);
    expect(during.tasks - before.tasks).toBe(2); // it, and sock_recv()'s
    expect(during.liveObjects.promises - before.liveObjects.promises).toBe(1);
    expect(during.liveObjects.references).toBeGreaterThan(before.liveObjects.references);
    expect(during.iterations).toBeGreaterThan(before.iterations);
    const { handles: after, timers, tasks } = py.metrics();
    expect({ after, timers, tasks }).toEqual({
      after: before.handles,
      timers: before.timers,
      tasks: before.tasks,
    });
  });

  test("a proxy is a live object", () => {
    const { proxies } = py.metrics().liveObjects;
    const proxy = py.import("decimal");
    expect(py.metrics().liveObjects.proxies).toBe(proxies + 1);
    proxy.$dispose();
    expect(py.metrics().liveObjects.proxies).toBe(proxies);
  });

  test("callbacks that wait for their turn are the depth", async () => {
    const before = py.metrics().readyDepth;
    const depth = new Promise<number>((resolve) => {
      const { loop } = py;
      py.register("look", () => resolve(py.metrics().readyDepth));
      py.execSync(
        "import coloop\nloop.call_soon(coloop.look)\nfor _ in range(7): loop.call_soon(int)",
        { loop },
      );
    });
    expect((await depth) - before).toBe(7);
    py.unregister("look");
  });

  test("a timer that comes late is lag, in milliseconds", async () => {
    await py.globals.late(0.03);
    const { lag } = py.metrics();
    expect(lag.max).toBeGreaterThanOrEqual(29);
    expect(lag.mean).toBeGreaterThan(0);
    expect(lag.mean).toBeLessThanOrEqual(lag.max);
    expect(lag.last).toBeLessThanOrEqual(lag.max);
  });

  test("waiting for a thread that computes is GIL wait", async () => {
    const before = py.metrics().gilWait;
    py.globals.thread.start();
    await until(() => py.metrics().gilWait.count >= before.count + 3, "three waits");
    py.globals.event.set();
    py.globals.thread.join();
    const { total, max, count } = py.metrics().gilWait;
    expect(total - before.total).toBeGreaterThan(0);
    expect(max * count).toBeGreaterThanOrEqual(total);
  });

  test("Python has them in seconds and in its own names", async () => {
    await py.globals.late(0.01);
    const metrics = py.metrics();
    const { lag, ready_depth, tasks } = py.loop.metrics() as {
      lag: { max: number };
      ready_depth: number;
      tasks: number;
    };
    expect(lag.max * 1000).toBeCloseTo(metrics.lag.max);
    expect([ready_depth, tasks]).toEqual([metrics.readyDepth, metrics.tasks]);
  });
});
