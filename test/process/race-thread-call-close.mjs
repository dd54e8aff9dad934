// Threads call JavaScript while Python is closed and started again: 1,000 times.
// within: 60000
import { Python } from "coloop";

let py;
for (let i = 0; i < 1000; i++) {
  py = await Python.start();
  py.register("echo", (value) => value);
  py.execSync(`
import threading
from coloop import echo
wrong = []

def work(echo=echo):
    try:
        for number in range(10_000):
            if echo(number) != number:
                wrong.append(number)
    except RuntimeError as error:
        if "closed" not in str(error) and "ended" not in str(error):
            wrong.append(str(error))

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
`);
  for (let turn = 0; turn < 1 + (i % 4); turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  await py.close();
  py = await Python.start();
  py.execSync("for thread in threads: thread.join()");
  if (py.evalSync("len(wrong)") > 0) throw new Error(py.evalSync("str(wrong[:3])"));
}
console.log("pass");
