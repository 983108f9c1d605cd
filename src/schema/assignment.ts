/**
 * Sticky assignment: which arm a unit is in depends on the study's name, the unit and the plan's weights, and on
 * nothing else, so that every process on every machine says the same, today and after a restart.
 *
 * The SHA-256 of the JSON text `["<study>","<unit>"]` in UTF-8 gives, by its first 48 bits, a number u in [0, 1); the
 * unit is in the first arm, in the order of the plan, whose share of the weights summed up so far is above u. Test
 * `test/schema/assignment.test.ts` holds values that must never change.
 */
import { createHash } from 'node:crypto';

export interface WeightedArm {
  readonly name: string;
  /** Above 0; only shares of the sum matter. */
  readonly weight: number;
}

/** What assigns the units of a study. */
export interface Assignment {
  readonly study: string;
  readonly arms: readonly WeightedArm[];
}

/** Uniform in [0, 1), for each unit the same in a study and independent of those in other studies. */
export function unitPoint(study: string, unit: string): number {
  const hash = createHash('sha256')
    .update(JSON.stringify([study, unit]), 'utf8')
    .digest();
  return hash.readUIntBE(0, 6) / 2 ** 48;
}

/** @param arms - at least one */
export function assignedArm(study: string, unit: string, arms: readonly WeightedArm[]): string {
  const total = arms.reduce((sum, { weight }) => sum + weight, 0);
  const at = unitPoint(study, unit) * total;
  let sum = 0;
  for (const { name, weight } of arms) {
    sum += weight;
    if (at < sum) return name;
  }
  // Weights whose sum is rounded.
  return arms[arms.length - 1]!.name;
}
