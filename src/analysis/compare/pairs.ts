/** Comparison of samples that both arms have: each sample is its own control. */
import { ConfigError } from '../../errors.js';
import { incompleteBeta } from '../../stats/beta.js';
import { finiteOrNull, sampleMoments } from '../../stats/moments.js';
import { normalQuantile } from '../../stats/normal.js';
import type { Interval } from '../../stats/options.js';
import { pairedTTest } from '../../stats/t-tests.js';
import { effectSize, type Finding, finiteInterval, noFinding, outcomeOf, POWER } from './finding.js';
import type { Settings } from './options.js';
import { cohensH } from './rates.js';
import { type ArmSamples, type SamplesById, sampleValues } from './samples.js';
import type { ArmEstimate, Pairing, TestOutcome } from './types.js';
import { counted, list, namesOf } from './words.js';

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
  const tooMany = tooManySamples(baseline, treatment);
  if (paired === true && tooMany !== null)
    throw new ConfigError('paired', `false or 'auto' (${tooMany})`, paired);
  const [old, now] = [baseline, treatment].map(({ bySampleId }) =>
    bySampleId === undefined || bySampleId.ids === null ? NO_SAMPLES : bySampleId,
  );
  const { inBaseline, inTreatment } = sharedPlaces(old.ids, now.ids);
  const pairs = inTreatment.length;
  const [used, reason] = decide();
  const unpaired = { baseline: old.ids.length - pairs, treatment: now.ids.length - pairs };
  const pairing = { used, pairs, unpaired, reason };
  return { pairing, baseline: old, treatment: now, inBaseline, inTreatment };

  function decide(): [boolean, string] {
    if (paired === false) return [false, 'not asked for'];
    if (paired === true) return [true, 'asked for'];
    if (tooMany !== null) return [false, tooMany];
    if (pairs < 2) return [false, 'fewer than two samples are in both arms'];
    const share = pairs / Math.max(old.ids.length, now.ids.length);
    if (share < SHARED_MIN) return [false, `${percent(share)} of the samples are in both arms`];
    const covered = Math.min(old.events / baseline.events, now.events / treatment.events);
    if (covered < SHARED_MIN) return [false, `only ${percent(covered)} of an arm’s events carry a sampleId`];
    return [true, `${percent(share)} of the samples are in both arms`];
  }
}

function sharedPlaces(old: readonly string[], now: readonly string[]) {
  const places = new Map<string, number>();
  for (let place = 0; place < old.length; place++) places.set(old[place], place);
  const inBaseline = new Uint32Array(now.length);
  const inTreatment = new Uint32Array(now.length);
  let pairs = 0;
  for (let place = 0; place < now.length; place++) {
    const inOld = places.get(now[place]);
    if (inOld === undefined) continue;
    inBaseline[pairs] = inOld;
    inTreatment[pairs++] = place;
  }
  return { inBaseline: inBaseline.subarray(0, pairs), inTreatment: inTreatment.subarray(0, pairs) };
}

/** Which arms have more samples than are kept; null if none has. */
function tooManySamples(baseline: ArmSamples, treatment: ArmSamples): string | null {
  const names = namesOf(baseline, treatment);
  const arms = [
    [baseline.bySampleId, names.baseline],
    [treatment.bySampleId, names.treatment],
  ] as const;
  const found = arms.flatMap(([samples, name]) =>
    samples?.ids === null ? [`${name} has more than ${counted(samples.idsMax)} samples`] : [],
  );
  return found.length === 0 ? null : `${list(found)}, too many to be paired`;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

interface PairedValues {
  readonly baseline: Float64Array;
  readonly treatment: Float64Array;
  /** treatment − baseline. */
  readonly differences: Float64Array;
}

/** The pairs of which both sides have the measure. */
export function pairedValues(matching: Matching, of: string): PairedValues {
  const { inBaseline, inTreatment } = matching;
  const [old, now] = [matching.baseline, matching.treatment].map((samples) => sampleValues(samples, of));
  const baseline = new Float64Array(inBaseline.length);
  const treatment = new Float64Array(inBaseline.length);
  const differences = new Float64Array(inBaseline.length);
  let n = 0;
  for (let pair = 0; pair < inBaseline.length; pair++) {
    const before = old[inBaseline[pair]];
    const after = now[inTreatment[pair]];
    if (!(Number.isFinite(before) && Number.isFinite(after))) continue;
    baseline[n] = before;
    treatment[n] = after;
    differences[n++] = after - before;
  }
  return {
    baseline: baseline.subarray(0, n),
    treatment: treatment.subarray(0, n),
    differences: differences.subarray(0, n),
  };
}

export function comparePairs(
  { baseline: old, treatment: now, differences }: PairedValues,
  isRate: boolean,
  { alpha }: Settings,
): Finding {
  const n = old.length;
  // Each alone they have their interval in the unpaired comparison; what counts here is the difference.
  const meanOf = (values: Float64Array): ArmEstimate => ({
    estimate: n === 0 ? null : finiteOrNull(sampleMoments(values).mean),
    n,
    confidenceInterval: null,
  });
  const baseline = meanOf(old);
  const treatment = meanOf(now);
  if (n === 0) return noFinding(baseline, treatment, 'no sample has a value in both arms');
  let higher = 0;
  let lower = 0;
  for (const difference of differences) {
    if (difference > 0) higher++;
    else if (difference < 0) lower++;
  }
  const pairs = { higher, lower, equal: n - higher - lower };
  const student = pairedTTest(now, old, { alpha });
  const dz = student.statistic === null ? null : student.statistic / Math.sqrt(n);
  const common = {
    baseline,
    treatment,
    difference: finiteOrNull(student.estimate),
    requiredN: requiredPairs(dz, alpha),
    pairs,
    scaledInterval: (factor: number) =>
      finiteInterval(
        pairedTTest(
          now,
          old.map((value) => value * factor),
          { alpha },
        ).confidenceInterval,
      ),
  };
  const byT = outcomeOf(student, effectSize('cohensDz', dz));
  const bySign = signTest(higher, lower, n);
  if (isRate && isBinary(old) && isBinary(now)) {
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
