/** Comparison of samples that both arms have: each sample is its own control. */
import { ConfigError } from '../../errors.js';
import { incompleteBeta } from '../../stats/beta.js';
import { normalQuantile } from '../../stats/normal.js';
import type { Interval } from '../../stats/options.js';
import { pairedTTest } from '../../stats/t-tests.js';
import { effectSize, type Finding, finiteInterval, noFinding, outcomeOf, POWER } from './finding.js';
import { finiteOrNull, observe } from './observed.js';
import type { Settings } from './options.js';
import { cohensH } from './rates.js';
import type { ArmSamples, SamplesById } from './samples.js';
import type { ArmEstimate, Pairing, TestOutcome } from './types.js';
import { counted, list } from './words.js';

export type PairedMeasure = 'latencyMs' | 'costUsd' | 'tokens' | 'successRate';

/** Where the samples that both arms have stand in the lists of each. */
export interface Matching {
  readonly pairing: Pairing;
  readonly baseline: SamplesById;
  readonly treatment: SamplesById;
  readonly inBaseline: Uint32Array;
  readonly inTreatment: Uint32Array;
}

const NOTHING = new Float64Array(0);
const NO_SAMPLES: SamplesById = {
  ids: [],
  latencyMs: NOTHING,
  costUsd: NOTHING,
  tokens: NOTHING,
  successRate: NOTHING,
  events: 0,
};

/** What 'auto' demands of both arms: of their samples to be shared, and of their events to carry a sampleId. */
const SHARED_MIN = 0.8;

/** @throws ConfigError where pairs were asked for, and an arm has more samples than are kept */
export function matchSamples(
  baseline: ArmSamples,
  treatment: ArmSamples,
  paired: Settings['paired'],
): Matching {
  const unkept = [baseline, treatment].flatMap(({ name, bySampleId }) =>
    bySampleId?.ids === null ? [`${name} has more than ${counted(bySampleId.idsMax)} samples`] : [],
  );
  if (paired === true && unkept.length > 0) {
    throw new ConfigError('paired', `false or 'auto': ${list(unkept)}, too many to be paired`, paired);
  }
  const [old, now] = [baseline, treatment].map(({ bySampleId }) =>
    bySampleId === undefined || bySampleId.ids === null ? NO_SAMPLES : bySampleId,
  );
  const places = new Map(old.ids.map((id, place) => [id, place]));
  const inTreatment = Uint32Array.from(now.ids.keys()).filter((place) => places.has(now.ids[place]));
  const inBaseline = inTreatment.map((place) => places.get(now.ids[place])!);
  const pairs = inTreatment.length;
  const [used, reason] = decide();
  const unpaired = { baseline: old.ids.length - pairs, treatment: now.ids.length - pairs };
  const pairing = { used, pairs, unpaired, reason };
  return { pairing, baseline: old, treatment: now, inBaseline, inTreatment };

  function decide(): [boolean, string] {
    if (paired === false) return [false, 'not asked for'];
    if (paired === true) return [true, 'asked for'];
    if (unkept.length > 0) return [false, `${list(unkept)}, too many to be paired`];
    if (pairs < 2) return [false, 'fewer than two samples are in both arms'];
    const share = pairs / Math.max(old.ids.length, now.ids.length);
    if (share < SHARED_MIN) return [false, `${percent(share)} of the samples are in both arms`];
    const covered = Math.min(old.events / baseline.events, now.events / treatment.events);
    if (covered < SHARED_MIN) return [false, `only ${percent(covered)} of an arm’s events carry a sampleId`];
    return [true, `${percent(share)} of the samples are in both arms`];
  }
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

interface PairedValues {
  readonly baseline: Float64Array;
  readonly treatment: Float64Array;
}

/** The pairs of which both sides have the measure. */
export function pairedValues(matching: Matching, measure: PairedMeasure): PairedValues {
  const { baseline, treatment, inBaseline, inTreatment } = matching;
  const [old, now] = [baseline[measure], treatment[measure]];
  const both = Uint32Array.from(inBaseline.keys()).filter(
    (pair) => Number.isFinite(old[inBaseline[pair]]) && Number.isFinite(now[inTreatment[pair]]),
  );
  return {
    baseline: Float64Array.from(both, (pair) => old[inBaseline[pair]]),
    treatment: Float64Array.from(both, (pair) => now[inTreatment[pair]]),
  };
}

export function comparePairs(
  { baseline: old, treatment: now }: PairedValues,
  measure: PairedMeasure,
  { alpha }: Settings,
): Finding {
  const n = old.length;
  // Each alone they have their interval in the unpaired comparison; what counts here is the difference.
  const meanOf = (values: Float64Array): ArmEstimate => ({
    estimate: n === 0 ? null : observe(values).summary.mean,
    n,
    confidenceInterval: null,
  });
  const baseline = meanOf(old);
  const treatment = meanOf(now);
  if (n === 0) return noFinding(baseline, treatment, 'no sample has a value in both arms');
  const differences = now.map((value, i) => value - old[i]);
  const higher = differences.filter((difference) => difference > 0).length;
  const lower = differences.filter((difference) => difference < 0).length;
  const pairs = { higher, lower, equal: n - higher - lower };
  const student = pairedTTest(now, old, { alpha });
  const dz = student.statistic === null ? null : student.statistic / Math.sqrt(n);
  const common = {
    baseline,
    treatment,
    difference: finiteOrNull(student.estimate),
    requiredN: requiredPairs(dz, alpha),
    pairs,
  };
  const byT = outcomeOf(student, effectSize('cohensDz', dz));
  const bySign = signTest(higher, lower, n);
  if (measure === 'successRate' && isBinary(old) && isBinary(now)) {
    const h = cohensH(baseline.estimate!, treatment.estimate!);
    const mcNemar = { ...bySign, method: 'McNemar exact test', effectSize: h };
    return {
      ...common,
      confidenceInterval: bonettPrice(higher, lower, n, alpha),
      intervalMethod: 'Bonett-Price interval of paired proportions',
      tests: [mcNemar, byT],
      assumptions: mcNemar.assumptions,
      reason: mcNemar.reason,
    };
  }
  return {
    ...common,
    confidenceInterval: finiteInterval(student.confidenceInterval),
    intervalMethod: student.method,
    tests: [byT, bySign],
    assumptions: [...student.assumptions, 'every sample counts once, whatever the number of its events'],
    reason: student.reason,
  };
}

function isBinary(rates: Float64Array): boolean {
  return rates.every((rate) => rate === 0 || rate === 1);
}

/** Whether a pair is as likely to go up as down; pairs that are equal say nothing. */
function signTest(higher: number, lower: number, n: number): TestOutcome {
  const common = {
    method: 'sign test, exact',
    statistic: higher,
    df: null,
    effectSize: null,
    assumptions: ['independent pairs'],
  };
  const fewer = Math.min(higher, lower);
  const differing = higher + lower;
  if (differing === 0) {
    return { ...common, pValue: null, reason: `all ${n} pairs are equal` };
  }
  // P(X ≤ fewer) for fair coins.
  const tail = incompleteBeta(differing - fewer, fewer + 1, 0.5, 0.5).lower;
  return { ...common, pValue: Math.min(1, 2 * tail) };
}

/** Source: Bonett & Price 2012, Journal of Educational and Behavioral Statistics 37, 479-488. */
function bonettPrice(higher: number, lower: number, n: number, alpha: number): Interval {
  const up = (higher + 1) / (n + 2);
  const down = (lower + 1) / (n + 2);
  const margin = -normalQuantile(alpha / 2) * Math.sqrt((up + down - (up - down) ** 2) / (n + 2));
  return [Math.max(-1, up - down - margin), Math.min(1, up - down + margin)];
}

/** Source: Guenther 1981, The American Statistician 35, 243-244: the normal formula with half z² for the t. */
function requiredPairs(dz: number | null, alpha: number): number | null {
  if (dz === null || dz === 0) return null;
  const z = -normalQuantile(alpha / 2);
  const n = Math.ceil(((z + normalQuantile(POWER)) / dz) ** 2 + (z * z) / 2);
  return Number.isSafeInteger(n) ? n : null;
}
