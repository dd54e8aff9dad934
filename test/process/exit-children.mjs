// Exit with children: the one of a thread ends within the grace, and the thread learns its status from the
// kernel, since libuv does not wait any more; one that is asked for is not started; one of the loop is left.
// exit: 4
// within: 15000
import { Python } from "coloop";

const started = [];
const subprocess = ({ argv }) => {
  started.push(argv[0]);
  return argv[0] === "never" ? new Promise(() => {}) : true;
};
const py = await Python.start({ exitGrace: 10_000, sandbox: { subprocess } });
await py.exec(`
import asyncio, os, subprocess, threading

def wait():
    code = subprocess.call(["sh", "-c", "sleep 0.5; exit 5"])
    print("pass" if code == 5 else code, flush=True)

def ask():
    try:
        subprocess.call(["never"])
    except RuntimeError as error:
        if "the process is exiting" not in str(error):
            print(error, flush=True)

threads = [threading.Thread(target=target) for target in (wait, ask)]
for thread in threads:
    thread.start()
child = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)`);
const timer = setInterval(() => {
  if (started.length < 3) return;
  clearInterval(timer);
  process.exit(4);
}, 1);
