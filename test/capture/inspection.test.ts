/** What console.log shows. */
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { attachExperiment } from '../../src/capture/share.js';
import { START_US, useBench } from './support.js';

const bench = useBench();

describe('console.log', () => {
  it('shows where an experiment stands, and its counts', async () => {
    const experiment = bench.start({ name: 'a', id: 'id-1', condition: 'treatment' });
    experiment.capture('e', {});
    const told = (status: string, counts: string) =>
      `Experiment {\n  name: 'a',\n  id: 'id-1',\n  condition: 'treatment',\n  status: '${status}',\n  counts: { ${counts} }\n}`;
    const whole = 'captured: 1, retained: 1, dropped: 0, malformed: 0';
    expect(inspect(experiment)).toBe(told('running', whole));
    experiment.pause();
    expect(inspect(experiment)).toBe(told('paused', whole));
    await experiment.cleanup();
    // When its memory is gone, too.
    expect(inspect(experiment)).toBe(told('stopped', whole));
    experiment.capture('e', {});
    expect(inspect(experiment)).toContain('dropped: 1');
    expect(inspect(experiment)).toContain('refused: { closed: 1 }');
  });

  it('shows the experiments of a Crucible, a line each', async () => {
    const crucible = bench.crucible();
    bench.start({ name: 'one\u001b[31m', id: 'id-1' }).capture('e', {});
    bench.start({ name: 'two', id: 'id-2' });
    expect(inspect(crucible)).toBe(
      "Crucible {\n  experiments: {\n    'id-1': 'one\\x1B[31m, running: 1 captured, 0 dropped',\n    'id-2': 'two, running: 0 captured, 0 dropped'\n  }\n}",
    );
    await crucible.close();
    expect(inspect(crucible)).toBe('Crucible { closed: true, experiments: {} }');
  });

  it('shows whether a writer of another thread still takes events', async () => {
    const experiment = bench.start({ name: 'a', id: 'id-1' });
    const writer = attachExperiment(experiment.share(), { clock: bench.clock });
    const told = (rest: string) => `ExperimentWriter { name: 'a', experimentId: 'id-1', status: ${rest} }`;
    expect(inspect(writer, { breakLength: 200 })).toBe(told("'running'"));
    writer.close();
    writer.captureAt(START_US, 'e', {});
    expect(inspect(writer, { breakLength: 200 })).toBe(told("'closed', refused: { closed: 1 }"));
    await experiment.stop();
    expect(inspect(writer, { breakLength: 200 })).toContain("'stopped'");
  });

  it('is brief where it stands deep in something else', () => {
    expect(inspect({ a: { b: { c: bench.start() } } })).toContain('c: [Experiment]');
  });
});
