import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from 'vitest';
import { type DemoOptions, estimateDemoMs, runDemo } from '../../src/demo/run.js';

/** Two arms told apart as experiments tell them: by the async context an event is emitted in. */
function recordedArms() {
  const context = new AsyncLocalStorage<string>();
  const events: { arm: string | undefined; event: string; sampleId: unknown }[] = [];
  return {
    events,
    control: { run: <T>(fn: () => T) => context.run('control', fn) },
    treatment: { run: <T>(fn: () => T) => context.run('treatment', fn) },
    emit: (event: string, _measurements: object, metadata: Readonly<Record<string, unknown>>) =>
      void events.push({ arm: context.getStore(), event, sampleId: metadata.sampleId }),
  };
}

const fast = {
  strategy: 'hedged',
  seed: 1,
  requests: 24,
  timeScale: 0,
} as const satisfies Partial<DemoOptions>;

describe('runDemo', () => {
  it('asks every question once in each arm, and tells of each in its own context', async () => {
    const { events, ...arms } = recordedArms();
    const result = await runDemo({ ...arms, ...fast });
    expect(result.interrupted).toBe(false);
    for (const arm of ['control', 'treatment'] as const) {
      const outcomes = events.filter(
        (e) => e.arm === arm && /^req_llm\.request\.(stop|exception)$/.test(e.event),
      );
      expect(new Set(outcomes.map(({ sampleId }) => sampleId)).size).toBe(fast.requests);
      expect(outcomes).toHaveLength(fast.requests);
      expect(result[arm].finished).toBe(fast.requests);
      expect(result[arm].answered + result[arm].failed).toBe(fast.requests);
    }
    expect(events.filter((e) => e.arm === undefined)).toEqual([]);
    expect(events.some((e) => e.arm === 'control' && e.event.startsWith('hedging'))).toBe(false);
  });

  it('runs the ensemble, whose every question sends two requests more', async () => {
    const { events, ...arms } = recordedArms();
    const result = await runDemo({ ...arms, ...fast, strategy: 'ensemble' });
    expect(result.treatment.extraRequests).toBe(2 * fast.requests);
    expect(result.hedgeDelayMs).toBeNull();
    expect(events.filter((e) => e.event === 'ensemble.prediction.stop')).toHaveLength(fast.requests);
  });

  it('decides outcomes by the seed alone, whatever the concurrency', async () => {
    const run = async (concurrency: number, seed = 1) =>
      (await runDemo({ ...recordedArms(), ...fast, requests: 60, seed, concurrency })).control;
    expect(await run(1)).toEqual(await run(16));
  });

  it('stops early on abort, with what was finished, and without throwing', async () => {
    const stop = new AbortController();
    const result = await runDemo({
      ...recordedArms(),
      ...fast,
      requests: 200,
      concurrency: 2,
      signal: stop.signal,
      onProgress: ({ control }) => {
        if (control.finished === 5) stop.abort();
      },
    });
    expect(result.interrupted).toBe(true);
    expect(result.control.finished).toBeLessThan(200);
    expect(result.control.finished).toBeGreaterThanOrEqual(5);
  });

  it('passes on an error that is not a failed request', async () => {
    const arms = recordedArms();
    const broken = () => {
      throw new TypeError('broken bus');
    };
    await expect(runDemo({ ...arms, ...fast, emit: broken })).rejects.toThrow('broken bus');
  });
});

describe('estimateDemoMs', () => {
  it('scales with the time scale and shrinks with concurrency', () => {
    const at = (timeScale: number, concurrency: number) =>
      estimateDemoMs({ seed: 1, requests: 100, timeScale, concurrency });
    expect(at(0.1, 8)).toBeCloseTo(2 * at(0.05, 8), 6);
    expect(at(0.05, 16)).toBeLessThan(at(0.05, 8));
    expect(at(0, 8)).toBe(0);
  });
});
