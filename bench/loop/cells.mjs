// What `npm run bench:loop` measures: the cells, and the bars that coloop's loops are held to as ratios to
// uvloop (how often uvloop's cost contains coloop's; 1 is equal).

const all = ["asyncio", "uvloop", "c", "node", "owned", "hosted"];
const python = ["asyncio", "uvloop", "owned", "hosted"];
const ownLoop = ["asyncio", "uvloop", "owned"];
const kibibyte = 1024;

function served(name, title, kind, kibibytes, contenders, bars = {}, mode = "tcp") {
  return { name, title, kind, mode, size: kibibytes * kibibyte, contenders, bars };
}

/** Cells with a server of their own; the cost is the server's processor time per request. */
export const serverCells = [
  served("tcp-1k", "TCP protocol, 1 KiB", "protocol", 1, all, { owned: 1.08, hosted: 1.05 }),
  served("tcp-10k", "TCP protocol, 10 KiB", "protocol", 10, all, { owned: 1.08, hosted: 1.05 }),
  served("tcp-100k", "TCP protocol, 100 KiB", "protocol", 100, all, { owned: 1.08, hosted: 1.05 }),
  served("connect-1k", "connect + 1 KiB", "protocol", 1, all, { owned: 1, hosted: 1 }, "connect"),
  served("buffered-1k", "BufferedProtocol, 1 KiB", "buffered", 1, python),
  served("streams-1k", "streams, 1 KiB", "streams", 1, python, { owned: 1.1, hosted: 1.05 }),
  served("streams-100k", "streams, 100 KiB", "streams", 100, python),
  {
    ...served("sock-1k", "sock_recv + sock_sendall, 1 KiB", "sockets", 1, python),
    bars: { owned: 4, hosted: 4 },
    aheadOfAsyncio: true,
  },
  {
    ...served("sock-100k", "sock_recv + sock_sendall, 100 KiB", "sockets", 100, python),
    bars: { owned: 3, hosted: 3 },
    aheadOfAsyncio: true,
  },
  served("unix-1k", "UNIX, 1 KiB", "unix", 1, all, { owned: 1.15, hosted: 1.05 }, "unix"),
  served("udp-1k", "UDP, 1 KiB", "udp", 1, all, { owned: 1.25, hosted: 1.15 }, "udp"),
  served(
    "tls-1k",
    "TLS, 1 KiB",
    "tls",
    1,
    [...python, "node"],
    { owned: 1.1, hosted: 1.05 },
    "tls",
  ),
  served(
    "tls-100k",
    "TLS, 100 KiB",
    "tls",
    100,
    [...python, "node"],
    { owned: 1, hosted: 1 },
    "tls",
  ),
];

function operation(name, title, owned, contenders = python) {
  return { name, title, contenders, bars: owned === undefined ? {} : { owned } };
}

/** Cells without a client (operations.py); the cost is the processor time of one operation. */
export const operationCells = [
  operation("call-soon-chain", "call_soon, chain", 4),
  operation("call-soon-burst-1k", "call_soon, burst of 1,000"),
  operation("call-soon-burst", "call_soon, burst of 100,000", 2),
  operation("timer-cancel-1k", "1,000 timers, create + cancel"),
  operation("timer-cancel", "100,000 timers, create + cancel", 8),
  operation("timer-fire-1k", "1,000 timers, create + fire"),
  operation("timer-fire", "100,000 timers, create + fire", 3),
  operation("sleep-0", "sleep(0)", 2),
  operation("gather", "gather, per task"),
  operation("future-wake", "future wake", 2),
  operation("queue", "queue ping-pong", 1.3),
  operation("threadsafe-own", "call_soon_threadsafe, own thread"),
  operation("threadsafe-wake", "call_soon_threadsafe, wake", 2),
  operation("threadsafe-flood", "call_soon_threadsafe, flood", 0.9),
  operation("executor", "executor round trip"),
  operation("reader-wake", "add_reader wake"),
  operation("getaddrinfo", "getaddrinfo of a literal"),
  operation("run-until-complete", "run_until_complete", 4, ownLoop),
  operation("create-close", "loop create + close", 1.2, ownLoop),
];

export const cells = [...serverCells, ...operationCells];

export const contenderTitles = {
  asyncio: "asyncio",
  uvloop: "uvloop",
  c: "C on libuv",
  node: "Node net",
  owned: "coloop, owned",
  hosted: "coloop, hosted",
};
