// A C++ extension of Python's has the process's standard streams, locale, environment and time zone.
// Argument: the folder of stream_extension. Its standard input is "first second", its TZ is MINE-1:30.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Python } from "coloop";

process.env.COLOOP_TEST_SET_BY_NODE = "before the start";
const py = await Python.start();
py.execSync("import sys; sys.path.insert(0, folder)", { folder: process.argv[2] });
const extension = py.import("stream_extension");
strictEqual(extension.write(), "42 2.5 true 17 1");
strictEqual(extension.read_input(), "[first][second]");
strictEqual(extension.throw_and_catch(), "thrown and caught");
deepStrictEqual(extension.count_environment(), Object.keys(process.env).length);
deepStrictEqual(
  extension.time_zone(),
  py.evalSync("[(t := __import__('time')).tzname[0], t.timezone]"),
);
deepStrictEqual(extension.time_zone(), ["MINE", -5400]);
console.log("pass");
