// A thread that waits for JavaScript when the process exits gets an error and can end.
import { Python } from "coloop";

const py = await Python.start();
py.register("echo", (value) => value);
py.execSync(`
import threading, time
from coloop import echo

def work():
    try:
        while True:
            echo(1)
    except RuntimeError as error:
        print("pass" if "exiting" in str(error) else f"another text: {error}")

threading.Thread(target=work).start()
`);
setTimeout(() => process.exit(0), 50);
