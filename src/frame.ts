// A frame of Python's stack, as the sandbox tells it.

/** A frame of Python's stack. */
export interface SandboxFrame {
  /** The file's name as the code object has it. */
  readonly file: string;
  /** The line in it. */
  readonly line: number;
  /** The function's name. */
  readonly function: string;
}
