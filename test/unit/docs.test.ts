import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { staleTables, tables, withTable } from "../../tools/tables.mjs";
import { repository } from "../helpers/child.js";

const documents = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "native/README.md",
  ...readdirSync(path.join(repository, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

function read(name: string): string {
  return readFileSync(path.join(repository, name), "utf8");
}

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

test.each(documents)("the links of %s lead somewhere", (name) => {
  const links = [...withoutCode(read(name)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link);
  const broken = links.filter((link = "") => {
    if (/^https?:/.test(link)) return false;
    const [file = "", anchor] = link.split("#");
    const target = file === "" ? name : path.join(path.dirname(name), file);
    if (!existsSync(path.join(repository, target))) return true;
    return anchor !== undefined && !anchors(read(target)).includes(anchor);
  });
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

test("the supported versions are said alike", () => {
  const { engines } = JSON.parse(read("package.json")) as { engines: { node: string } };
  expect(read("README.md")).toContain(`Node.js ${engines.node.replace(">=", "")} or newer`);
});
