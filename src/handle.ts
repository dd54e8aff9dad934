// How a proxy of a Python object is known: the holder of its native handle behind a symbol of ours.

import type { Handle } from "./binding.js";

/** What a proxy answers with its holder. */
export const handleKey: unique symbol = Symbol("coloop.handle");

/** The native handle of a Python object and what that can do. */
export class HandleHolder {
  readonly handle: Handle;
  readonly abilities: number;
  /** Ours as well as the program's: `$dispose` leaves it alone. */
  kept = false;
  readonly #ours = true;

  constructor(handle: Handle, bits: number) {
    this.handle = handle;
    this.abilities = bits;
  }

  static is(value: unknown): value is HandleHolder {
    return typeof value === "object" && value !== null && #ours in value && value.#ours;
  }
}

/** The holder of a proxy of ours; undefined for every other value. */
export function holderOf(value: unknown): HandleHolder | undefined {
  if (typeof value !== "function") return undefined;
  try {
    const holder = (value as unknown as Record<symbol, unknown>)[handleKey];
    return HandleHolder.is(holder) ? holder : undefined;
  } catch {
    return undefined; // a Proxy that was revoked, or whose traps throw, is none of ours
  }
}

/** Whether `$dispose` of a proxy of ours is to do nothing. */
export function setKept(proxy: unknown, kept: boolean): void {
  const holder = holderOf(proxy);
  if (holder !== undefined) holder.kept = kept;
}

/** The handle of a proxy of ours; undefined for every other value. */
export function handleOf(value: unknown): Handle | undefined {
  return holderOf(value)?.handle;
}
