// Typed arrays over the memory of Python objects.

import { binding, type Handle } from "./binding.js";
import { ColoopTypeError } from "./errors.js";
import { checkOptions } from "./options.js";

/**
 * A view of {@link PyProxy.$view}: a typed array over the object's memory; its class is that of the
 * element format.
 */
export type PyView =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Options of {@link PyProxy.$view}. */
export interface ViewOptions {
  /**
   * A typed array with a copy of the memory, in C's order, which memory that is read-only or not
   * contiguous needs. Default false.
   */
  copy?: boolean;
}

type ViewClass = new (memory: ArrayBuffer) => PyView;

// struct's codes, native byte order; `l` and `L` by their size.
const classes: Record<string, ViewClass> = {
  b1: Int8Array,
  B1: Uint8Array,
  c1: Uint8Array,
  "?1": Uint8Array,
  h2: Int16Array,
  H2: Uint16Array,
  i4: Int32Array,
  I4: Uint32Array,
  l4: Int32Array,
  L4: Uint32Array,
  l8: BigInt64Array,
  L8: BigUint64Array,
  q8: BigInt64Array,
  Q8: BigUint64Array,
  n8: BigInt64Array,
  N8: BigUint64Array,
  f4: Float32Array,
  d8: Float64Array,
};

/** A typed array over the buffer of a Python object; its memory stays where it is while it lives. */
export function typedView(handle: Handle, options: ViewOptions = {}): PyView {
  checkOptions(options, "$view", { copy: "boolean" });
  const [memory, format, itemSize] = binding().view(handle, options.copy === true);
  const code = format.replace(/^[@=<]/, "");
  const View = classes[`${code}${itemSize}`];
  if (View === undefined) {
    throw new ColoopTypeError(
      "ERR_COLOOP_CONVERSION",
      `a buffer of format "${format}" has no typed array; cast it in Python, for example memoryview(x).cast("B")`,
    );
  }
  return new View(memory);
}
