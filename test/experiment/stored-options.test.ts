/** Whatever is done to an experiment that is on disk, what it was started with stays there. Needs the built files. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment } from '../../src/index.js';
import { killedExperiment } from '../support/killed.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-options-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const OPTIONS = { capacity: 65_536, producers: 4, overflow: 'reject', segmentBytes: 131_072 } as const;

function stored(id: string): Record<string, unknown> {
  const { experiment } = JSON.parse(readFileSync(join(dir, id, 'experiment.json'), 'utf8'));
  return experiment.options;
}

async function stopped(): Promise<string> {
  await using crucible = new Crucible({ dir, workers: 0 });
  const experiment = crucible.startExperiment({ name: 'e', ...OPTIONS });
  experiment.capture('a', {});
  return experiment.id;
}

const archived = (experiment: Experiment) =>
  experiment.archive({ destination: 'local', path: join(dir, 'archive.jsonl') });

const DONE: Readonly<Record<string, (crucible: Crucible, id: string) => Promise<unknown>>> = {
  archived: async (crucible, id) => {
    await crucible.recover();
    await archived(crucible.experiment(id));
  },
  compacted: async (crucible, id) => {
    await crucible.recover();
    await crucible.experiment(id).compact();
  },
  'ended by recover': (crucible) => crucible.recover(undefined, { stop: true }),
  'left for later, and archived': async (crucible, id) => {
    await crucible.recover(undefined, { resume: false });
    await archived(crucible.experiment(id));
  },
  'reopened and stopped': async (crucible, id) => {
    await crucible.recover(undefined, { reopen: [id] });
    await crucible.experiment(id).stop();
  },
};

describe.each([
  ['stopped', stopped],
  ['interrupted', async () => killedExperiment(dir, { rows: 10 })],
])('the options of an experiment that was %s', (_, make) => {
  it.each(Object.entries(DONE))('stay when it is %s', async (_, done) => {
    const id = await make();
    const before = stored(id);
    await using crucible = new Crucible({ dir, workers: 0 });
    await done(crucible, id);
    await crucible.close();
    expect(stored(id)).toEqual(before);
  });
});

describe('an experiment that was archived', () => {
  it('has, once it is reopened, the room that it had', async () => {
    const id = await stopped();
    await using crucible = new Crucible({ dir, workers: 0 });
    await DONE.archived!(crucible, id);
    await crucible.recover(undefined, { reopen: [id] });
    const experiment = crucible.experiment(id);
    for (let i = 0; i < 20_000; i++) experiment.capture('a', {});
    expect(experiment.counts).toMatchObject({ captured: 20_001, dropped: 0 });
  });
});
