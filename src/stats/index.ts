/** Statistics for experiments: pure functions, no experiment needed. */

export { type Moments, Welford } from './moments.js';
export { type QuantileType, quantile } from './quantile.js';
export type { Alternative, Sample, Summary } from './sample.js';
export { bucketOf, bucketValue, mantissaBitsFor, QuantileSketch, type SketchBucket } from './sketch.js';
