/** Zones: what is remembered of rows that were read once, so that a filter need not read them again in vain. */
import { FLAG_FAILED, FLAG_SUCCEEDED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Batch, BatchRef, Zone } from '../ring/batch.js';
import type { CompiledFilter } from './filter.js';
import type { RowTests } from './row-tests.js';

// Outcomes, as bits.
const SUCCEEDED = 1;
const FAILED = 2;
const UNDECIDED = 4;
/** Of rows with more bindings none are remembered. */
const BINDINGS_MAX = 64;

/** Skips refs whose rows cannot pass for what they are; times are compared elsewhere. */
export class ZoneFilter {
  readonly #tests: RowTests;
  readonly #outcomes: number;
  /** Whether zones can decide anything. */
  readonly #isUsed: boolean;

  constructor({ success }: CompiledFilter, tests: RowTests) {
    this.#tests = tests;
    this.#outcomes = success === true ? SUCCEEDED : success === false ? FAILED : UNDECIDED;
    if (success === undefined) this.#outcomes = SUCCEEDED | FAILED | UNDECIDED;
    this.#isUsed = success !== undefined || !tests.isEmpty;
  }

  skips({ zone }: BatchRef): boolean {
    if (!this.#isUsed || zone === undefined) return false;
    if ((zone.outcomes & this.#outcomes) === 0) return true;
    return zone.bindings?.every((binding) => this.#tests.excludes(binding)) ?? false;
  }

  /** @param batch - all rows of the ref */
  learn(ref: BatchRef, batch: Batch): void {
    if (this.#isUsed) ref.zone ??= zoneOf(batch);
  }
}

export function zoneOf({ tags, rows }: Batch): Zone {
  let outcomes = 0;
  let last = -1;
  const bindings = new Set<number>();
  for (let row = 0; row < rows; row++) {
    const tag = tags[row];
    outcomes |= (tag & FLAG_SUCCEEDED) !== 0 ? SUCCEEDED : (tag & FLAG_FAILED) !== 0 ? FAILED : UNDECIDED;
    const binding = tag & TAG_BINDING_MASK;
    if (binding !== last) bindings.add(binding);
    last = binding;
  }
  return { outcomes, bindings: bindings.size > BINDINGS_MAX ? null : Uint16Array.from(bindings) };
}
