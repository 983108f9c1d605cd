/** Events that lack what is compared, failures that are fast, latencies that were cut: through the public door. */
import { describe, expect, it } from 'vitest';
import type { CompareOptions, WarningCode } from '../../../src/analysis/types.js';
import type { Recorder } from '../../../src/capture/recorder.js';
import { useBench } from '../../capture/support.js';
import { seededNormal, seededUniform } from '../../support/numeric.js';
import { expectAtMost, runs, TIMEOUT_MS } from '../../support/simulated.js';

const bench = useBench();

type Tell = (recorder: Recorder, isTreatment: boolean, draw: { latency: number; uniform: number }) => void;

async function compared(tell: Tell, options: CompareOptions = {}, seed = 31) {
  const experiments = ['control', 'treatment'].map((name, arm) => {
    const experiment = bench.start({ name });
    const recorder = experiment.recorder('req');
    const [normal, uniform] = [seededNormal(2 * seed + arm), seededUniform(2 * seed + arm + 1e6)];
    for (let i = 0; i < 500; i++) {
      tell(recorder, arm === 1, { latency: 900 * Math.exp(0.5 * normal()), uniform: uniform() });
    }
    return experiment;
  });
  const { treatments } = await bench.crucible().compare(experiments, options);
  for (const experiment of experiments) await experiment.cleanup();
  return treatments[0]!;
}

const codesOf = ({ warnings }: { warnings: { code: WarningCode }[] }) => warnings.map(({ code }) => code);
const DOUBTS: readonly WarningCode[] = ['unequalShares', 'unlikeFailures', 'censored', 'unequalRequests'];

describe('a comparison warns where', () => {
  it('the slowest time out without a latency', async () => {
    const found = await compared((recorder, isTreatment, { latency }) => {
      const timesOut = isTreatment && latency > 1100;
      recorder.record(timesOut ? Number.NaN : latency, 0.01, 100, 50, !timesOut);
    });
    const told = found.warnings.filter(({ code }) => code === 'unequalShares');
    expect(told.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^0 % of the events of control and 3\d % of the events of treatment have no latency/,
      ),
    ]);
    expect(found.verdict).toContain('events lack an outcome in one arm more often');
  });

  it('outcomes are unknown in one arm, and does not blame requests for it', async () => {
    const found = await compared((recorder, isTreatment, { latency, uniform }) => {
      recorder.record(latency, 0.01, 100, 50, uniform < 0.8 ? true : isTreatment ? null : false);
    });
    expect(codesOf(found)).toContain('unequalShares');
    expect(codesOf(found)).not.toContain('unequalRequests');
    expect(found.warnings.find(({ code }) => code === 'unequalShares')!.message).toContain(
      'no outcome that is known',
    );
  });

  it('failures are fast, and shows the latency of successes beside', async () => {
    const found = await compared((recorder, isTreatment, { latency, uniform }) => {
      const fails = uniform < (isTreatment ? 0.4 : 0.05);
      recorder.record(fails ? 5 : latency, 0.01, 100, 50, !fails);
    });
    expect(found.metrics.latencyMean!.relativePct).toBeLessThan(-25);
    const { difference, confidenceInterval, baseline } = found.metrics.latencyMean!.amongSuccesses!;
    expect(Math.abs(difference!)).toBeLessThan(0.1 * baseline.estimate!);
    expect(confidenceInterval![0]).toBeLessThan(0);
    expect(confidenceInterval![1]).toBeGreaterThan(0);
    expect(found.warnings.find(({ code }) => code === 'unlikeFailures')!.message).toContain(
      'Of successes alone',
    );
  });

  it('latencies are cut at a timeout, a little late or not', async () => {
    for (const late of [0, 5]) {
      const found = await compared((recorder, isTreatment, { latency, uniform }) => {
        const ms = latency * (isTreatment ? 2 : 1);
        recorder.record(ms < 2000 ? ms : 2000 + late * uniform, Number.NaN, -1, -1, ms < 2000);
      });
      const told = found.warnings.filter(({ code }) => code === 'censored');
      expect(told.some(({ message }) => /^4\d % of the latencies of treatment/.test(message))).toBe(true);
      expect(found.verdict).toContain('lower bounds');
    }
  });

  it('a third of the pairs has no latency in one arm', async () => {
    const uniform = seededUniform(5);
    const difficulty = Array.from({ length: 300 }, () => 500 + 1000 * uniform());
    const experiments = [0, 1].map((arm) => {
      const experiment = bench.start({ name: `${arm}` });
      for (const [i, ms] of difficulty.entries()) {
        const timesOut = arm === 1 && ms > 1200;
        experiment.capture('req', timesOut ? {} : { latencyMs: ms }, {
          sampleId: i,
          status: timesOut ? 'error' : 'ok',
        });
      }
      return experiment;
    });
    const { treatments } = await bench.crucible().compare(experiments);
    expect(treatments[0]!.pairing.used).toBe(true);
    expect(codesOf(treatments[0]!)).toContain('unequalShares');
  });

  it('there is nothing of the kind: hardly ever', { timeout: TIMEOUT_MS }, async () => {
    const count = runs(60);
    let warned = 0;
    for (let run = 0; run < count; run++) {
      const found = await compared(
        (recorder, _, { latency, uniform }) => {
          const fails = uniform < 0.1;
          recorder.record(
            uniform < 0.05 ? Number.NaN : fails ? 5 : latency,
            0.01,
            100,
            50,
            uniform > 0.9 ? null : !fails,
          );
        },
        { resamples: 100 },
        run,
      );
      if (codesOf(found).some((code) => DOUBTS.includes(code))) warned++;
    }
    // Four questions of shares at 0.1 %.
    expectAtMost(warned / count, 0.004, count, 'warned');
  });
});

describe('how sensitive a comparison is', () => {
  const same: Tell = (recorder, _, { latency }) => recorder.record(latency);

  it('is said by the detectable difference, which does not depend on what was found', async () => {
    const { metrics, warnings } = await compared(same, { metrics: ['latencyMean'] });
    const { detectable, confidenceInterval } = metrics.latencyMean!;
    // (1.96 + 0.84) of 1.96 half widths.
    const half = (confidenceInterval![1] - confidenceInterval![0]) / 2;
    expect(detectable! / half).toBeCloseTo((1.959964 + 0.841621) / 1.959964, 5);
    expect(warnings).toEqual([]);
  });

  it('is warned of where a margin asks for more; non-inferiority is shown where the interval says so', async () => {
    const within = (margin: number | { relative: number }) =>
      compared(same, { metrics: [{ of: 'latencyMs', role: 'guardrail', margin }] }, 3);
    const narrow = await within(5);
    expect(narrow.metrics.latencyMs!.noninferiority).toEqual({ margin: 5, shown: false, exceeded: false });
    expect(codesOf(narrow)).toEqual(['insensitive']);
    const wide = await within({ relative: 0.3 });
    expect(wide.metrics.latencyMs!.noninferiority!.shown).toBe(true);
    expect(codesOf(wide)).toEqual([]);
  });

  it('shows non-inferiority of what is worse by the margin in one of forty: ms, 500 requests an arm', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const count = runs(60);
    let shown = 0;
    for (let run = 0; run < count; run++) {
      const { metrics } = await compared(
        (recorder, isTreatment, { latency }) => recorder.record(latency + (isTreatment ? 100 : 0)),
        { metrics: [{ of: 'latencyMs', margin: 100 }] },
        run,
      );
      if (metrics.latencyMs!.noninferiority!.shown) shown++;
    }
    expectAtMost(shown / count, 0.027, count, 'shown');
  });
});
