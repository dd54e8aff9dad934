// Python that blocks the thread is interrupted after the grace, and the process ends.
// signal: SIGINT
// exit: 130
// within: 20000
import { Python } from "coloop";

const py = await Python.start();
py.shutdownOnSignals({ grace: 200 });
py.eval("await __import__('asyncio').sleep(3600)").catch(() => undefined);
const before = performance.now();
try {
  py.execSync(
    "__import__('os').write(1, b'ready\\n')\nwhile True:\n  try:\n    while True: pass\n  except KeyboardInterrupt: break",
  );
} catch {
  console.log("not reached: Python caught it");
}
if (performance.now() - before >= 200) console.log("pass");
