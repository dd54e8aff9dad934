// A job of an executor keeps Node alive, and its result arrives.
import { Python } from "coloop";

const py = await Python.start();
void py
  .eval("await __import__('asyncio').to_thread(lambda: __import__('time').sleep(0.2) or 5)")
  .then((value) => console.log(value === 5 ? "pass" : value));
