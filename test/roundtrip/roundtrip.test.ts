/** Export, import into an experiment that was started alike, export again: the same file. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/capture/crucible.js';
import type { Experiment } from '../../src/capture/experiment.js';
import { msgpackFormat } from '../../src/export/msgpack/format.js';
import { jsonText } from '../../src/export/text.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { encodeEvents } from '../export/msgpack-support.js';
import { COLUMNS, play, type Step, script } from './support.js';

const IDENTITY = { name: 'round trip', id: 'id-1', condition: 'a,b', tags: ['x', 'y'], columns: COLUMNS };

/** Formats by what a file of them is made with. */
const FORMATS: Readonly<Record<string, (experiment: Experiment, path: string) => Promise<unknown>>> = {
  csv: (experiment, path) => experiment.export('csv', { path }),
  'csv safe': (experiment, path) => experiment.export('csv', { path, csvSafe: true }),
  'csv flat': (experiment, path) => experiment.export('csv', { path, flatten: false }),
  jsonl: (experiment, path) => experiment.export('jsonl', { path }),
  msgpack: (experiment, path) => writeMsgpack(experiment, path, 'rows'),
  'msgpack columns': (experiment, path) => writeMsgpack(experiment, path, 'columns'),
};

async function writeMsgpack(experiment: Experiment, path: string, layout: 'rows' | 'columns'): Promise<void> {
  const encoder = await msgpackFormat.open(null, [], { layout });
  await writeFile(path, await encodeEvents(encoder, await experiment.query()));
}

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'crucible-roundtrip-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Starts an experiment, has it filled, and hands it on. */
async function withExperiment<T>(
  fill: (experiment: Experiment) => unknown,
  use: (experiment: Experiment) => Promise<T>,
): Promise<T> {
  await using crucible = new Crucible();
  const experiment = crucible.startExperiment({ ...IDENTITY, capacity: 1024, producers: 1 });
  await fill(experiment);
  return await use(experiment);
}

const told = (steps: readonly Step[]) => (experiment: Experiment) =>
  play(steps, {
    recorder: (event, bound) => experiment.recorder(event, bound),
    capture: (event, measurements, metadata, _context, timeUs) =>
      experiment.captureAt(timeUs as number, event as string, measurements ?? {}, metadata),
  });

describe.each(Object.keys(FORMATS))('%s', (name) => {
  const format = name.split(' ')[0]!;
  const write = FORMATS[name]!;

  it('comes out byte by byte the same', async () => {
    await fc.assert(
      fc.asyncProperty(script, async (steps) => {
        const [first, second] = [join(dir, `first.${format}`), join(dir, `second.${format}`)];
        const events = await withExperiment(told(steps), async (experiment) => {
          await write(experiment, first);
          return experiment.query();
        });
        const back = await withExperiment(
          async (experiment) => {
            const result = await experiment.importFile(first);
            expect(result).toMatchObject({ rows: events.length, skipped: 0, malformed: 0 });
          },
          async (experiment) => {
            await write(experiment, second);
            return experiment.query();
          },
        );
        expect((await readFile(second)).toString('latin1')).toBe((await readFile(first)).toString('latin1'));
        if (format !== 'csv') expect(back.map(comparable)).toEqual(events.map(comparable));
      }),
      { numRuns: 150 },
    );
  });
});

/** All that a file tells of an event: not its place among those of the experiment it was imported into. */
function comparable({ sequence: _, ...event }: EventRow): unknown {
  return JSON.parse(jsonText(event as unknown as Json));
}
