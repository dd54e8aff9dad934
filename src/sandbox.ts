// The `sandbox` option of Python.start: names over the table of native/sandbox/events.def.

import { checkOptions } from "./options.js";

/**
 * What Python may do besides, or must not do. Each name is an audit event or a group of
 * docs/sandbox.md; an event's own name counts more than its group's, `deny` more than `allow`.
 *
 * It cannot be loosened later; `coloop._sandbox.tighten` in Python makes it stricter.
 */
export interface SandboxOptions {
  /**
   * Events and groups to be allowed although they are blocked by default, for example `"subprocess"`.
   * Default none.
   */
  allow?: readonly string[];
  /**
   * Events and groups to be refused, for example `"network"`. In force when `Python.start` resolves.
   * Default none.
   */
  deny?: readonly string[];
}

/** A policy with each name once, in order, so that equal policies are equal texts. */
export interface SandboxPolicy {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

function sorted(names: readonly string[] = []): readonly string[] {
  return [...new Set(names)].sort();
}

/**
 * Checks the option and fills in what it leaves out. The names are checked where the table is: natively,
 * at the start.
 *
 * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` unless it is an object with arrays of strings
 */
export function sandboxPolicy(options: SandboxOptions = {}): SandboxPolicy {
  checkOptions(options, "Python.start's sandbox", { allow: "strings", deny: "strings" });
  return { allow: sorted(options.allow), deny: sorted(options.deny) };
}
