import { describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { describeWithFixture } from '../support/fixtures.js';
import { digitsOfAgreement } from '../support/numeric.js';

interface NistSet {
  data: number[];
  double_exact: { mean: number; stddev: number };
}

const MEAN_DIGITS_MIN = 14.5;
const STD_DEV_DIGITS_MIN = 11.5;

/** Streams the values through one recorder and asks the streaming metrics. */
async function stream(data: readonly number[]): Promise<{ mean: number; stdDev: number }> {
  await using crucible = new Crucible();
  const experiment = crucible.startExperiment({ name: 'nist', capacity: 1024 });
  const recorder = experiment.recorder('value');
  data.forEach((value, i) => {
    recorder.recordAt(i, value);
  });
  const { mean, stdDev } = experiment.streamingMetrics().latency;
  return { mean: mean!, stdDev: stdDev! };
}

/** The formula that the kernel exists to avoid. */
function stdDevFromSumOfSquares(values: readonly number[]): number {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  return Math.sqrt(Math.max(0, squares - (sum * sum) / values.length) / (values.length - 1));
}

describeWithFixture<Record<string, NistSet>>('nist/univariate.json', (sets) => {
  it('holds the nine sets', () => {
    expect(Object.keys(sets)).toHaveLength(9);
  });

  for (const [name, { data, double_exact: exact }] of Object.entries(sets)) {
    it(`${name}: streamed through a recorder, the mean has 14.5 digits and the standard deviation 11.5`, async () => {
      const { mean, stdDev } = await stream(data);
      expect(digitsOfAgreement(mean, exact.mean), `mean ${mean}`).toBeGreaterThanOrEqual(MEAN_DIGITS_MIN);
      expect(digitsOfAgreement(stdDev, exact.stddev), `stdDev ${stdDev}`).toBeGreaterThanOrEqual(
        STD_DEV_DIGITS_MIN,
      );
    });
  }

  it('sets a bar that a sum of squares does not reach on NumAcc4', () => {
    const { data, double_exact: exact } = sets.NumAcc4!;
    expect(digitsOfAgreement(stdDevFromSumOfSquares(data), exact.stddev)).toBeLessThan(STD_DEV_DIGITS_MIN);
  });
});

describe('a recorder far from zero', () => {
  it('keeps the spread of values around 1e9', async () => {
    const data = Array.from({ length: 5000 }, (_, i) => 1e9 + ((i * 7919) % 1000) / 1000);
    const { stdDev } = await stream(data);
    const centred = data.map((value) => value - 1e9);
    const mean = centred.reduce((sum, value) => sum + value, 0) / data.length;
    const exact = Math.sqrt(centred.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (data.length - 1));
    expect(digitsOfAgreement(stdDev, exact)).toBeGreaterThanOrEqual(9);
  });
});
