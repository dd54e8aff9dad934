// The sandbox's policy: names over the table of native/sandbox/events.def, rules over arguments, and the
// reports of what happened.

import { resolve } from "node:path";
import { isMainThread } from "node:worker_threads";
import { type Binding, binding, type NativeReport, type SandboxPolicy } from "./binding.js";
import { ColoopTypeError } from "./errors.js";
import type { SandboxFrame } from "./frame.js";
import { checkOptions } from "./options.js";
import type { SubprocessPolicy } from "./subprocess.js";

/** What a rule lets pass: with `allow` nothing else passes; `deny` counts more. */
export interface SandboxRule {
  /** What passes; an empty list lets nothing pass. */
  allow?: readonly string[];
  /** What does not. */
  deny?: readonly string[];
}

/**
 * Rules over the arguments of events, besides the verdicts of the events themselves. docs/sandbox.md says
 * what each looks at, and where it cannot be relied on.
 */
export interface SandboxRules {
  /**
   * Files and folders, with all that is below, to be opened for reading, listed or entered; relative
   * ones start from the current folder.
   */
  read?: SandboxRule;
  /** Files and folders, with all that is below, to be written, made, removed, renamed or changed. */
  write?: SandboxRule;
  /** Where sockets connect and send to: `"10.0.0.0/8"`, `"[::1]:80"`, `"*:443"`, `"/run/a.sock"`. */
  connect?: SandboxRule;
  /** What sockets bind to; as `connect`. */
  bind?: SandboxRule;
  /** Names that are resolved: `"api.example.com"`, `"*.example.com"`. */
  resolve?: SandboxRule;
  /** Modules, with their submodules, that are not loaded yet. */
  import?: SandboxRule;
  /** Libraries that ctypes or SQLite load; `*` and `?` are wildcards. */
  load?: SandboxRule;
  /** Symbols that ctypes looks up; `*` and `?` are wildcards. */
  symbol?: SandboxRule;
}

/** What {@link Sandbox.tighten} takes. */
export interface SandboxTightening {
  /** The events that the preset denies are denied, and files other than Python's own not read. */
  preset?: "strict";
  /** Events and groups to be refused. */
  deny?: readonly string[];
  /** Rules that count besides those there are. */
  rules?: SandboxRules;
}

/** What Python wanted to do. */
export interface SandboxEvent {
  /** The name in the table of docs/sandbox.md. */
  readonly event: string;
  /** Its group there. */
  readonly group: string;
  /** Refused, or allowed and watched. */
  readonly verdict: "refused" | "watched";
  /** The arguments of the audit event as `repr()` shows them, shortened; objects by their type. */
  readonly args: readonly string[];
  /** At most 64 frames, the innermost first. */
  readonly stack: readonly SandboxFrame[];
  /** Python's ident of the thread. */
  readonly thread: bigint;
  /** How many reports were dropped before this one, because more than 1000 waited. */
  readonly lost: number;
}

/**
 * What Python may do besides, or must not do. Each name is an audit event or a group of
 * docs/sandbox.md; an event's own name counts more than its group's, `deny` more than `allow`, both more
 * than the preset.
 *
 * It cannot be loosened later; {@link Sandbox.tighten} makes it stricter. A Worker with
 * `interpreter: "own"` may have a `preset`, `deny` and `rules` of its own, which count besides the
 * process's; others start with the same options as the process or with none.
 */
export interface SandboxOptions {
  /**
   * `"strict"` denies everything but computing: the column of the table. Python's own library is read,
   * so that modules load; other files are not. Default `"default"`.
   */
  preset?: "default" | "strict";
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
  /** Which files, hosts, modules, libraries. Default no rules. */
  rules?: SandboxRules;
  /** Events and groups that are reported to `onEvent` although they are allowed. Default none. */
  watch?: readonly string[];
  /**
   * Called for everything that is refused, in whatever thread, and for what is watched: soon afterwards,
   * on the main thread, where alone it can be set. What it throws is an uncaught exception.
   */
  onEvent?: (event: SandboxEvent) => void;
  /**
   * Python's `subprocess` and asyncio's subprocesses work by children that Node.js runs, each of which
   * this function allows, changes or denies. On the main thread, where alone it can be set. Default: no
   * children.
   */
  subprocess?: SubprocessPolicy;
}

const ruleNames = [
  "read",
  "write",
  "connect",
  "bind",
  "resolve",
  "import",
  "load",
  "symbol",
] as const;

function sorted(names: readonly string[] = []): readonly string[] {
  return [...new Set(names)].sort();
}

function fail(message: string): never {
  throw new ColoopTypeError("ERR_COLOOP_ARGUMENT", message);
}

/** The lines that native code parses. */
function ruleLines(rules: SandboxRules, where: string): readonly string[] {
  checkOptions(
    rules,
    where,
    Object.fromEntries(ruleNames.map((name) => [name, "object" as const])),
  );
  const lines: string[] = [];
  for (const name of ruleNames) {
    const rule = rules[name];
    if (rule === undefined) continue;
    const what = `${where}.${name}`;
    checkOptions(rule, what, { allow: "strings", deny: "strings" });
    if (rule.allow === undefined && rule.deny === undefined) {
      fail(`${what} needs a list: allow, deny or both`);
    }
    if (rule.allow !== undefined) lines.push(`${name} allow`);
    for (const way of ["allow", "deny"] as const) {
      for (const pattern of rule[way] ?? []) {
        if (pattern === "") fail(`${what}.${way} has an empty text`);
        // Native code refuses "~", which is nobody's home here.
        const isPath = (name === "read" || name === "write") && !pattern.startsWith("~");
        lines.push(`${name} ${way} ${isPath ? resolve(pattern) : pattern}`);
      }
    }
  }
  return sorted(lines);
}

function isStrict(preset: unknown, where: string, known: readonly string[]): boolean {
  if (preset !== undefined && !known.includes(preset as string)) {
    const names = known.map((name) => JSON.stringify(name)).join(" or ");
    fail(`the option "preset" of ${where} must be ${names}, not ${JSON.stringify(preset)}`);
  }
  return preset === "strict";
}

/** The preset's own rule, unless there is one already. */
function withPreset(rules: SandboxRules, strict: boolean): SandboxRules {
  return strict ? { read: { allow: [] }, ...rules } : rules;
}

/**
 * Checks the option and fills in what it leaves out. The names are checked where the table is: natively,
 * at the start.
 *
 * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` if an option is unknown or of another type
 */
export function sandboxPolicy(options: SandboxOptions = {}): SandboxPolicy {
  const where = "Python.start's sandbox";
  checkOptions(options, where, {
    preset: "string",
    allow: "strings",
    deny: "strings",
    rules: "object",
    watch: "strings",
    onEvent: "function",
    subprocess: "function",
  });
  for (const name of ["onEvent", "subprocess"] as const) {
    if (options[name] === undefined || isMainThread) continue;
    fail(`the option "${name}" of ${where} is for the main thread: it is told of every thread`);
  }
  const strict = isStrict(options.preset, where, ["default", "strict"]);
  return {
    allow: sorted(options.allow),
    deny: sorted(options.deny),
    rules: ruleLines(withPreset(options.rules ?? {}, strict), `${where}.rules`),
    watch: sorted(options.watch),
    strict,
    children: options.subprocess !== undefined,
  };
}

/** The policy of the process, which every interpreter has. */
export class Sandbox {
  /**
   * Denies more, at once, for the whole process and for good. What was allowed and is in use already,
   * such as an open file, stays in use.
   *
   * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` for wrong options, ColoopError `ERR_COLOOP_POLICY`
   * for an unknown name; then nothing is changed
   * @example
   * ```ts
   * import { Python } from "coloop";
   *
   * const py = await Python.start();
   * py.sandbox.tighten({ deny: ["network"], rules: { write: { allow: ["/tmp"] } } });
   * await py.close();
   * ```
   */
  tighten(options: SandboxTightening): void {
    checkOptions(options, "tighten", { preset: "string", deny: "strings", rules: "object" });
    const strict = isStrict(options.preset, "tighten", ["strict"]);
    const rules = ruleLines(withPreset(options.rules ?? {}, strict), "tighten's rules");
    binding().tightenSandbox(sorted(options.deny), rules, strict);
  }
}

function eventOf([
  event,
  group,
  verdict,
  thread,
  lost,
  args,
  ...parts
]: NativeReport): SandboxEvent {
  const stack: SandboxFrame[] = [];
  for (let i = 0; i < parts.length; i += 3) {
    const [file = "", line, name = ""] = parts.slice(i, i + 3);
    stack.push({ file, line: Number(line), function: name });
  }
  return { event, group, verdict, args, stack, thread: BigInt(thread), lost: Number(lost) };
}

let onEvent: SandboxOptions["onEvent"];

/** Hands over the reports that wait. */
export function deliverReports(native: Binding): void {
  for (const report of native.takeSandboxReports()) {
    try {
      onEvent?.(eventOf(report));
    } catch (thrown) {
      // A listener's error is its own: thrown where nothing of ours is on the stack.
      setImmediate(() => {
        throw thrown;
      });
    }
  }
}

/** From now on this listener, or nobody, is told. */
export function listen(native: Binding, listener: SandboxOptions["onEvent"]): void {
  deliverReports(native);
  onEvent = listener;
  native.listenToSandbox(listener === undefined ? null : () => deliverReports(native));
}
