/** Times of which some are only known to be longer: those that were cut at a timeout, or when the experiment ended. */

import { ConfigError } from '../errors.js';
import { normalQuantile } from './normal.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { checkNonEmpty, checkOpenUnit, type Sample } from './sample.js';

export interface SurvivalPoint {
  readonly time: number;
  /** Still going on until here, and ended here. */
  readonly atRisk: number;
  readonly ended: number;
  /** Share that lasts longer than this. */
  readonly survival: number;
  /** Greenwood's variance of ln survival; infinite once none is left. */
  readonly logVariance: number;
}

/**
 * Kaplan and Meier's estimate of the share that lasts longer, at each time at which one ended, ascending.
 * @param isEnded - beside `times`: whether it ended then, rather than being cut
 *
 * Source: Kaplan & Meier 1958, Journal of the American Statistical Association 53, 457-481.
 */
export function kaplanMeier(times: Sample, isEnded: ArrayLike<boolean>): SurvivalPoint[] {
  checkNonEmpty(times, 'times');
  if (isEnded === null || typeof isEnded !== 'object' || isEnded.length !== times.length) {
    throw new ConfigError('isEnded', `${times.length} values, as in times`, isEnded?.length);
  }
  const order = Uint32Array.from({ length: times.length }, (_, i) => i).sort((a, b) => times[a] - times[b]);
  const points: SurvivalPoint[] = [];
  let [survival, logVariance] = [1, 0];
  for (let i = 0; i < order.length; ) {
    const time = times[order[i]];
    const atRisk = order.length - i;
    let ended = 0;
    for (; i < order.length && times[order[i]] === time; i++) if (isEnded[order[i]]) ended++;
    if (ended === 0) continue;
    survival *= 1 - ended / atRisk;
    logVariance += ended / (atRisk * (atRisk - ended));
    points.push({ time, atRisk, ended, survival, logVariance });
  }
  return points;
}

export interface SurvivalQuantileOptions extends Pick<Options, 'alpha' | 'confidenceLevel'> {
  /** On what scale the survival's own interval is symmetric; 'log-log', which stays within 0 and 1, by default. */
  readonly transform?: 'log-log' | 'log' | undefined;
}

export interface SurvivalQuantileResult extends Result {
  /** Null where so many were cut that the quantile lies beyond. */
  readonly estimate: number | null;
  /** The upper end is infinite where nothing bounds it. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
  /** How many were cut. */
  readonly censored: number;
}

/**
 * The time by which a share p has ended, of times of which some were cut.
 *
 * Source: Kaplan & Meier 1958; interval: Brookmeyer & Crowley 1982, Biometrics 38, 29-41.
 * @param p - between 0 and 1, both excluded
 */
export function kaplanMeierQuantile(
  times: Sample,
  isEnded: ArrayLike<boolean>,
  p: number,
  options: SurvivalQuantileOptions = {},
): SurvivalQuantileResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  const { transform = 'log-log' } = options;
  checkOpenUnit(p, 'p');
  if (transform !== 'log-log' && transform !== 'log') {
    throw new ConfigError('transform', "'log-log' or 'log'", transform);
  }
  const points = kaplanMeier(times, isEnded);
  const z = -normalQuantile(alpha / 2);
  const bounds = points.map((point) => boundsOf(point, z, transform));
  const ends = points.map(({ time }) => time);
  const reach = (curve: readonly number[]) => firstAt(ends, curve, 1 - p);
  const estimate = reach(points.map(({ survival }) => survival));
  const low = reach(bounds.map(([lower]) => lower));
  const high = reach(bounds.map(([, upper]) => upper));
  let censored = 0;
  for (let i = 0; i < isEnded.length; i++) if (!isEnded[i]) censored++;
  return {
    method: `Kaplan-Meier quantile, Brookmeyer-Crowley interval (${transform})`,
    assumptions: [
      'independent observations',
      'cut for reasons that have nothing to do with how long it would have lasted',
    ],
    n: [times.length],
    estimate,
    confidenceInterval: low === null ? null : [low, high ?? Number.POSITIVE_INFINITY],
    confidenceLevel,
    censored,
    ...(estimate === null && { reason: 'so many were cut that the quantile lies beyond' }),
  };
}

function boundsOf(
  { survival, logVariance }: SurvivalPoint,
  z: number,
  transform: 'log-log' | 'log',
): [lower: number, upper: number] {
  // Nothing is known of the spread once none is left: the curve is at 0.
  if (survival <= 0) return [0, Number.POSITIVE_INFINITY];
  const error = Math.sqrt(logVariance);
  if (transform === 'log')
    return [survival * Math.exp(-z * error), Math.min(1, survival * Math.exp(z * error))];
  const hazard = -Math.log(survival);
  return [
    Math.exp(-hazard * Math.exp((z * error) / hazard)),
    Math.exp(-hazard * Math.exp((-z * error) / hazard)),
  ];
}

/** Where the descending curve reaches the level; in the middle of a stretch that lies at it. */
function firstAt(times: readonly number[], curve: readonly number[], level: number): number | null {
  const tolerance = 1e-12;
  const first = curve.findIndex((share) => share <= level + tolerance);
  if (first < 0) return null;
  if (Math.abs(curve[first] - level) > tolerance) return times[first];
  const next = curve.findIndex((share, i) => i > first && share < level - tolerance);
  return next < 0 ? times[first] : (times[first] + times[next]) / 2;
}
