// A look-up of a name keeps Node alive.
import { Python } from "coloop";

const py = await Python.start();
void py
  .eval("await __import__('asyncio').get_running_loop().getaddrinfo('localhost', 80)")
  .then((found) => console.log(found.length > 0 ? "pass" : "nothing found"));
