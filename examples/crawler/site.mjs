// The site that is crawled: this repository's documents, and pages made from a seed, some of which are
// broken, slow or gone. It is made of data, so that what a crawler must find is known beforehand.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";

const words =
  "loop promise coroutine socket timer thread handle buffer proxy signal stream future callback task poll event".split(
    " ",
  );

/** mulberry32: small, and the same on every machine. */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// How the pages behave, by share; the rest are plain.
const behaviours = [
  { kind: "error", share: 0.015 }, // always 500
  { kind: "flaky", share: 0.015 }, // 503 twice, then the page
  { kind: "slow", share: 0.04 },
  { kind: "moved", share: 0.01 },
  { kind: "cut", share: 0.003 }, // the connection breaks in the middle of the page
  { kind: "hung", share: 0.001 }, // never answers
];

/** What becomes of a link to a page: the reason why it is broken, or undefined. */
const brokenBecause = { gone: "404", error: "500", cut: "cut off", hung: "timed out" };

function chooseBehaviour(random) {
  let rest = random();
  for (const { kind, share } of behaviours) {
    if (rest < share) return kind;
    rest -= share;
  }
  return "plain";
}

function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

// The same target written in the ways that pages write it.
const spellings = [
  (target) => target,
  (target) => `..${target}`,
  (target) => `${target}#part`,
  (target) => `../list/..${target}`,
];

function html(title, links, random) {
  const paragraphs = [];
  for (let i = 0; i < 24; i++) {
    const text = Array.from({ length: 40 }, () => words[Math.floor(random() * words.length)]);
    paragraphs.push(`<p id="p${i}">${text.join(" ")} &amp; so on.</p>`);
  }
  const anchors = links.map((target) => {
    const spell = spellings[Math.floor(random() * spellings.length)];
    return `<li><a class="link" href="${escapeHtml(spell(target))}">${escapeHtml(target)}</a></li>`;
  });
  return `<!doctype html>
<html><head><title>${escapeHtml(title)}</title><link rel="icon" href="data:,"></head><body>
<h1>${escapeHtml(title)}</h1><!-- <a href="/gone/comment">not a link</a> -->
${paragraphs.join("\n")}
<ul>${anchors.join("\n")}</ul><a href="https://example.org/">elsewhere</a><a name="part">no link</a>
</body></html>`;
}

/** The links of a Markdown text, those in code left out. */
export function markdownLinks(text) {
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, "").replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(<?([^)\s>]+)>?[^)]*\)/g)].map((match) => match[1]);
}

function* markdownFiles(root, folder = "") {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = path.posix.join(folder, entry.name);
    const skipped = entry.name.startsWith(".") || /^(node_modules|build|dist)$/.test(entry.name);
    if (entry.isDirectory() && !skipped && name !== "test") yield* markdownFiles(root, name);
    else if (entry.isFile() && entry.name.endsWith(".md")) yield name;
  }
}

/** Adds the repository's documents, and whatever they link to that exists. */
function addDocuments(pages, root) {
  const documents = [];
  for (const name of markdownFiles(root)) {
    const url = `/repo/${name}`;
    const body = readFileSync(path.join(root, name), "utf8");
    const targets = markdownLinks(body).filter((link) => !/^([a-z]+:|#)/i.test(link));
    const links = targets.map((link) => new URL(link, `http://site${url}`).pathname);
    pages.set(url, { kind: "plain", type: "text/markdown", body, links });
    documents.push(url);
  }
  for (const url of documents) {
    for (const link of pages.get(url).links) {
      const file = path.join(root, decodeURIComponent(link.replace(/^\/repo\//, "")));
      const inside = link.startsWith("/repo/") && file.startsWith(root) && existsSync(file);
      if (pages.has(link) || !inside) continue;
      const body = statSync(file).isFile() ? readFileSync(file) : `folder ${link}\n`;
      pages.set(link, { kind: "plain", type: "text/plain", body, links: [] });
    }
  }
  return documents;
}

function generatedPage(url, count, random) {
  const kind = url === "/page/0" ? "plain" : chooseBehaviour(random);
  const links = Array.from({ length: 8 }, () => {
    const chance = random();
    const number = Math.floor(random() * count);
    if (chance < 0.012) return `/gone/${number}`;
    if (chance < 0.022) return `/private/${number}`;
    return `/page/${number}`;
  });
  const body = html(`Page ${url.slice(6)}`, links, random);
  const page = { kind, type: "text/html", body, links };
  if (kind === "slow") page.delay = 200 + Math.floor(random() * 1300);
  if (kind === "moved") page.location = "/page/0";
  return page;
}

/**
 * The whole site: its pages by path, and `expected`, every broken link as `source -> target` with the
 * reason.
 */
export function makeSite({ count, seed, root }) {
  const random = randomNumbers(seed);
  const pages = new Map();
  const documents = addDocuments(pages, root);
  const lists = [];
  for (let first = 0; first < count; first += 100) {
    const url = `/list/${first / 100}`;
    const size = Math.min(100, count - first);
    const links = Array.from({ length: size }, (_, index) => `/page/${first + index}`);
    pages.set(url, { kind: "plain", type: "text/html", body: html(url, links, random), links });
    lists.push(url);
  }
  for (let number = 0; number < count; number++) {
    const url = `/page/${number}`;
    pages.set(url, generatedPage(url, count, random));
  }
  const links = [...documents, ...lists];
  pages.set("/", { kind: "plain", type: "text/html", body: html("Index", links, random), links });
  return { pages, documents, expected: brokenLinks(pages) };
}

function brokenLinks(pages) {
  const expected = new Map();
  const readable = new Set(["plain", "slow", "flaky"]);
  for (const [source, page] of pages) {
    if (!readable.has(page.kind)) continue;
    for (const target of page.links) {
      if (target.startsWith("/private/")) continue;
      const reason = brokenBecause[pages.get(target)?.kind ?? "gone"];
      if (reason !== undefined) expected.set(`${source} -> ${target}`, reason);
    }
  }
  return expected;
}

/** What was found beside what should have been: broken links that were missed, and wrong ones. */
export function compare(expected, found) {
  const missed = [...expected].filter(([link, reason]) => found.get(link) !== reason);
  const wrong = [...found].filter(([link, reason]) => expected.get(link) !== reason);
  return { missed: missed.map(([link]) => link), wrong: wrong.map(([link]) => link) };
}

function send(response, { type, body }) {
  const bytes = Buffer.from(body);
  response.setHeader("content-type", `${type}; charset=utf-8`);
  if (bytes.length % 3 === 0) {
    response.write(bytes.subarray(0, 100)); // no length is known: Node sends chunks
    response.end(bytes.subarray(100));
  } else {
    response.setHeader("content-length", bytes.length);
    response.end(bytes);
  }
}

function fail(response, status) {
  response.statusCode = status;
  send(response, { type: "text/plain", body: `${status}\n` });
}

const answers = {
  plain: send,
  error: (response) => fail(response, 500),
  slow: (response, page) => void setTimeout(send, page.delay, response, page),
  moved: (response, page) => {
    response.writeHead(301, { location: page.location, "content-length": 0 }).end();
  },
  cut: (response, page) => {
    response.writeHead(200, { "content-type": page.type, "content-length": page.body.length });
    response.write(page.body.slice(0, 500), () => response.destroy());
  },
  hung: () => {},
};

/** The listener of an HTTP server that serves the site. */
export function serve(site) {
  const failures = new Map();
  return (request, response) => {
    const url = new URL(request.url, "http://site").pathname;
    const page = site.pages.get(url);
    if (page === undefined) {
      fail(response, url.startsWith("/private/") ? 403 : 404);
    } else if (page.kind === "flaky") {
      const failed = failures.get(url) ?? 0;
      failures.set(url, failed + 1);
      if (failed < 2) fail(response, 503);
      else send(response, page);
    } else {
      answers[page.kind](response, page);
    }
  };
}
