// Keyword arguments, said plainly: nothing is ever guessed to be one.

import { ColoopTypeError } from "./errors.js";

class Keywords {
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly #ours = true;

  constructor(kwargs: Readonly<Record<string, unknown>>) {
    this.kwargs = kwargs;
  }

  static is(value: unknown): value is Keywords {
    return typeof value === "object" && value !== null && #ours in value && value.#ours;
  }
}

export type { Keywords };

/**
 * Keyword arguments for a call of a Python function: the last argument.
 *
 * @param kwargs - the names and values
 * @throws TypeError `ERR_COLOOP_ARGUMENT` if it is no object
 * @example
 * ```ts
 * np.array([1, 2, 3], kw({ dtype: "float32" }));
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
