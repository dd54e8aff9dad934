// What the commands share: faults of the user's, and texts that the shell shows.

/** A command line that cannot be meant; exit status 2. */
export class UsageError extends Error {}

/** Exit statuses, as shells and Python have them. */
export const exitStatus = { failure: 1, usage: 2, interrupted: 130 } as const;

/** One command: its help and what it does. The result is the exit status; without one the process ends by itself. */
export interface Command {
  readonly summary: string;
  readonly help: string;
  run(args: readonly string[]): Promise<number | undefined>;
}

/** The options that every command has. */
export const commonOptions: { readonly help: { readonly type: "boolean"; readonly short: "h" } } = {
  help: { type: "boolean", short: "h" },
};

/** Runs parseArgs; what it refuses is a usage error with its first sentence. */
export function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith("ERR_PARSE_ARGS_")) throw error;
    throw new UsageError(message.split(/\. (?=To specify|To )/)[0]);
  }
}
