// Starting Python changes no signal's disposition, but for those of faults, which it reports.
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { Python } from "coloop";

const masks = () => {
  const status = readFileSync("/proc/self/status", "utf8");
  const mask = (name) => BigInt(`0x${status.match(new RegExp(`${name}:\\s+([0-9a-f]+)`))[1]}`);
  return { ignored: mask("SigIgn"), caught: mask("SigCgt"), blocked: mask("SigBlk") };
};
const before = masks();
await Python.start();
const after = masks();
// One real-time signal is taken for interrupts.
const realTime = ~((1n << 31n) - 1n);
const { SIGSEGV, SIGBUS, SIGILL, SIGFPE } = constants.signals;
const faults = [SIGSEGV, SIGBUS, SIGILL, SIGFPE].reduce(
  (mask, n) => mask | (1n << BigInt(n - 1)),
  0n,
);
const compared = ~(realTime | faults);
const same =
  before.ignored === after.ignored &&
  before.blocked === after.blocked &&
  (before.caught & compared) === (after.caught & compared) &&
  (after.caught & faults) === faults;
console.log(same ? "pass" : JSON.stringify([before, after], (_, v) => String(v)));
