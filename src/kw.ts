// Keyword arguments, said plainly: nothing is ever guessed to be one.

import { ColoopTypeError } from "./errors.js";

/** What {@link kw} makes: keyword arguments, to be passed as the last argument of a call. */
class Keywords {
  /** The names and values. */
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly #ours = true;

  /** @internal */
  constructor(kwargs: Readonly<Record<string, unknown>>) {
    this.kwargs = kwargs;
  }

  /** @internal */
  static is(value: unknown): value is Keywords {
    return typeof value === "object" && value !== null && #ours in value && value.#ours;
  }
}

export type { Keywords };

/**
 * Keyword arguments for a call of a Python function or class: the last argument. A plain object in that
 * place is a dict.
 *
 * @param kwargs - the names and values
 * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` if it is no object; also the call, if it is not the
 * last argument (`ERR_COLOOP_CONVERSION`)
 * @example
 * ```ts
 * import { kw, Python } from "coloop";
 *
 * const py = await Python.start();
 * console.log(py.import("json").dumps({ b: 1, a: 2 }, kw({ sort_keys: true }))); // {"a": 2, "b": 1}
 * await py.close();
 * ```
 */
export function kw(kwargs: Readonly<Record<string, unknown>>): Keywords {
  if (typeof kwargs !== "object" || kwargs === null || Array.isArray(kwargs)) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      "kw() takes an object of names and values, for example kw({ timeout: 5 })",
    );
  }
  return new Keywords(kwargs);
}

/** True for what `kw()` made. */
export function isKeywords(value: unknown): value is Keywords {
  return Keywords.is(value);
}
