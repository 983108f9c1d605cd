/** Statistics for experiments: pure functions, no experiment needed. */

export {
  type AlphaOptions,
  type AlphaResult,
  cohensKappa,
  type KappaOptions,
  type KappaResult,
  krippendorffAlpha,
  type Rating,
} from './agreement.js';
export { type AnovaResult, anova, type WelchAnovaResult, welchAnova } from './anova.js';
export { incompleteBeta, logBeta } from './beta.js';
export {
  type BootstrapOptions,
  type BootstrapResult,
  bootstrapInterval,
  type Statistic,
} from './bootstrap.js';
export {
  type ClusterEstimate,
  type ClusteredMeanResult,
  type ClusteredTestResult,
  type ClusterTotals,
  clusterEstimate,
  clusteredMean,
  clusteredTest,
  clusterTotals,
} from './clustered.js';
export { type ChiSquareResult, chiSquare, type FisherResult, fisherExact } from './contingency.js';
export { type CorrelationResult, pearson, spearman } from './correlation.js';
export {
  type AnytimeLinearOptions,
  type AnytimeLinearResult,
  anytimeValidLinear,
  type CovariateInput,
  CovariateMoments,
  type CovariateSums,
  type CupedResult,
  cuped,
} from './covariates.js';
export { type Description, describe } from './describe.js';
export {
  betaQuantile,
  chiSquareSurvival,
  fSurvival,
  kolmogorovSurvival,
  noncentralStudentSurvival,
  studentSurvival,
  studentUpperQuantile,
} from './distributions.js';
export { cliffsDelta, cohensD, type EffectSizeResult, hedgesG } from './effect-sizes.js';
export { incompleteGamma, logGamma } from './gamma.js';
export {
  type KolmogorovSmirnovOptions,
  type KolmogorovSmirnovResult,
  kolmogorovSmirnov,
} from './kolmogorov-smirnov.js';
export {
  type EquivalenceResult,
  equivalence,
  type Margin,
  type MarginOptions,
  type NonInferiorityOptions,
  type NonInferiorityResult,
  nonInferiority,
} from './margins.js';
export {
  bernoulliConfidenceInterval,
  betaBinomialMixtureBound,
  gammaExponentialMixtureBound,
  type NormalMixtureTuning,
  normalLogMixture,
  normalMixtureBound,
} from './mixtures.js';
export { type Moments, Welford } from './moments.js';
export { type AdjustmentMethod, adjustPValues } from './multiplicity.js';
export { erfc, normalCdf, normalQuantile, normalSurvival } from './normal.js';
export type { Interval, Options, Result } from './options.js';
export { type OrderStatisticResult, orderStatisticInterval } from './order-statistics.js';
export {
  detectableEffect,
  type ProportionPowerOptions,
  type ProportionPowerResult,
  proportionPower,
  type TTestPowerOptions,
  type TTestPowerResult,
  tTestPower,
} from './power.js';
export {
  type Proportion,
  type ProportionIntervalMethod,
  type ProportionIntervalResult,
  proportionInterval,
  type TwoProportionResult,
  twoProportionZ,
  wilsonInterval,
} from './proportions.js';
export { type QuantileType, quantile } from './quantile.js';
export { SeededRandom } from './random.js';
export {
  type KruskalWallisResult,
  kruskalWallis,
  type MannWhitneyOptions,
  type MannWhitneyResult,
  mannWhitneyU,
} from './rank-tests.js';
export {
  PairMoments,
  type RatioEstimate,
  type RatioInput,
  type RatioResult,
  type RatioSums,
  ratioEstimate,
  ratioOfMeans,
  ratioSkewness,
} from './ratio.js';
export { passAtK, passHatK, type RepeatedResult } from './repeated.js';
export type { Alternative, Sample, Summary } from './sample.js';
export {
  confidenceSequenceHalfWidth,
  type SequentialMeanOptions,
  type SequentialProportionOptions,
  type SequentialResult,
  sequentialMeanTest,
  sequentialProportionTest,
} from './sequential.js';
export {
  type SequentialQuantileOptions,
  type SequentialQuantileResult,
  sequentialQuantileTest,
} from './sequential-quantiles.js';
export {
  bucketOf,
  bucketValue,
  mantissaBitsFor,
  QuantileSketch,
  relativeErrorOf,
  type SketchBucket,
} from './sketch.js';
export {
  differenceSkewness,
  type SkewedSummary,
  type SkewedTestResult,
  skewCorrectedTTest,
} from './skewed.js';
export { type PostStratifiedResult, postStratifiedTest, type Stratum } from './strata.js';
export {
  kaplanMeier,
  kaplanMeierQuantile,
  type SurvivalPoint,
  type SurvivalQuantileOptions,
  type SurvivalQuantileResult,
} from './survival.js';
export { pairedTTest, studentTTest, type TTestResult, welchTTest } from './t-tests.js';
