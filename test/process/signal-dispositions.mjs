// Starting Python changes no signal's disposition, but for those of faults, which it reports.
import { constants } from "node:os";
import { Python } from "coloop";
import { masks } from "./signal-helpers.mjs";

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
