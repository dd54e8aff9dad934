import { MessageChannel } from "node:worker_threads";
import { isPyProxy, type PyProxy } from "coloop";
import { afterEach, describe, expect, test } from "vitest";
import { checkLeaks, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const buffers = py.import("fixture_buffers");

checkLeaks(py);
afterEach(() => void buffers.drop());

const typedArrays = [
  [Int8Array, "b"],
  [Uint8Array, "B"],
  [Uint8ClampedArray, "B"],
  [Int16Array, "h"],
  [Uint16Array, "H"],
  [Int32Array, "i"],
  [Uint32Array, "I"],
  [Float32Array, "f"],
  [Float64Array, "d"],
] as const;

interface Facts {
  type: string;
  format: string;
  itemsize: number;
  shape: number[];
  strides: number[];
  nbytes: number;
  readonly: boolean;
  contiguous: boolean;
}

interface Coded {
  code: string;
  message: string;
}

describe("JavaScript's memory in Python", () => {
  test.each(typedArrays)("%o: format %s", (Class, format) => {
    const array = Class.from([1, 2, 100]);
    expect(buffers.facts(array)).toEqual({
      type: "memoryview",
      format,
      itemsize: Class.BYTES_PER_ELEMENT,
      shape: [3],
      strides: [Class.BYTES_PER_ELEMENT],
      nbytes: array.byteLength,
      readonly: false,
      contiguous: true,
    } satisfies Facts);
    expect(buffers.items(array)).toEqual([1, 2, 100]);
  });

  test.each([
    ["BigInt64Array", new BigInt64Array([-(2n ** 63n), 5n]), "q", [-(2n ** 63n), 5]],
    ["BigUint64Array", new BigUint64Array([2n ** 64n - 1n, 5n]), "Q", [2n ** 64n - 1n, 5]],
  ])("%s", (_name, array, format, items) => {
    expect((buffers.facts(array) as Facts).format).toBe(format);
    expect(buffers.items(array)).toEqual(items);
  });

  test("a DataView, an ArrayBuffer and a Buffer are bytes", () => {
    const memory = new Uint8Array([1, 2, 3, 4]).buffer;
    for (const value of [new DataView(memory, 1, 2), memory, Buffer.from([1, 2])]) {
      const facts = buffers.facts(value) as Facts;
      expect([facts.format, facts.itemsize, facts.nbytes]).toEqual(["B", 1, value.byteLength]);
    }
    expect(buffers.items(new DataView(memory, 1, 2))).toEqual([2, 3]);
  });

  test.each([
    ["a SharedArrayBuffer", () => new Uint8Array(new SharedArrayBuffer(4))],
    ["an ArrayBuffer", () => new Uint8Array(new ArrayBuffer(4))],
    ["a part of a larger one", () => new Uint8Array(new ArrayBuffer(100), 17, 4)],
    ["a Buffer of the pool", () => Buffer.from([0, 0, 0, 0])],
  ])("nothing is copied: Python writes into %s", (_name, make) => {
    const array = make();
    buffers.fill(array, 7);
    expect([...array]).toEqual([7, 7, 7, 7]);
    array[0] = 9;
    expect(buffers.total(array)).toBe(30);
  });

  test("a subarray begins at its own offset", () => {
    const array = new Float64Array([1, 2, 3, 4]).subarray(1, 3);
    expect(buffers.items(array)).toEqual([2, 3]);
  });

  test.each([
    ["an empty array", new Float32Array(0)],
    ["an empty ArrayBuffer", new ArrayBuffer(0)],
    ["an empty Buffer", Buffer.alloc(0)],
  ])("%s", (_name, value) => {
    expect(buffers.items(value)).toEqual([]);
    expect((buffers.facts(value) as Facts).shape).toEqual([0]);
  });

  test("a subclass of a typed array keeps its format", () => {
    class Samples extends Float32Array {}
    expect((buffers.facts(new Samples(2)) as Facts).format).toBe("f");
  });

  test("the array itself is known in Python, and comes back as itself", () => {
    const array = new Uint8Array(3);
    expect(buffers.owner(array)).toBe(array);
  });

  test("memory that Python keeps stays where it is", () => {
    let array: Uint8Array | undefined = new Uint8Array(1 << 20).fill(3);
    buffers.keep(array);
    array = undefined;
    globalThis.gc?.();
    expect((buffers.read_kept(0) as number[]).every((byte) => byte === 3)).toBe(true);
  });

  test("memory that Python has seen cannot be transferred away", () => {
    const array = new Uint8Array([1, 2]);
    buffers.keep(array);
    const { port1, port2 } = new MessageChannel();
    const transfer = [array.buffer];
    // Node.js 20 copies such memory, later versions throw: it stays in both.
    for (const attempt of [
      () => structuredClone(array, { transfer }),
      () => port1.postMessage(array.buffer, transfer),
    ]) {
      try {
        attempt();
      } catch (error) {
        expect((error as Error).name).toBe("DataCloneError");
      }
      expect(array.length).toBe(2);
    }
    port1.close();
    port2.close();
    array[0] = 3;
    expect(buffers.read_kept(0)).toEqual([3, 2]);
  });

  test("a resizable ArrayBuffer is refused, also behind a view", () => {
    const Resizable = ArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => ArrayBuffer;
    const memory = new Resizable(8, { maxByteLength: 16 });
    for (const value of [memory, new Uint8Array(memory), new DataView(memory)]) {
      const error = thrown<Coded>(() => buffers.facts({ data: value }));
      expect(error.code).toBe("ERR_COLOOP_CONVERSION");
      expect(error.message).toMatch(/^args\[0\]\.data: a resizable ArrayBuffer/);
    }
    expect(buffers.items(new Uint8Array(memory).slice(0, 1))).toEqual([0]);
  });

  test("a growable SharedArrayBuffer crosses with the length of that moment", () => {
    const Growable = SharedArrayBuffer as unknown as new (
      length: number,
      options: { maxByteLength: number },
    ) => SharedArrayBuffer & { grow(length: number): void };
    const memory = new Growable(4, { maxByteLength: 8 });
    buffers.keep(memory);
    memory.grow(8);
    expect(buffers.read_kept(0)).toEqual([0, 0, 0, 0]);
    expect((buffers.facts(memory) as Facts).nbytes).toBe(8);
  });

  test("a detached ArrayBuffer is refused, also behind a view", () => {
    const array = new Uint8Array(8);
    const view = new DataView(array.buffer);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    for (const value of [array.buffer, array, view]) {
      const error = thrown<Coded>(() => buffers.facts([value]));
      expect(error.code).toBe("ERR_COLOOP_CONVERSION");
      expect(error.message).toMatch(/^args\[0\]\[0\]: a detached ArrayBuffer/);
    }
  });
});

describe("Python's bytes in JavaScript", () => {
  test("bytes and bytearrays are copies", () => {
    const made = py.evalSync<Uint8Array>("bytearray(b'abc')");
    expect(made).toBeInstanceOf(Uint8Array);
    const source = buffers.byte_array(4) as PyProxy;
    const copy = source.tobytes() as Uint8Array;
    copy[0] = 9;
    expect((source.tobytes() as Uint8Array)[0]).toBe(0);
  });

  test("writing into the copy of bytes does not change the bytes", () => {
    const constant = "b'constant of a code object'";
    const first = py.evalSync<Uint8Array>(constant);
    first.fill(0);
    expect(Buffer.from(py.evalSync<Uint8Array>(constant)).toString()).toContain("constant");
  });

  test("a megabyte of bytes", () => {
    const bytes = buffers.copy_of(new Uint8Array(1 << 20).fill(5)) as Uint8Array;
    expect(bytes.length).toBe(1 << 20);
    expect(bytes.every((byte) => byte === 5)).toBe(true);
  });

  test("a memoryview of JavaScript's memory comes back as a proxy of the view", () => {
    const view = buffers.back(new Uint8Array([1, 2])) as PyProxy;
    expect(isPyProxy(view)).toBe(true);
    expect(view.tolist()).toEqual([1, 2]);
    view.$dispose();
  });
});

describe("$view()", () => {
  test.each<[string, unknown]>([
    ["b", Int8Array],
    ["B", Uint8Array],
    ["h", Int16Array],
    ["H", Uint16Array],
    ["i", Int32Array],
    ["I", Uint32Array],
    ["q", BigInt64Array],
    ["Q", BigUint64Array],
    ["l", BigInt64Array],
    ["L", BigUint64Array],
    ["f", Float32Array],
    ["d", Float64Array],
  ])("an array of %s", (code, Class) => {
    const array = buffers.array_of(code, [1, 2, 3]) as PyProxy;
    const view = array.$view();
    expect(view).toBeInstanceOf(Class);
    expect([...view].map(Number)).toEqual([1, 2, 3]);
    array.$dispose();
  });

  test.each([
    ["c", Uint8Array],
    ["?", Uint8Array],
    ["n", BigInt64Array],
    ["N", BigUint64Array],
  ])("a memoryview of %s", (code, Class) => {
    const object = buffers.with_format(code) as PyProxy;
    expect(object.$view()).toBeInstanceOf(Class);
    object.$dispose();
  });

  test("the view is Python's own memory", () => {
    const object = buffers.byte_array(4) as PyProxy;
    const view = object.$view();
    view[1] = 5;
    expect(object.tolist()).toEqual([0, 5, 0, 0]);
    object[2] = 6;
    expect([...view]).toEqual([0, 5, 6, 0]);
    object.$dispose();
  });

  test("the memory stays while the view lives, whatever became of the proxy", () => {
    const object = buffers.array_of("d", [1, 2, 3]) as PyProxy;
    const view = object.$view();
    object.$dispose();
    py.import("gc").collect();
    expect([...view]).toEqual([1, 2, 3]);
  });

  test("what is viewed cannot be resized by Python", () => {
    const object = buffers.byte_array(4) as PyProxy;
    const view = object.$view();
    expect(thrown(() => buffers.resize(object)).name).toBe("BufferError");
    expect(view.length).toBe(4);
    object.$dispose();
  });

  test("read-only memory is refused, and given as a copy", () => {
    const object = buffers.read_only() as PyProxy;
    const error = thrown<Coded>(() => object.$view());
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe("ERR_COLOOP_READ_ONLY");
    expect(error.message).toContain("copy: true");
    const copy = object.$view({ copy: true });
    expect(copy).toEqual(new Uint8Array([97, 98, 99]));
    copy[0] = 0;
    expect(object.tobytes()).toEqual(new Uint8Array([97, 98, 99]));
    object.$dispose();
  });

  test("a copy of writable memory is a copy", () => {
    const object = buffers.byte_array(2) as PyProxy;
    object.$view({ copy: true })[0] = 1;
    expect(object.tolist()).toEqual([0, 0]);
    object.$dispose();
  });

  test("memory of several dimensions is flat", () => {
    const object = buffers.matrix() as PyProxy;
    expect([...object.$view()]).toEqual(Array.from({ length: 12 }, (_, i) => i));
    object.$dispose();
  });

  test.each(["[::2]", "[::-1]", ".cast('B', (2, 3))[::-1]"])(
    "memory with strides %s is refused, and given as a copy in C's order",
    (index) => {
      const object = py.evalSync<PyProxy>(`memoryview(bytearray(b"abcdef"))${index}`);
      const error = thrown<Coded>(() => object.$view());
      expect(error).toBeInstanceOf(TypeError);
      expect(error.code).toBe("ERR_COLOOP_CONVERSION");
      expect(error.message).toMatch(/not C-contiguous.*\$view\(\{ copy: true \}\)/);
      expect(object.$view({ copy: true })).toEqual(object["tobytes"]());
      object.$dispose();
    },
  );

  test("foreign byte order is refused, the machine's own is not", () => {
    const foreign = buffers.big_endian() as PyProxy;
    const error = thrown<Coded>(() => foreign.$view());
    expect(error.code).toBe("ERR_COLOOP_CONVERSION");
    expect(error.message).toMatch(/format ">.*cast/);
    const own = buffers.little_endian() as PyProxy;
    expect([...own.$view()]).toEqual([1, 2]);
    foreign.$dispose();
    own.$dispose();
  });

  test("an object without a buffer", () => {
    const error = thrown(() => py.import("fixture_buffers").facts.$view());
    expect(error.name).toBe("TypeError");
    expect(error.message).toContain("bytes-like");
  });

  test("an empty buffer", () => {
    const object = buffers.byte_array(0) as PyProxy;
    expect(object.$view()).toEqual(new Uint8Array(0));
    object.$dispose();
  });

  test("of a disposed proxy", () => {
    const object = buffers.byte_array(1) as PyProxy;
    object.$dispose();
    expect(thrown<Coded>(() => object.$view()).code).toBe("ERR_COLOOP_DISPOSED");
  });

  test("a misspelt option", () => {
    const object = buffers.byte_array(1) as PyProxy;
    const error = thrown<Coded>(() => object.$view({ Copy: true } as never));
    expect(error.code).toBe("ERR_COLOOP_ARGUMENT");
    expect(error.message).toContain('"Copy"');
    object.$dispose();
  });

  test("the view of a view of JavaScript's memory is that memory", () => {
    const array = new Int32Array([1, 2, 3]);
    const back = buffers.back(array) as PyProxy;
    const view = back.$view();
    view[0] = 9;
    expect(array[0]).toBe(9);
    back.$dispose();
  });
});
