/**
 * Kernels: the module's passes over columns, and the memory they work in. One per thread.
 *
 * The memory is reserved at once and costs nothing until it is touched. Whoever uses it has it alone (`exclusively`),
 * takes what it needs with `allocate`, and finds all of it given back when it is done.
 */
import { addressSpaceLeftBytes } from '../address-space.js';
import { AnalysisError } from '../errors.js';
import { instantiate, type KernelModule, reserveMemory } from '../ring/wasm.js';

const PAGE_BYTES = 65536;
/** 1 GiB; where address space is limited a quarter of what is left, down to 64 MiB. */
const PAGES_MAX = 16384;
const PAGES_MIN = 1024;
/** Columns begin on lines of the cache. */
const ALIGN_BYTES = 64;

export class Kernels {
  readonly module: KernelModule;
  readonly f64: Float64Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly u8: Uint8Array;
  readonly buffer: SharedArrayBuffer;
  #used = PAGE_BYTES;
  #lastUse: Promise<unknown> = Promise.resolve();

  constructor() {
    const memory = reserveMemory(pagesToTake(), 'an analysis');
    this.module = instantiate(memory);
    this.buffer = memory.buffer;
    this.f64 = new Float64Array(memory.buffer);
    this.i32 = new Int32Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.u8 = new Uint8Array(memory.buffer);
  }

  /** Runs `use` when all earlier users are done, and gives back what it took. It must not wait for another use. */
  exclusively<T>(use: () => Promise<T>): Promise<T> {
    const turn = this.#lastUse.then(async () => {
      const { mark } = this;
      try {
        return await use();
      } finally {
        this.release(mark);
      }
    });
    this.#lastUse = turn.catch(() => {});
    return turn;
  }

  /** Takes room; what it holds is arbitrary. @returns its address. @throws AnalysisError ERR_OUT_OF_MEMORY when there is none left */
  allocate(bytes: number): number {
    const address = this.#used;
    const end = Math.ceil((address + bytes) / ALIGN_BYTES) * ALIGN_BYTES;
    if (end > this.buffer.byteLength) throw outOfMemory(bytes, this.buffer.byteLength);
    this.#used = end;
    return address;
  }

  /** What is taken so far; for `release`. */
  get mark(): number {
    return this.#used;
  }

  /** Gives back whatever was taken since `mark`. */
  release(mark: number): void {
    this.#used = mark;
  }
}

let kernels: Kernels | undefined;

/** This thread's kernels. */
export function kernelsOfThread(): Kernels {
  kernels ??= new Kernels();
  return kernels;
}

function pagesToTake(): number {
  const quarter = Math.floor(addressSpaceLeftBytes() / 4 / PAGE_BYTES);
  return Math.max(PAGES_MIN, Math.min(PAGES_MAX, quarter));
}

function outOfMemory(bytes: number, limitBytes: number): AnalysisError {
  const message = `the analysis needs more than the ${limitBytes} bytes a thread has for it`;
  return new AnalysisError('ERR_OUT_OF_MEMORY', message, { bytes, limitBytes });
}
