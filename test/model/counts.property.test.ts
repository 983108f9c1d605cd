import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  attachExperiment,
  Crucible,
  type Experiment,
  type ExperimentWriter,
  TelemetryError,
  telemetry,
} from '../../src/index.js';

/** Values that an emitter may hand in where something sensible is expected. */
const odd = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
  fc.constantFrom<unknown>(
    Number.NaN,
    Infinity,
    -Infinity,
    -0,
    undefined,
    null,
    Symbol('s'),
    () => 1,
    10n ** 400n,
  ),
);

type Call = (experiment: Experiment, attached: ExperimentWriter[]) => unknown;

/** A writer each, in turn. */
function each(writers: readonly ExperimentWriter[], act: (writer: ExperimentWriter) => void): void {
  for (const writer of writers) act(writer);
}

const calls: fc.Arbitrary<{ name: string; call: Call }> = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 1500 }), odd).map(([rows, value]) => ({
    name: `record ${rows}`,
    call: (experiment: Experiment) => {
      const recorder = experiment.recorder('r');
      for (let i = 0; i < rows; i++) recorder.recordAt(i, i);
      const number = value as number;
      try {
        recorder.record(number, number, number, number, value as boolean);
      } catch (error) {
        // A symbol or a bigint where a number belongs is the programmer's error.
        if (!(error instanceof TypeError)) throw error;
      }
    },
  })),
  fc.tuple(odd, odd, odd).map(([event, measurements, metadata]) => ({
    name: 'capture',
    call: (experiment: Experiment) =>
      experiment.capture(
        event as string,
        measurements as Record<string, unknown>,
        metadata as Record<string, unknown>,
      ),
  })),
  odd.map((metadata) => ({
    name: 'execute',
    call: () => telemetry.execute('counts.event', { duration: 1 }, metadata as Record<string, unknown>),
  })),
  fc.integer({ min: 1, max: 1500 }).map((rows) => ({
    name: `attach and record ${rows}`,
    call: (experiment: Experiment, attached: ExperimentWriter[]) => {
      const writer = attachExperiment(experiment.share());
      attached.push(writer);
      const recorder = writer.recorder('w');
      for (let i = 0; i < rows; i++) recorder.recordAt(i, i);
    },
  })),
  fc.constantFrom<{ name: string; call: Call }>(
    { name: 'pause', call: (experiment) => experiment.pause() },
    { name: 'resume', call: (experiment) => experiment.resume() },
    { name: 'flush', call: (experiment) => experiment.flush() },
    { name: 'query', call: (experiment) => experiment.query() },
    { name: 'metrics', call: (experiment) => experiment.metrics() },
    { name: 'streaming', call: (experiment) => experiment.streamingMetrics() },
    { name: 'reset', call: (experiment) => experiment.resetStreamingMetrics() },
    { name: 'span', call: (experiment) => experiment.recorder('s').start().fail(new Error('no')) },
    {
      name: 'publish attached',
      call: (_experiment, attached) => each(attached, (writer) => writer.publish()),
    },
    { name: 'close attached', call: (_experiment, attached) => each(attached, (writer) => writer.close()) },
  ),
);

describe('counts', () => {
  for (const overflow of ['overwrite', 'reject'] as const) {
    it(`of a ring that ${overflow}s never go down or apart, whatever is called in whatever order`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(calls, { maxLength: 12 }),
          fc.integer({ min: 1, max: 3 }),
          async (sequence, chunks) => {
            await using crucible = new Crucible();
            const experiment = crucible.startExperiment({
              name: 'counts',
              capacity: chunks * 1024,
              overflow,
              events: ['counts.event'],
            });
            const attached: ExperimentWriter[] = [];
            let before = experiment.counts;
            const check = () => {
              const now = experiment.counts;
              const { captured, retained, dropped, malformed } = now;
              const overwritten = captured - retained;
              expect(overwritten).toBeGreaterThanOrEqual(0);
              if (overflow === 'reject') expect(overwritten).toBe(0);
              for (const count of [captured, retained, dropped, malformed]) {
                expect(Number.isSafeInteger(count) && count >= 0, `${count}`).toBe(true);
              }
              expect(captured).toBeGreaterThanOrEqual(before.captured);
              expect(dropped).toBeGreaterThanOrEqual(before.dropped);
              expect(malformed).toBeGreaterThanOrEqual(before.malformed);
              const { total, full, stopped, closed, readOnly } = now.refused;
              expect(total).toBe(full + stopped + closed + readOnly);
              expect(dropped).toBe(overwritten + total);
              before = now;
            };
            for (const { call } of sequence) {
              try {
                await call(experiment, attached);
              } catch (error) {
                if (!(error instanceof TelemetryError)) throw error;
              }
              check();
            }
            for (const writer of attached) writer.publish();
            check();
            expect(await experiment.query()).toHaveLength(experiment.counts.retained);
            await experiment.stop();
            check();
            expect(await experiment.query()).toHaveLength(experiment.counts.retained);
            const final = experiment.counts;
            await experiment.cleanup();
            expect(experiment.counts).toEqual(final);
          },
        ),
        { numRuns: 60 },
      );
    });
  }
});
