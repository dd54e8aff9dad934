// A Task that waits for a child keeps Node alive, though nothing else does.
import { Python } from "coloop";

const py = await Python.start({ sandbox: { subprocess: () => true } });
const code = `
import asyncio
child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.3; exit 7")
code = await child.wait()`;
void py.exec(code).then(() => console.log(py.globals.code === 7 ? "pass" : py.globals.code));
