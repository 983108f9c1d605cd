import { describe, expect, it } from 'vitest';
import { attachExperiment, Crucible, LayoutError } from '../../src/index.js';

describe('an experiment’s memory', () => {
  it('is refused with a LayoutError when it is too small to have a header', () => {
    for (const bytes of [0, 4, 8]) {
      const handle = {
        experimentId: 'x',
        memory: { buffer: new SharedArrayBuffer(bytes) },
        events: 'all',
        onlyRuns: false,
      };
      expect(() => attachExperiment(handle as never), `${bytes} bytes`).toThrow(LayoutError);
    }
  });

  it('has room for as many producers as the option allows', async () => {
    await using crucible = new Crucible();
    for (const producers of [1, 16, 32]) {
      const experiment = crucible.startExperiment({ name: 'crowd', capacity: 1024, producers });
      await experiment.cleanup();
    }
  });
});
