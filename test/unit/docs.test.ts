import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { staleTables, tables, withTable } from "../../tools/tables.mjs";
import { repository } from "../helpers/child.js";
import {
  blocksIn,
  blocksOf,
  differences,
  pages,
  promisedBy,
  read,
  sources,
} from "../helpers/documents.js";

const documents = [...pages, "CONTRIBUTING.md", "CHANGELOG.md", "native/README.md"];

function withoutCode(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, "").replace(/`[^`\n]*`/g, "");
}

/** GitHub's anchor of a heading. */
function anchors(text: string): string[] {
  const headings = text.replace(/^(```|~~~)[\s\S]*?^\1.*$/gm, "").matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

describe("tables", () => {
  test("are those of the code", () => {
    expect(staleTables()).toEqual([]);
  });

  test.each(tables.map((table) => [table.name, table] as const))(
    "a row that differs is noticed in %s",
    (_name, table) => {
      const made = table.make(read(table.source));
      expect(made.split("\n").length).toBeGreaterThan(10);
      const text = read(table.document);
      expect(withTable(text, table, made)).toBe(text);
      expect(withTable(text, table, `${made}\n| a | new | row |`)).not.toBe(text);
    },
  );

  test("the dependencies are those of package.json, each with a reason", () => {
    const { devDependencies, dependencies = {} } = JSON.parse(read("package.json")) as Record<
      string,
      Record<string, string>
    >;
    const section = read("docs/architecture.md").split("## Dependencies")[1] ?? "";
    const listed = [...section.matchAll(/^\| `(.+?)` \| (.{20,}) \|$/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual(Object.keys({ ...dependencies, ...devDependencies }).sort());
  });
});

/** The links of a document to files and anchors of ours. */
function linksOf(name: string): { link: string; target: string; anchor: string | undefined }[] {
  const links = [...withoutCode(read(name)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, link = ""]) => link,
  );
  return links
    .filter((link) => !/^https?:/.test(link))
    .map((link) => {
      const [file = "", anchor] = link.split("#");
      return { link, target: file === "" ? name : path.join(path.dirname(name), file), anchor };
    });
}

test.each(documents)("the links of %s lead somewhere", (name) => {
  const broken = linksOf(name).filter(({ target, anchor }) => {
    if (!existsSync(path.join(repository, target))) return true;
    return anchor !== undefined && !anchors(read(target)).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test("the documents of the package link to files of the package", () => {
  const list = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: repository,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [{ files }] = JSON.parse(list) as [{ files: { path: string }[] }];
  const packed = files.map((file) => file.path);
  const folders = packed.map((name) => path.dirname(name));
  const there = new Set([...packed, ...folders]);
  const broken = packed
    .filter((name) => name.endsWith(".md"))
    .flatMap((name) => linksOf(name).map((link) => ({ name, ...link })))
    .filter(({ target }) => !there.has(target));
  expect(broken).toEqual([]);
});

test("the README's example is examples/hello.mjs", () => {
  const example = read("examples/hello.mjs").replace(/^\/\/.*\n\n/, "");
  expect(read("README.md")).toContain(`\`\`\`js\n${example}\`\`\``);
});

test("the scripts that documents name exist", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const named = documents.flatMap((name) =>
    [...read(name).matchAll(/npm run ([\w:]+)/g)].map(([, script = ""]) => script),
  );
  expect(named.filter((script) => !(script in scripts))).toEqual([]);
});

describe("programs", () => {
  test("are found in pages and in comments of the code", () => {
    const found = [
      ...blocksIn("a\n\n```js\n// main.mjs\n\nf();\n```\n\n```text\nb\n```\n", "page.md"),
      ...blocksIn("/**\n   * A.\n   * ```ts\n   * f(\n   *\n   *   1);\n   * ```\n   */\n", "a.ts"),
    ];
    expect(found).toEqual([
      {
        document: "page.md",
        line: 3,
        language: "js",
        code: "// main.mjs\n\nf();\n",
        file: "main.mjs",
      },
      { document: "page.md", line: 9, language: "text", code: "b\n", file: undefined },
      { document: "a.ts", line: 3, language: "ts", code: "f(\n\n  1);\n", file: undefined },
    ]);
  });

  // `py`: a part of a program, which nothing runs.
  const kinds = ["js", "ts", "python", "sh", "text"];

  test.each([...pages, ...sources])("of %s have a fence of a known kind", (name) => {
    const fences = read(name).match(/^ *(?:\* )?(?:```|~~~)/gm) ?? [];
    const blocks = blocksOf(name);
    expect(blocks).toHaveLength(fences.length / 2);
    const known = name === "docs/cli.md" ? [...kinds, "py"] : kinds;
    expect(blocks.filter(({ language }) => !known.includes(language))).toEqual([]);
  });

  test("are in the README and in every page of the guide", () => {
    const without = pages
      .filter((name) => !/^docs\/[^/]+$/.test(name))
      .filter(
        (name) => !blocksOf(name).some(({ language }) => ["js", "ts", "python"].includes(language)),
      );
    expect(without).toEqual([]);
  });

  const said = `
    console.log(1); // one
    console.log(2); // for example 3.11.7
    f().catch((e) => console.log(e)); // it fails
    print("x", flush=True)  # ['x'] (really)
    // on stderr: a warning
    process.exit(3); // exit status 3
  `;
  const did = {
    code: 3,
    signal: null,
    stdout: "it fails\n3.12.0\none\n['x'] (really)\n",
    stderr: "this is a warning\n",
  };

  test("do what their comments say", () => {
    expect(differences(promisedBy(said), did)).toEqual([]);
    const silent = { code: 0, signal: null, stdout: "", stderr: "" };
    expect(differences(promisedBy("f(); // nothing"), silent)).toEqual([]);
  });

  test.each([
    [{ stdout: did.stdout.replace("one\n", "") }, ["it does not print: one"]],
    [
      { stdout: did.stdout.replace("3.12.0", "3.12") },
      ["it does not print: for example 3.11.7", "nothing says that it prints: 3.12"],
    ],
    [{ stdout: `${did.stdout}one\n` }, ["nothing says that it prints: one"]],
    [{ stderr: "an error" }, ["its stderr is: an error"]],
    [{ code: 0 }, ["its exit status is 0"]],
  ])("that do something else are noticed: %j", (other, noticed) => {
    expect(differences(promisedBy(said), { ...did, ...other })).toEqual(noticed);
  });

  test("that write on stderr have to say so", () => {
    const result = { code: 0, signal: null, stdout: "", stderr: "a warning" };
    expect(differences(promisedBy("f();"), result)).toEqual(["its stderr is: a warning"]);
  });
});

test("the guide has every name of Python's module", () => {
  const [, all = ""] =
    read("python/_erlang_impl/__init__.py").match(/^__all__ = \[([^\]]*)\]/m) ?? [];
  const names = [...all.matchAll(/"(\w+)"/g)].map(([, name]) => name);
  const rows = [...read("docs/guide/python-module.md").matchAll(/^\| (`.*?) \|/gm)];
  const listed = rows
    .flatMap(([, cell = ""]) => [...cell.matchAll(/`(\w+)/g)])
    .map(([, name]) => name);
  expect(listed.sort()).toEqual(names.sort());
});

test("the supported versions are said alike", () => {
  const { engines } = JSON.parse(read("package.json")) as { engines: { node: string } };
  expect(read("README.md")).toContain(`Node.js ${engines.node.replace(">=", "")} or newer`);
});
