/** The one doorway to WebAssembly: the shared memory, what the module exports, typed, and how an instance is made. */
import { PAGE_BYTES } from '../../assembly/layout.js';
import { WASM_BASE64 } from '../../generated/wasm.js';
import { addressSpaceLeftBytes } from '../address-space.js';
import { MemoryError } from '../errors.js';

/** A shared WebAssembly memory. Structured-cloneable: threads that are sent it see the same bytes. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** Operations on one experiment's memory. Numbers are i32 unless said otherwise. */
export interface RingModule {
  /** @see assembly/ring.ts */
  claim(producer: number, force: number): number;
  join(producer: number, count: number): number;
  seal(producer: number): void;
  release(chunk: number): void;
  /** @see assembly/publish.ts */
  publish(producer: number, rows: number, blobEnd: number, force: number): number;
  publishWritten(producer: number, force: number): number;
  replay(producer: number, chunk: number, rows: number): void;
  /** @see assembly/bytes.ts */
  copy(target: number, source: number, bytes: number): void;
}

/**
 * Passes over columns in a memory of the caller's own; addresses and counts are i32, keys and masks u64. Where rows are
 * picked, `rows` is the address of their indices, u32 each, or 0 for the first `count` rows.
 */
export interface KernelModule {
  /** @see assembly/scan.ts */
  keepValues(values: number, rows: number, count: number, target: number): number;
  foldRows(
    timesUs: number,
    prompts: number,
    completions: number,
    tags: number,
    rows: number,
    count: number,
    out: number,
  ): number;
  pickRows(
    timesUs: number,
    tags: number,
    count: number,
    fromUs: number,
    untilUs: number,
    mask: number,
    wanted: number,
    bindings: number,
    target: number,
  ): number;
  splitPairs(pairs: number, count: number, first: number, second: number): void;
  countBindings(tags: number, rows: number, count: number, counts: number, capacity: number): number;
  /** @see assembly/moments.ts */
  sumAndRange(values: number, count: number, out: number): void;
  sumSquares(values: number, count: number, mean: number, scale: number, out: number): void;
  /** @see assembly/select.ts */
  countKeys(values: number, count: number, low: bigint, shift: number, binCount: number, bins: number): void;
  gatherMarked(
    values: number,
    count: number,
    low: bigint,
    shift: number,
    binCount: number,
    marks: number,
    target: number,
  ): number;
  gatherKeys(values: number, count: number, bits: bigint, mask: bigint, target: number): number;
  shortenKeys(values: number, count: number, low: number, shift: number, keys: number): void;
  countShortKeys(keys: number, count: number, bins: number): void;
  gatherBands(
    keys: number,
    values: number,
    count: number,
    bands: number,
    bandCount: number,
    capacity: number,
    target: number,
    scratch: number,
  ): void;
  selectInBand(
    bands: number,
    runs: number,
    rank: number,
    ranks: number,
    low: number,
    high: number,
    scratch: number,
    out: number,
  ): void;
  selectRank(values: number, count: number, rank: number): number;
  /** @see assembly/bytes.ts */
  copy(target: number, source: number, bytes: number): void;
}

/** Text of columns that lie in a memory of the caller's own; addresses and counts are i32. */
export interface TextModule {
  /** @see assembly/text-number.ts */
  writeNumber(value: number, out: number, tables: number): number;
  /** @see assembly/text-rows.ts */
  writeRows(
    block: number,
    row: number,
    end: number,
    refused: number,
    forms: number,
    flaggedForms: number,
    out: number,
    outEnd: number,
    tables: number,
  ): number;
}

/** All that the module exports. */
export type Module = RingModule & KernelModule & TextModule;

/** The part of the WebAssembly interface used here; its own types come only with those of the DOM. */
interface WebAssemblyApi {
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => SharedMemory;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: SharedMemory } }) => { exports: Module };
}

const api = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;

let compiled: object | undefined;

/** What V8 must be left with: it ends the process when it asks for more and gets none. */
const HEADROOM_BYTES = 256 * 2 ** 20;

/**
 * Reserves `pages` of 64 KiB at once, so that the memory never grows and views over it never go stale.
 * @param purpose - what it is for, in words
 * @throws MemoryError
 */
export function reserveMemory(pages: number, purpose: string): SharedMemory {
  const bytes = pages * PAGE_BYTES;
  const leftBytes = addressSpaceLeftBytes();
  if (leftBytes - bytes < HEADROOM_BYTES) throw MemoryError.of(purpose, bytes, leftBytes);
  try {
    return new api.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new MemoryError(purpose, bytes, cause);
  }
}

/**
 * Binds the module to an experiment's memory. It is compiled once per thread; instances share nothing but the
 * memory they are given.
 */
export function instantiate(memory: SharedMemory): Module {
  compiled ??= new api.Module(Buffer.from(WASM_BASE64, 'base64'));
  return new api.Instance(compiled, { env: { memory } }).exports;
}
