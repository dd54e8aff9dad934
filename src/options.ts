// Validation of options objects: a misspelt or wrong one throws and says what to write.

import { ColoopTypeError } from "./errors.js";

type Kind =
  | "string"
  | "boolean"
  | "object"
  | "signal"
  | "milliseconds"
  | "count"
  | "strings"
  | "signals"
  | "interpreter"
  | "action"
  | "duration"
  | "function"
  | "any";

const checks: Record<Kind, { test: (value: unknown) => boolean; text: string }> = {
  string: {
    test: (value) => typeof value === "string" && value !== "",
    text: "a non-empty string",
  },
  boolean: { test: (value) => typeof value === "boolean", text: "true or false" },
  object: {
    test: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
    text: "an object",
  },
  signal: { test: (value) => value instanceof AbortSignal, text: "an AbortSignal" },
  milliseconds: {
    test: (value) => typeof value === "number" && value >= 0 && value <= 2 ** 31 - 1,
    text: "a number of milliseconds from 0 to 2147483647",
  },
  count: {
    test: (value) => Number.isInteger(value) && (value as number) >= 0,
    text: "an integer of at least 0",
  },
  strings: {
    test: (value) => Array.isArray(value) && value.every((item) => typeof item === "string"),
    text: "an array of strings",
  },
  signals: {
    test: (value) => value === "refuse" || value === "host",
    text: '"refuse" or "host"',
  },
  interpreter: {
    test: (value) => value === "shared" || value === "own",
    text: '"shared" or "own"',
  },
  action: {
    test: (value) => value === "report" || value === "interrupt",
    text: '"report" or "interrupt"',
  },
  duration: {
    test: (value) => typeof value === "number" && value >= 1 && value <= 2 ** 31 - 1,
    text: "a number of milliseconds from 1 to 2147483647",
  },
  function: { test: (value) => typeof value === "function", text: "a function" },
  any: { test: () => true, text: "anything" },
};

function show(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  return typeof value === "function" ? "a function" : String(value);
}

/** Throws unless `options` is an object with none but the named options, each of its kind. */
export function checkOptions(
  options: unknown,
  where: string,
  kinds: Readonly<Record<string, Kind>>,
): void {
  if (!checks.object.test(options)) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `the options of ${where} must be an object, not ${show(options)}`,
    );
  }
  for (const [name, value] of Object.entries(options as object)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
    if (kind === undefined) {
      const known = Object.keys(kinds).join(", ");
      throw new ColoopTypeError(
        "ERR_COLOOP_ARGUMENT",
        `${where} has no option ${JSON.stringify(name)}; it has: ${known}`,
      );
    }
    const check = checks[kind];
    if (value !== undefined && !check.test(value)) {
      throw new ColoopTypeError(
        "ERR_COLOOP_ARGUMENT",
        `the option ${JSON.stringify(name)} of ${where} must be ${check.text}, not ${show(value)}`,
      );
    }
  }
}

/** Throws unless an option is there. */
export function checkGiven<T extends object>(
  options: T,
  where: string,
  name: keyof T & string,
): void {
  if (options[name] !== undefined) return;
  throw new ColoopTypeError(
    "ERR_COLOOP_ARGUMENT",
    `${where} needs the option ${JSON.stringify(name)}`,
  );
}

/** Throws unless `value` is a non-empty string. */
export function checkString(value: unknown, what: string): asserts value is string {
  if (typeof value !== "string" || value === "") {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `${what} must be a non-empty string, not ${show(value)}`,
    );
  }
}
