// Exceptions of Python's in JavaScript, errors of JavaScript's in Python, and through both.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat((py) => {
  py.execSync(`
def fail(text):
    raise ValueError(text)

def catch(function):
    try:
        function()
    except Exception as error:
        return type(error).__name__

def through(function):
    function()
`);
  const { fail, catch: catchIt, through } = py.globals;
  const swallow = (work) => {
    try {
      work();
    } catch {
      return;
    }
    throw new Error("nothing was thrown");
  };
  for (let i = 0; i < 500; i++) {
    swallow(() => fail("text"));
    catchIt(() => {
      throw new TypeError("t");
    });
    swallow(() =>
      through(() => {
        throw new TypeError("t");
      }),
    );
    swallow(() => through(() => fail("nested")));
  }
});
