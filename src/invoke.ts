// Calls of Python objects with positional arguments.

import { binding, type Handle } from "./binding.js";
import { allPrimitive, Encoder, encodeAll } from "./encode.js";

const maxInline = 8;
const none: readonly string[] = [];

/**
 * Calls a Python object with JavaScript values. `names` are what errors call the arguments; those of
 * Python itself (a key that is not hashable) only with `thorough`, which takes longer.
 */
export function invoke(
  handle: Handle,
  args: readonly unknown[],
  names?: readonly string[],
  thorough = false,
): unknown {
  const native = binding();
  if (allPrimitive(args)) {
    switch (args.length) {
      case 0:
        return native.call(handle);
      case 1:
        return native.call(handle, args[0]);
      case 2:
        return native.call(handle, args[0], args[1]);
      case 3:
        return native.call(handle, args[0], args[1], args[2]);
      default:
        if (args.length <= maxInline) return native.call(handle, ...args);
    }
  }
  const encoder = new Encoder();
  const encoded = encodeAll(encoder, args, names);
  try {
    return encoded.length <= maxInline && !thorough
      ? native.call(handle, ...encoded)
      : native.callWith(handle, encoded, none, none, false, names)[0];
  } catch (error) {
    encoder.drop();
    throw error;
  }
}
