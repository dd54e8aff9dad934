// A JavaScript function as callback of the loop that throws: loopError with that very error.
// stderr: JsError: Error: of the callback
import { Python } from "coloop";

const py = await Python.start();
const error = new Error("of the callback");
py.once("loopError", ({ exception, message }) => {
  console.log(exception === error && /callback/.test(message) ? "pass" : [exception, message]);
});
py.loop.call_later(0.01, () => {
  throw error;
});
