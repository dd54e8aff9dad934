// The process exits at any moment of its threads' calls into JavaScript: 25 processes.
// within: 60000
import { spawnSync } from "node:child_process";

const code = `
  import { Python } from "coloop";
  const delay = Number(process.argv.at(-1));
  const py = await Python.start();
  py.register("echo", (value) => value);
  py.execSync(\`
import threading
from coloop import echo

def work():
    try:
        while True:
            echo(1)
    except RuntimeError:
        pass

for daemon in (True, True, False):
    threading.Thread(target=work, daemon=daemon).start()
\`);
  setTimeout(() => process.exit(3), delay);
`;
const bad = [];
for (let i = 0; i < 25; i++) {
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", code, "--", String(i % 9)],
    { cwd: import.meta.dirname, encoding: "utf8", timeout: 10_000 },
  );
  if (status !== 3 || stderr !== "") bad.push([status, signal, stderr]);
}
console.log(bad.length === 0 ? "pass" : bad);
