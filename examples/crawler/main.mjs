// Node serves a site, Python crawls it, both on one loop and one thread. The crawler is plain asyncio;
// its findings arrive here as an async iterable, and it asks a JavaScript function what to make of an
// answer that is no page. At the end everything is compared with what must have been found.

import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { kw, Python } from "coloop";
import { number, Progress, Ticker, table } from "./report.mjs";
import { compare, makeSite, serve } from "./site.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, "..", "..");
const onLinux = process.platform === "linux";

/** The system's id of the thread that runs this line, and how many threads there are. */
const threadId = () => (onLinux ? Number(path.basename(readlinkSync("/proc/thread-self"))) : 0);
const threadCount = () => (onLinux ? readdirSync("/proc/self/task").length : 0);

function readOptions() {
  const { values } = parseArgs({
    options: {
      pages: { type: "string", default: "9000" },
      connections: { type: "string", default: "100" },
      seed: { type: "string", default: "1" },
    },
  });
  const wanted = {};
  for (const [name, text] of Object.entries(values)) {
    wanted[name] = Number(text);
    if (!Number.isInteger(wanted[name]) || wanted[name] < 1) {
      console.error(`--${name} takes a whole number from 1, not ${text}`);
      process.exit(2);
    }
  }
  return wanted;
}

/** What to make of an answer that is no page; Python asks for every one. */
function makeJudge() {
  const rulings = { broken: 0, retry: 0, accepted: 0 };
  let thread = 0;
  const judge = (target, reason, attempt) => {
    thread ||= threadId();
    let ruling = "broken";
    if (target.startsWith("/private/") && reason === "403") ruling = "accepted";
    else if (reason.startsWith("5") && attempt < 3) ruling = "retry";
    rulings[ruling] += 1;
    return ruling;
  };
  return { judge, rulings, thread: () => thread };
}

/** The message with which Python refuses to fork this process. */
function tryToFork(py) {
  try {
    py.import("os").fork();
    return undefined;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

function rowsOf({
  py,
  site,
  crawler,
  found,
  seconds,
  delay,
  threads,
  judge,
  stopped,
  connections,
}) {
  const { pages, bytes, failures } = crawler.progress();
  const { missed, wrong } = compare(site.expected, found);
  const complete = missed.length === 0 && wrong.length === 0;
  const inDocuments = [...found.keys()].filter((link) => link.startsWith("/repo/"));
  const asked = Object.values(judge.rulings).reduce((sum, count) => sum + count);
  const refusal = tryToFork(py);
  const sameThread = crawler.thread_id === threads.main && judge.thread() === threads.main;
  return [
    {
      name: "pages",
      text: [
        `${number(pages)} (${(bytes / 1e6).toFixed(1)} MB) in ${seconds.toFixed(1)} s: ` +
          `${number(Math.round(pages / seconds))} a second over ${connections} connections`,
        `${site.documents.length} of them are this repository's documents, with ${inDocuments.length} broken links`,
      ],
    },
    {
      name: "broken links",
      text: [
        `${number(found.size)} found of ${number(site.expected.size)}` +
          (stopped ? " before the end" : `, ${missed.length} missed, ${wrong.length} wrong`),
        ...(stopped ? [] : [...missed, ...wrong].slice(0, 5)),
      ],
      holds: stopped ? wrong.length === 0 : complete,
    },
    {
      name: "verdicts",
      text: [
        `${number(asked)} asked of JavaScript for ${number(failures)} failed answers: ` +
          Object.entries(judge.rulings)
            .map(([ruling, count]) => `${number(count)} ${ruling}`)
            .join(", "),
      ],
      holds: asked === failures,
    },
    {
      name: "loop delay",
      text: [
        `p50 ${delay.median} ms, p99 ${delay.p99} ms, longest ${delay.longest} ms ` +
          `over ${number(delay.ticks)} ticks of a JavaScript timer`,
      ],
      holds: delay.ticks > 0,
    },
    {
      name: "one thread",
      text: [
        `${crawler.thread_id} in Python, ${threads.main} in JavaScript, ${judge.thread()} in the calls between; ` +
          `threads before ${threads.before}, after ${threads.after}`,
      ],
      holds: onLinux ? sameThread && threads.after === threads.before : undefined,
    },
    {
      name: "one loop",
      text: [`the crawler's is py.loop: ${py.loop.$repr()}`],
      holds: crawler.loop === py.loop,
    },
    { name: "os.fork()", text: [refusal ?? "was not refused"], holds: refusal !== undefined },
  ];
}

async function main() {
  const { pages, connections, seed } = readOptions();
  const py = await Python.start();
  console.log(`Python ${py.version} (${py.executable}) in Node ${process.version}, ${process.pid}`);

  const site = makeSite({ count: pages, seed, root });
  const server = createServer(serve(site)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;

  const judge = makeJudge();
  py.register("verdict", judge.judge);
  py.execSync("import sys; sys.path.insert(0, folder)", { folder: here });
  const crawler = py.import("crawler").Crawler(origin, kw({ connections }));

  let stopped;
  const stop = (signal) => {
    stopped = signal;
    crawler.stop();
  };
  // Once each: a second Ctrl-C ends the process where it is.
  process.once("SIGINT", stop).once("SIGTERM", stop);

  const found = new Map();
  const ticker = new Ticker();
  const threads = { main: threadId(), before: threadCount() };
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 1000;
  const progress = new Progress(process.stdout, () => {
    const { pages: read, waiting } = crawler.progress();
    const rate = Math.round(read / elapsed());
    return `${elapsed().toFixed(1)} s  ${number(read)} pages (${number(rate)}/s), ${number(waiting)} waiting, ${number(found.size)} broken links`;
  });
  ticker.start();
  for await (const { source, target, reason } of crawler.findings()) {
    found.set(`${source} -> ${target}`, reason);
  }
  const seconds = elapsed();
  const delay = ticker.stop();
  progress.stop();
  threads.after = threadCount();

  const facts = { py, site, crawler, found, seconds, delay, threads, judge, stopped, connections };
  const rows = rowsOf(facts);
  const title = stopped ? `Stopped by ${stopped}; so far:` : "Done.";
  console.log(`\n${title}\n${table(rows)}`);

  server.close();
  server.closeAllConnections();
  await py.close();
  if (rows.some(({ holds }) => holds === false)) process.exitCode = 1;
  else if (stopped) process.exitCode = stopped === "SIGINT" ? 130 : 143;
}

await main();
