/** Starting, pausing, resuming, stopping and cleaning up experiments. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { telemetry } from '../../src/capture/bus.js';
import { NotFoundError, StateError } from '../../src/errors.js';
import { codeOf, START_US, useBench } from '../capture/support.js';
import { countsOf } from '../support/counts.js';

const bench = useBench();

describe('a new experiment', () => {
  it('has the fields it was given and the defaults of the others', () => {
    const bare = bench.start({ name: 'bare' });
    expect(bare).toMatchObject({
      name: 'bare',
      hypothesis: null,
      condition: 'default',
      tags: [],
      metadata: {},
      sampleSize: null,
      status: 'running',
      startedAt: START_US,
      stoppedAt: null,
      pausedAt: null,
      pauseCount: 0,
      progress: null,
      counts: countsOf({}),
    });
    expect(bare.id).toMatch(/^[0-9a-f]{16}$/);

    const full = bench.start({
      id: 'my_id-1',
      name: 'full',
      hypothesis: 'B is faster',
      condition: 'treatment',
      tags: ['a', 'b'],
      metadata: { seed: 7 },
      sampleSize: 100,
    });
    expect(full).toMatchObject({
      id: 'my_id-1',
      hypothesis: 'B is faster',
      condition: 'treatment',
      tags: ['a', 'b'],
      metadata: { seed: 7 },
      sampleSize: 100,
    });
  });

  it('is told as one plain object', () => {
    const experiment = bench.start({ id: 'plain', name: 'told', tags: ['t'], sampleSize: 3 });
    experiment.capture('e', {});
    expect(JSON.parse(JSON.stringify(experiment))).toEqual({
      id: 'plain',
      name: 'told',
      hypothesis: null,
      condition: 'default',
      metadata: {},
      tags: ['t'],
      startedAt: START_US,
      stoppedAt: null,
      pausedAt: null,
      status: 'running',
      sampleSize: 3,
      pauseCount: 0,
      counts: countsOf({ captured: 1 }),
    });
  });

  it('does not change when the options it was made of do', () => {
    const tags = ['a'];
    const metadata = { seed: 7 };
    const experiment = bench.start({ tags, metadata });
    tags.push('b');
    metadata.seed = 8;
    expect(experiment.tags).toEqual(['a']);
    expect(experiment.metadata).toEqual({ seed: 7 });
  });

  it('is found by its id and listed in order of start', () => {
    const crucible = bench.crucible();
    const first = bench.start({ name: 'first' });
    const second = bench.start({ name: 'second' });
    expect(crucible.experiment(first.id)).toBe(first);
    expect(crucible.experiments()).toEqual([first, second]);
    expect(() => crucible.experiment('no such id')).toThrow(NotFoundError);
    expect(codeOf(() => crucible.experiment('no such id'))).toBe('ERR_NOT_FOUND');
  });

  it('cannot be started in a Crucible that is closed', async () => {
    const crucible = bench.crucible();
    const experiment = bench.start();
    await crucible.close();
    expect(experiment.status).toBe('stopped');
    expect(crucible.experiments()).toEqual([]);
    expect(codeOf(() => crucible.startExperiment({ name: 'late' }))).toBe('ERR_CLOSED');
    await crucible.close();
  });

  it('is closed at the end of the block that its Crucible was made in', async () => {
    const made = bench.crucible();
    {
      await using crucible = made;
      crucible.startExperiment({ name: 'inside', capacity: 1024 });
    }
    expect(made.experiments()).toEqual([]);
  });
});

describe('pause and resume', () => {
  it('set and clear pausedAt and count the pauses', () => {
    const experiment = bench.start();
    bench.clock.advance(1000);
    experiment.pause();
    expect(experiment).toMatchObject({ status: 'paused', pausedAt: START_US + 1e6, pauseCount: 1 });
    bench.clock.advance(1000);
    experiment.resume();
    expect(experiment).toMatchObject({ status: 'running', pausedAt: null, pauseCount: 1 });
    experiment.pause();
    experiment.resume();
    expect(experiment.pauseCount).toBe(2);
  });

  it('say by a code what does not fit the status', async () => {
    const experiment = bench.start();
    expect(codeOf(() => experiment.resume())).toBe('ERR_NOT_PAUSED');
    experiment.pause();
    expect(() => experiment.pause()).toThrow(StateError);
    expect(codeOf(() => experiment.pause())).toBe('ERR_ALREADY_PAUSED');
    await experiment.stop();
    expect(codeOf(() => experiment.pause())).toBe('ERR_NOT_RUNNING');
    expect(codeOf(() => experiment.resume())).toBe('ERR_NOT_PAUSED');
    expect(experiment.pauseCount).toBe(1);
  });

  it('ignore what is captured in between, by whatever way', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('by.recorder');
    const capture = (at: string) => {
      experiment.capture('by.capture', {}, { at });
      experiment.captureAt(START_US, 'by.captureAt', {}, { at });
      recorder.record(1);
      recorder.recordAt(START_US, 1);
      recorder.start().stop();
      recorder.start().fail(new Error('x'));
      telemetry.execute('req_llm.request.stop', {}, { at });
    };
    capture('running');
    expect(experiment.counts.captured).toBe(7);
    experiment.pause();
    capture('paused');
    // Not wanted, and so not lost.
    expect(experiment.counts).toEqual(countsOf({ captured: 7, refused: { paused: 7 } }));
    experiment.resume();
    capture('running');
    expect(experiment.counts.captured).toBe(14);
    const rows = await experiment.query();
    expect(rows).toHaveLength(14);
    expect(rows.some(({ metadata }) => metadata.at === 'paused')).toBe(false);
  });

  it('leave what was captured readable', async () => {
    const experiment = bench.start();
    experiment.capture('e', {});
    experiment.pause();
    expect(await experiment.query()).toHaveLength(1);
    expect(experiment.streamingMetrics().count).toBe(1);
  });

  it('a span that began before a pause and ended in it is not recorded', () => {
    const experiment = bench.start();
    const span = experiment.recorder('e').start();
    experiment.pause();
    span.stop();
    experiment.resume();
    expect(experiment.counts.captured).toBe(0);
  });
});

describe('an import that a pause or stop overtakes', () => {
  it.each(['pause', 'stop'] as const)('never tells of rows that it did not capture: %s', async (call) => {
    const experiment = bench.start();
    const importing = experiment.importFile('examples/requests.csv');
    await experiment[call]();
    const told = await importing.then(
      ({ rows }) => rows,
      (error: { code?: unknown }) => {
        expect(error.code).toBe('ERR_NOT_RUNNING');
        return experiment.counts.captured;
      },
    );
    expect(told).toBe(experiment.counts.captured);
  });
});

describe('stop', () => {
  it('keeps the data and ends capture', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    recorder.record(1);
    experiment.capture('e', { latencyMs: 3 });
    await experiment.stop();
    recorder.record(1);
    recorder.recordAt(START_US, 1);
    recorder.start().stop();
    recorder.start().fail('x');
    experiment.capture('e', {});
    experiment.captureAt(START_US, 'e', {});
    telemetry.execute('req_llm.request.stop', {});
    experiment.run(() => telemetry.execute('req_llm.request.stop', {}));
    // The one outside of `run` was not meant for an experiment that is stopped.
    const refused = { total: 7, stopped: 7 };
    expect(experiment.counts).toEqual(countsOf({ captured: 2, dropped: 7, refused }));
    expect((await experiment.metrics()).latency).toMatchObject({ count: 2, mean: 2 });
    expect(experiment.streamingMetrics().latency.mean).toBe(2);
  });

  it('sets stoppedAt once', async () => {
    const experiment = bench.start();
    bench.clock.advance(500);
    await Promise.all([experiment.stop(), experiment.stop()]);
    bench.clock.advance(500);
    await experiment.stop();
    expect(experiment).toMatchObject({ status: 'stopped', stoppedAt: START_US + 500_000 });
  });

  it('ends a pause', async () => {
    const experiment = bench.start();
    experiment.pause();
    await experiment.stop();
    expect(experiment).toMatchObject({ status: 'stopped', pausedAt: null, pauseCount: 1 });
  });

  it('leaves the experiment registered', async () => {
    const crucible = bench.crucible();
    const experiment = bench.start();
    await experiment.stop();
    expect(crucible.experiment(experiment.id)).toBe(experiment);
    expect(codeOf(() => experiment.recorder('e').record(1))).toBeUndefined();
  });
});

describe('cleanup', () => {
  it('stops, unregisters and lets the data go', async () => {
    const crucible = bench.crucible();
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    recorder.record(1);
    await experiment.cleanup();
    expect(experiment.status).toBe('stopped');
    expect(codeOf(() => crucible.experiment(experiment.id))).toBe('ERR_NOT_FOUND');
    expect(experiment.counts.captured).toBe(1);
    await expect(experiment.query()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(experiment.metrics()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(experiment.window({ lastN: 1 })).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(codeOf(() => experiment.streamingMetrics())).toBe('ERR_NOT_RUNNING');
    expect(codeOf(() => experiment.recorder('e'))).toBe('ERR_CLOSED');
    expect(codeOf(() => experiment.share())).toBe('ERR_CLOSED');
  });

  it('with keepData leaves whoever holds the experiment able to read', async () => {
    const crucible = bench.crucible();
    const experiment = bench.start();
    experiment.capture('e', { latencyMs: 4 });
    await experiment.cleanup({ keepData: true });
    expect(codeOf(() => crucible.experiment(experiment.id))).toBe('ERR_NOT_FOUND');
    expect(await experiment.query()).toHaveLength(1);
    expect((await experiment.metrics()).latency).toMatchObject({ mean: 4 });
    expect(codeOf(() => experiment.streamingMetrics())).toBe('ERR_NOT_RUNNING');
    await experiment.cleanup();
    await expect(experiment.query()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('leaves captures and recorders doing nothing, without a throw', async () => {
    const experiment = bench.start();
    const recorder = experiment.recorder('e');
    const [first, second] = [recorder.start(), recorder.start()];
    await experiment.cleanup();
    await experiment.cleanup();
    for (let i = 0; i < 600; i++) recorder.record(1, 2, 3, 4, true);
    recorder.recordAt(START_US, 1);
    first.stop();
    second.fail(new Error('late'));
    experiment.capture('e', {}, { a: 1 });
    experiment.captureAt(START_US, 'e', {});
    telemetry.execute('req_llm.request.stop', {});
    experiment.run(() => telemetry.execute('req_llm.request.stop', {}));
    const refused = { total: 606, closed: 606 };
    expect(experiment.counts).toEqual(countsOf({ dropped: 606, refused }));
  });

  it('lets its id be used again', async () => {
    const experiment = bench.start({ id: 'again' });
    expect(() => bench.start({ id: 'again' })).toThrow('id: expected an id not in use');
    await experiment.cleanup();
    const next = bench.start({ id: 'again' });
    telemetry.execute('req_llm.request.stop', {});
    expect(next.counts.captured).toBe(1);
  });
});

describe('streaming metrics', () => {
  it('can be reset and stopped, by themselves', async () => {
    const experiment = bench.start();
    experiment.capture('e', { latencyMs: 4 });
    experiment.resetStreamingMetrics();
    expect(experiment.streamingMetrics()).toMatchObject({ count: 0, latency: { count: 0, mean: null } });
    experiment.capture('e', { latencyMs: 6 });
    expect(experiment.streamingMetrics()).toMatchObject({ count: 1, latency: { mean: 6 } });
    experiment.stopStreamingMetrics();
    expect(codeOf(() => experiment.streamingMetrics())).toBe('ERR_NOT_RUNNING');
    experiment.capture('e', { latencyMs: 8 });
    expect((await experiment.metrics()).latency).toMatchObject({ count: 3, mean: 6 });
  });

  it('can be off from the start', () => {
    const experiment = bench.start({ streamingMetrics: false });
    experiment.capture('e', { latencyMs: 4 });
    expect(codeOf(() => experiment.streamingMetrics())).toBe('ERR_NOT_RUNNING');
  });
});

describe('times', () => {
  const times = async (experiment: { metrics(): Promise<{ summary: object }> }) =>
    (await experiment.metrics()).summary;

  it('are wall clock, active and paused seconds, and end with the stop', async () => {
    const experiment = bench.start();
    bench.clock.advance(2000);
    expect(await times(experiment)).toMatchObject({
      wallClockSeconds: 2,
      activeSeconds: 2,
      pausedSeconds: 0,
    });
    experiment.pause();
    bench.clock.advance(3000);
    expect(await times(experiment)).toMatchObject({
      wallClockSeconds: 5,
      activeSeconds: 2,
      pausedSeconds: 3,
    });
    experiment.resume();
    bench.clock.advance(1500);
    experiment.pause();
    bench.clock.advance(500);
    await experiment.stop();
    bench.clock.advance(60_000);
    expect(await times(experiment)).toMatchObject({
      wallClockSeconds: 7,
      activeSeconds: 3.5,
      pausedSeconds: 3.5,
    });
  });

  it('are never negative on a clock that is turned back', async () => {
    const experiment = bench.start();
    experiment.pause();
    bench.clock.advance(-5000);
    expect(await times(experiment)).toMatchObject({
      wallClockSeconds: 0,
      activeSeconds: 0,
      pausedSeconds: 0,
    });
    experiment.resume();
    await experiment.stop();
    expect(await times(experiment)).toMatchObject({
      wallClockSeconds: 0,
      activeSeconds: 0,
      pausedSeconds: 0,
    });
  });
});

describe('progress', () => {
  it('is what was collected of the sample size, and never above 1', () => {
    const experiment = bench.start({ sampleSize: 4 });
    expect(experiment.progress).toEqual({ collected: 0, target: 4, fraction: 0 });
    for (const fraction of [0.25, 0.5, 0.75, 1, 1]) {
      experiment.capture('e', {});
      expect(experiment.progress).toMatchObject({ target: 4, fraction });
    }
    expect(experiment.progress?.collected).toBe(5);
  });
});

describe('counts', () => {
  it('add up when the oldest rows are overwritten', async () => {
    const experiment = bench.start({ capacity: 2048 });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 5000; i++) recorder.record(i);
    const { captured, retained, dropped } = experiment.counts;
    expect(captured).toBe(5000);
    expect(retained + dropped).toBe(5000);
    const rows = await experiment.query();
    expect(rows).toHaveLength(experiment.counts.retained);
    expect(rows.at(-1)?.latencyMs).toBe(4999);
    expect(experiment.streamingMetrics().count).toBe(5000);
  });

  it('add up when a full ring refuses the newest', async () => {
    const experiment = bench.start({ capacity: 1024, overflow: 'reject' });
    for (let i = 0; i < 3000; i++) experiment.capture('e', { latencyMs: i });
    const { captured, retained, dropped } = experiment.counts;
    expect(captured).toBe(retained);
    expect(captured + dropped).toBe(3000);
    expect(captured).toBeGreaterThanOrEqual(1024);
    expect((await experiment.query()).map(({ latencyMs }) => latencyMs)).toEqual([...Array(captured).keys()]);
  });

  it('tell of malformed values at once, not only after the next reading', () => {
    const experiment = bench.start();
    experiment.recorder('e').record(Number.POSITIVE_INFINITY);
    expect(experiment.counts).toMatchObject({ captured: 1, malformed: 1 });
  });
});

describe('the state machine', () => {
  type Step = 'pause' | 'resume' | 'stop' | 'cleanup' | 'keep' | 'capture' | 'tick';
  const steps = fc.array(
    fc.constantFrom<Step>('pause', 'resume', 'stop', 'cleanup', 'keep', 'capture', 'capture', 'tick'),
    { maxLength: 25 },
  );

  it('does what a model of it does, in any order of calls', async () => {
    const crucible = bench.crucible();
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { clock } = bench;
        const experiment = crucible.startExperiment({ name: 'model', capacity: 1024, producers: 1 });
        const recorder = experiment.recorder('by.recorder');
        const model = {
          status: 'running',
          pausedAt: null as number | null,
          stoppedAt: null as number | null,
          pauseCount: 0,
          captured: 0,
          paused: 0,
          stopped: 0,
          closed: 0,
          pausedUs: 0,
          registered: true,
          readable: true,
        };
        const endPause = () => {
          if (model.pausedAt !== null) model.pausedUs += clock.us - model.pausedAt;
          model.pausedAt = null;
        };
        const stop = () => {
          if (model.status === 'stopped') return;
          endPause();
          model.status = 'stopped';
          model.stoppedAt = clock.us;
        };
        for (const step of sequence) {
          if (step === 'pause') {
            const expected =
              model.status === 'running'
                ? undefined
                : model.status === 'paused'
                  ? 'ERR_ALREADY_PAUSED'
                  : 'ERR_NOT_RUNNING';
            expect(codeOf(() => experiment.pause())).toBe(expected);
            if (expected === undefined) {
              model.status = 'paused';
              model.pausedAt = clock.us;
              model.pauseCount++;
            }
          } else if (step === 'resume') {
            expect(codeOf(() => experiment.resume())).toBe(
              model.status === 'paused' ? undefined : 'ERR_NOT_PAUSED',
            );
            if (model.status === 'paused') {
              endPause();
              model.status = 'running';
            }
          } else if (step === 'stop') {
            await experiment.stop();
            stop();
          } else if (step === 'cleanup' || step === 'keep') {
            await experiment.cleanup({ keepData: step === 'keep' });
            stop();
            model.registered = false;
            if (step === 'cleanup') model.readable = false;
          } else if (step === 'capture') {
            experiment.capture('e', { latencyMs: 1 }, { a: 1 });
            recorder.record(1);
            telemetry.execute('req_llm.request.stop', {}, { a: 1 });
            experiment.run(() => telemetry.execute('req_llm.request.stop', {}, { a: 1 }));
            if (model.status === 'running') model.captured += 4;
            else if (model.status === 'paused') model.paused += 4;
            // What is on the bus outside of a run is for whoever is running.
            else if (model.readable) model.stopped += 3;
            else model.closed += 3;
          } else clock.advance(10);
          const { status, pausedAt, stoppedAt, pauseCount, captured } = model;
          expect(experiment).toMatchObject({ status, pausedAt, stoppedAt, pauseCount });
          const { paused, stopped, closed } = model;
          const refused = { total: stopped + closed, paused, stopped, closed };
          expect(experiment.counts).toEqual(countsOf({ captured, dropped: stopped + closed, refused }));
        }
        const found = crucible.experiments().includes(experiment);
        expect(found).toBe(model.registered);
        if (model.readable) {
          const { summary } = await experiment.metrics();
          const wallUs = (model.stoppedAt ?? clock.us) - experiment.startedAt;
          const pausedUs = model.pausedUs + (model.pausedAt === null ? 0 : clock.us - model.pausedAt);
          expect(summary.totalEvents).toBe(model.captured);
          expect(summary.wallClockSeconds).toBeCloseTo(wallUs / 1e6, 9);
          expect(summary.pausedSeconds).toBeCloseTo(pausedUs / 1e6, 9);
          expect(summary.activeSeconds).toBeCloseTo((wallUs - pausedUs) / 1e6, 9);
        } else await expect(experiment.query()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
        await experiment.cleanup();
      }),
      { numRuns: 60 },
    );
  });
});
