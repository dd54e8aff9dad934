// What is shown of a long run of steps: how far it is as it goes, and of a step that failed what says why.

const titled = /^\[coloop\] ==== (.*)$/;
const failed = /^\[coloop\] step: \d+ passed, [1-9]\d* failed/;
// The surest first: vitest's list at the end, unittest's, a program's or a build's line, a compiler's. Not our own, which
// follow what they tell of.
const failures = [/^⎯+ Failed /, /^(?:FAIL|ERROR): /, /FAILED/, /: error: /];
const shown = 120; // lines of a failed step
const ending = 20; // of them from its end

/** The line that begins a step. */
export function heading(title) {
  return `[coloop] ==== ${title}`;
}

/** The line that ends a step. */
export function stepEnd(counts, took) {
  return `[coloop] step: ${counts} (${took})`;
}

/** Whether a line is for a person who waits. */
export function isProgress(text) {
  return text.startsWith("[coloop] ");
}

/** The lines of each step, from its heading on, by title. */
export function stepsOf(output) {
  const steps = new Map();
  let current = [];
  for (const text of output.split("\n")) {
    const title = titled.exec(text)?.[1];
    if (title !== undefined) {
      current = [];
      steps.set(title, current);
    }
    current.push(text);
  }
  return steps;
}

/** Whether a step's end told of a failure. */
export function hasFailed(lines) {
  return lines.some((text) => failed.test(text));
}

/** Of a failed step's lines: from the first that tells a failure on, or the last ones if none does. */
export function failureOf(lines) {
  const first = failures
    .map((pattern) => lines.findIndex((text) => !isProgress(text) && pattern.test(text)))
    .find((index) => index >= 0);
  if (first === undefined) return lines.slice(-shown);
  const rest = lines.slice(first);
  if (rest.length <= shown) return rest;
  const left = rest.length - shown;
  return [...rest.slice(0, shown - ending), `… ${left} lines …`, ...rest.slice(-ending)];
}
