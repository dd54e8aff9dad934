// process.exit from JavaScript that Python called, three frames deep.
// exit: 5
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import atexit
atexit.register(lambda: print("pass"))

def third(function):
    with open("/dev/null") as file:
        function()

def second(function):
    try:
        third(function)
    finally:
        print("not reached")

def first(function):
    second(function)
`);
py.globals.first(() => process.exit(5));
