// What a Worker leaves in its own interpreter runs with that Worker's policy for ever: only Workers with the same one get it.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

await Python.start();
const task = ({ py }) => {
  py.execSync(`
import builtins, json, os

def opens():
    try:
        open(os.devnull, "w").close()
        return True
    except PermissionError:
        return False

class Imports:
    busy = False
    function = staticmethod(builtins.__import__)

    def __call__(self, *arguments, **options):
        if not self.busy:
            self.busy = True
            json.opened.append(opens())
            self.busy = False
        return self.function(*arguments, **options)

found = getattr(json, "opened", None)
json.opened = []
builtins.__import__ = Imports()
`);
  return [py.evalSync("id(__import__('sys').modules)").toString(), py.evalSync("found")];
};
const run = (sandbox) => inOwn(task, undefined, { sandbox });
const strict = { preset: "strict" };
const rules = { rules: { write: { allow: ["/nowhere"] } } };

const [strictId, first] = await run(strict);
assert.equal(first, null);
const [freeId, none] = await run(undefined);
assert.notEqual(freeId, strictId);
assert.equal(none, null);
const [ruledId, nothing] = await run(rules);
assert.ok(ruledId !== strictId && ruledId !== freeId);
assert.equal(nothing, null);
// Also while the next Worker starts.
for (const [sandbox, id] of [
  [rules, ruledId],
  [strict, strictId],
]) {
  const [again, opened] = await run(sandbox);
  assert.equal(again, id);
  assert.ok(opened.length > 0 && !opened.includes(true), String(opened));
}
assert.equal((await run(undefined))[0], freeId);
console.log("pass");
