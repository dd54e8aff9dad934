// The numbers of `py.metrics()`: what Python's `loop.metrics()` says, in JavaScript's names and units.

/** What the hosted loop does and holds; see {@link Python.metrics}. Times are milliseconds. */
export interface Metrics {
  /** By how much Python's timers came late: the loop was busy, or waited for the GIL. */
  readonly lag: {
    /** Of the timer that ran last. */
    readonly last: number;
    /** Of all. */
    readonly mean: number;
    /** Of the latest one. */
    readonly max: number;
  };
  /** Batches of Python's callbacks that have run. */
  readonly iterations: number;
  /** Callbacks that could run now. */
  readonly readyDepth: number;
  /** Timers that are not cancelled. */
  readonly timers: number;
  /** Tasks that are not done. */
  readonly tasks: number;
  /** Descriptors that the loop waits for, by what they are. */
  readonly handles: {
    /** TCP and UNIX connections. */
    readonly streams: number;
    /** UDP and UNIX datagram sockets. */
    readonly datagrams: number;
    /** Ends of pipes. */
    readonly pipes: number;
    /** Listening sockets. */
    readonly acceptors: number;
    /** Open sockets that `loop.sock_*` had to wait for. */
    readonly sockets: number;
    /** Descriptors of `loop.add_reader` and `loop.add_writer`. */
    readonly watches: number;
  };
  /** The JavaScript thread's waiting for the GIL, which another thread had. */
  readonly gilWait: {
    /** All of it. */
    readonly total: number;
    /** The longest. */
    readonly max: number;
    /** How often. */
    readonly count: number;
  };
  /** What the bridge holds, in the whole process. */
  readonly liveObjects: {
    /** Python objects held by JavaScript. */
    readonly proxies: number;
    /** JavaScript values held by Python. */
    readonly references: number;
    /** Promises of coroutines that are not settled. */
    readonly promises: number;
    /** Pieces of memory that both languages see. */
    readonly buffers: number;
  };
}

/** What the dict of `loop.metrics()` is in JavaScript. */
export interface LoopMetrics extends Omit<Metrics, "readyDepth" | "gilWait" | "liveObjects"> {
  readonly ready_depth: number;
  readonly gil_wait: Metrics["gilWait"];
  readonly live_objects: Metrics["liveObjects"];
}

const milliseconds = (seconds: number): number => seconds * 1000;

/** In milliseconds and JavaScript's names. */
export function metricsOf(loop: LoopMetrics): Metrics {
  const { lag, gil_wait: gilWait } = loop;
  return {
    lag: {
      last: milliseconds(lag.last),
      mean: milliseconds(lag.mean),
      max: milliseconds(lag.max),
    },
    iterations: loop.iterations,
    readyDepth: loop.ready_depth,
    timers: loop.timers,
    tasks: loop.tasks,
    handles: loop.handles,
    gilWait: {
      total: milliseconds(gilWait.total),
      max: milliseconds(gilWait.max),
      count: gilWait.count,
    },
    liveObjects: loop.live_objects,
  };
}
