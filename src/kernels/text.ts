/**
 * Text kernels: rows and numbers as text, in a memory of their own.
 *
 * Not in the thread's kernels: an export keeps its forms from one block of rows to the next, however long its reader
 * takes, and others must not wait for it. The memory is reserved at once, costs nothing until it is touched, and goes
 * with whoever holds it.
 */
import {
  POWER_BYTES,
  POWER_MAX,
  POWER_MIN,
  SECOND_NONE,
  TABLES_BYTES,
  TABLES_END_OFFSET,
  TABLES_POWERS_OFFSET,
  TABLES_SECOND_OFFSET,
} from '../../assembly/text-layout.js';
import { instantiate, reserveMemory, type TextModule } from '../ring/wasm.js';

const PAGE_BYTES = 65536;
/** 64 MiB. */
const PAGES = 1024;
const ALIGN_BYTES = 64;

export class TextKernels {
  readonly module: TextModule;
  readonly f64: Float64Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  readonly bytes: Buffer;
  readonly #tables: number;
  #used = PAGE_BYTES;

  constructor() {
    const memory = reserveMemory(PAGES, 'the text of an export');
    this.module = instantiate(memory);
    const { buffer } = memory;
    this.f64 = new Float64Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.bytes = Buffer.from(buffer);
    this.#tables = this.allocate(TABLES_BYTES);
    this.u64.set(powersOfTen(), (this.#tables + TABLES_POWERS_OFFSET) >> 3);
    this.u64[(this.#tables + TABLES_SECOND_OFFSET) >> 3] = BigInt(SECOND_NONE);
  }

  /** Where the tables are that the module's functions take. */
  get tables(): number {
    return this.#tables;
  }

  /** Where the last call's text ends. */
  get end(): number {
    return this.u32[(this.#tables + TABLES_END_OFFSET) >> 2];
  }

  /** Bytes that can still be taken. */
  get room(): number {
    return PAGES * PAGE_BYTES - this.#used;
  }

  /** Takes room for good, which holds zeros. @returns its address. @throws RangeError when there is none left */
  allocate(bytes: number): number {
    const address = this.#used;
    if (bytes > this.room) throw new RangeError(`no room for ${bytes} bytes`);
    this.#used = Math.ceil((address + bytes) / ALIGN_BYTES) * ALIGN_BYTES;
    return address;
  }
}

let powers: BigUint64Array | undefined;

/**
 * The first 128 bits of each power of ten from 10^POWER_MIN to 10^POWER_MAX, high half first; rounded up where they are
 * not all. Computed, not copied from anywhere: 10^n = bits × 2^shift.
 */
function powersOfTen(): BigUint64Array {
  if (powers !== undefined) return powers;
  const table = new BigUint64Array(((POWER_MAX - POWER_MIN + 1) * POWER_BYTES) / 8);
  const low = (1n << 64n) - 1n;
  for (let n = POWER_MIN; n <= POWER_MAX; n++) {
    const size = 10n ** BigInt(Math.abs(n));
    const length = BigInt(size.toString(2).length);
    // Of 1 / size the 128 bits from its first one on; size is no power of two but for n = 0.
    const [above, below] = n >= 0 ? [size << 128n, 1n << length] : [1n << (length + 127n), size];
    const bits = (above + below - 1n) / below;
    table[2 * (n - POWER_MIN)] = bits >> 64n;
    table[2 * (n - POWER_MIN) + 1] = bits & low;
  }
  powers = table;
  return table;
}
