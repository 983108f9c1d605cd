import { describe, expect, it } from 'vitest';
import { attachExperiment, Crucible } from '../../src/index.js';

describe('stopping an experiment that other writers are attached to', () => {
  it('resolves for whoever asks, only when their rows are in', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'twice', capacity: 4096 });
    attachExperiment(experiment.share()).recorder('e').recordAt(1, 1);
    const first = experiment.stop();
    await experiment.stop();
    expect(experiment.counts.captured).toBe(1);
    await first;
  });

  it('counts their rows although it is cleaned up meanwhile', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'cleanup', capacity: 4096 });
    attachExperiment(experiment.share()).recorder('e').recordAt(1, 1);
    const first = experiment.stop();
    await experiment.cleanup();
    await first;
    expect(experiment.counts.captured).toBe(1);
  });
});

describe('a thread that writes many experiments', () => {
  it('is warned of nothing', async () => {
    await using crucible = new Crucible();
    const warnings: string[] = [];
    const note = (warning: Error) => warnings.push(warning.message);
    process.on('warning', note);
    const writers = Array.from({ length: 12 }, (_, i) =>
      attachExperiment(crucible.startExperiment({ name: `${i}`, capacity: 1024 }).share()),
    );
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', note);
    for (const writer of writers) writer.close();
    expect(warnings).toEqual([]);
  });
});
