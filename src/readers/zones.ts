/** Zones: what is remembered of rows that were read once, so that a filter need not read them again in vain. */
import { FLAG_FAILED, FLAG_SUCCEEDED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { type Batch, type BatchRef, isValue, type ValueRange, type Zone } from '../ring/batch.js';
import type { Condition } from '../schema/condition.js';
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
  readonly #latency: readonly Condition[];
  readonly #cost: readonly Condition[];
  /** Whether zones can decide anything. */
  readonly #isUsed: boolean;

  constructor({ success, tests: all }: CompiledFilter, tests: RowTests) {
    this.#tests = tests;
    const conditionsOf = (field: string) =>
      all.flatMap(({ on, key, condition }) => (on === 'number' && key === field ? [condition] : []));
    this.#latency = conditionsOf('latencyMs');
    this.#cost = conditionsOf('costUsd');
    this.#outcomes = success === true ? SUCCEEDED : success === false ? FAILED : UNDECIDED;
    if (success === undefined) this.#outcomes = SUCCEEDED | FAILED | UNDECIDED;
    this.#isUsed = success !== undefined || !tests.isEmpty;
  }

  skips({ zone }: BatchRef): boolean {
    if (!this.#isUsed || zone === undefined) return false;
    if ((zone.outcomes & this.#outcomes) === 0) return true;
    if (this.#latency.some((condition) => !mayPass(condition, zone.latencyMs))) return true;
    if (this.#cost.some((condition) => !mayPass(condition, zone.costUsd))) return true;
    return zone.bindings?.every((binding) => this.#tests.excludes(binding)) ?? false;
  }

  /** @param batch - all rows of the ref */
  learn(ref: BatchRef, batch: Batch): void {
    if (this.#isUsed) ref.zone ??= zoneOf(batch);
  }
}

/** Whether a row of the range may be accepted. */
function mayPass({ least, greatest, accepts }: Condition, range: ValueRange): boolean {
  if (range.hasAbsent && accepts(null)) return true;
  return Math.max(least, range.least) <= Math.min(greatest, range.greatest);
}

export function zoneOf({ tags, rows, latencyMs, costUsd }: Batch): Zone {
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
  return {
    outcomes,
    bindings: bindings.size > BINDINGS_MAX ? null : Uint16Array.from(bindings),
    latencyMs: rangeOf(latencyMs, rows),
    costUsd: rangeOf(costUsd, rows),
  };
}

function rangeOf(values: Float64Array, rows: number): ValueRange {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  let hasAbsent = false;
  for (let row = 0; row < rows; row++) {
    const value = values[row];
    if (!isValue(value)) {
      hasAbsent = true;
      continue;
    }
    if (value < least) least = value;
    if (value > greatest) greatest = value;
  }
  return { least, greatest, hasAbsent };
}
