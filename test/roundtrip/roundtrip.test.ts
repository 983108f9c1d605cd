/** Export, import into an experiment that was started alike, export again: the same file. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeMulti } from '@msgpack/msgpack';
import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/experiment/crucible.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import { jsonText } from '../../src/formats/text.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { FakeClock } from '../capture/support.js';
import { rounds } from '../support/effort.js';
import { COLUMNS, play, START_US, type Step, script } from './support.js';

const IDENTITY = { name: 'round trip', id: 'id-1', condition: 'a,b', tags: ['x', 'y'], columns: COLUMNS };

const captured = (
  timeUs: number,
  measurements: Record<string, unknown>,
  metadata: Record<string, unknown>,
): Step => ({
  kind: 'capture',
  timeUs,
  event: 'crucible_train.epoch.stop',
  measurements,
  metadata,
});
const recorded: Step = {
  kind: 'record',
  timeUs: START_US,
  event: 'req_llm.request.stop',
  bound: {},
  values: [0, 0, -1, 0, true],
};
/** What came out otherwise once. */
const REGRESSIONS: [Step[]][] = [
  // A declared column without a finite number.
  [[captured(START_US, {}, { turn: Number.POSITIVE_INFINITY }), captured(START_US, {}, {})]],
  // Fields of an event's category that are objects, with a null inside of each.
  [[captured(START_US, { loss: { A: { score: null }, score: '' } }, {}), recorded]],
  [
    [
      captured(START_US + 1, {}, {}),
      captured(START_US, {}, { learning_rate: { A: null, '': 'x' } }),
      recorded,
    ],
  ],
  [[captured(START_US + 1, { loss: 3 }, {}), captured(START_US, { loss: { A: null } }, {})]],
  // A key that is no count of the event's tokens, whatever its name.
  [[captured(START_US, {}, { tokens_prompt: [] })]],
  // Several paths that give one name, and others between it and the same name with a number.
  [
    [{ '': { '': '' } }, { _: 0 }, { '': false }, { __: {} }].map((metadata) =>
      captured(START_US, {}, metadata as Record<string, unknown>),
    ),
  ],
  [
    [{ a_b: 1 }, { a: { b: 2 } }, { a_bC: 3 }, { a_b_: 4 }, { a_b1: 5 }].map((metadata) =>
      captured(START_US, {}, metadata as Record<string, unknown>),
    ),
  ],
];

/** Formats by what a file of them is made with. */
const FORMATS: Readonly<Record<string, (experiment: Experiment, path: string) => Promise<unknown>>> = {
  csv: (experiment, path) => experiment.export('csv', { path }),
  'csv safe': (experiment, path) => experiment.export('csv', { path, csvSafe: true }),
  'csv flat': (experiment, path) => experiment.export('csv', { path, flatten: false }),
  jsonl: (experiment, path) => experiment.export('jsonl', { path }),
  msgpack: (experiment, path) => experiment.export('msgpack', { path }),
  'msgpack columns': (experiment, path) => experiment.export('msgpack', { path, layout: 'columns' }),
  arrow: (experiment, path) => experiment.export('arrow', { path }),
  'arrow stream': (experiment, path) => experiment.export('arrow', { path, layout: 'stream' }),
  'arrow flat': (experiment, path) => experiment.export('arrow', { path, flatten: false }),
  parquet: (experiment, path) => experiment.export('parquet', { path, compression: 'snappy' }),
  'parquet flat': (experiment, path) =>
    experiment.export('parquet', { path, flatten: false, compression: 'snappy' }),
};

/** Of typed formats, the values as others than we read them; but for the place among what has been imported. */
const READERS: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  // What recorders were given is told by the rows, and counted by key only where the rows come from a file.
  'msgpack columns': async (path) => {
    const [head, ...batches] = decodeMulti(await readFile(path));
    const text = JSON.stringify(head, (key, value) => (key === 'malformedKeys' ? undefined : value));
    return [text, ...batches];
  },
  arrow: async (path) => {
    const table = tableFromIPC(await readFile(path));
    return table.schema.fields.map(({ name, type }) => [
      name,
      String(type),
      name === 'sequence' ? null : [...table.getChild(name)!].map(String),
    ]);
  },
  parquet: async (path) => {
    const bytes = await readFile(path);
    const rows = await parquetReadObjects({ file: Uint8Array.from(bytes).buffer });
    return rows.map(({ sequence: _, ...row }) => row);
  },
};
const bytesOf = async (path: string) => (await readFile(path)).toString('latin1');

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
  // Files that tell when an experiment was started tell the same of both.
  await using crucible = new Crucible({ clock: new FakeClock() });
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

  it('comes out the same', async () => {
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
        const read = READERS[name] ?? READERS[format] ?? bytesOf;
        expect(await read(second)).toEqual(await read(first));
        if (format === 'jsonl' || format === 'msgpack')
          expect(back.map(comparable)).toEqual(events.map(comparable));
      }),
      { numRuns: REGRESSIONS.length + rounds(10, 100), examples: REGRESSIONS },
    );
  });
});

it('is seen to differ where a value or an id does', async () => {
  const steps: Step[] = [
    { kind: 'record', timeUs: 1.7e15, event: 'e', bound: { model: 'm' }, values: [1.5, 2, 3, 4, true] },
  ];
  const [first, changed, second] = ['first', 'changed', 'second'].map((name) => join(dir, `${name}.jsonl`));
  await withExperiment(told(steps), (experiment) => experiment.export('jsonl', { path: first! }));
  const text = await readFile(first!, 'utf8');
  for (const [from, to] of [
    ['"latency_ms":1.5', '"latency_ms":1.25'],
    ['-0000000000"', '-0000000007"'],
    ['"model":"m","provider"', '"model":"n","provider"'],
  ] as const) {
    await writeFile(changed!, text.replace(from, to));
    await withExperiment(
      (experiment) => experiment.importFile(changed!),
      (experiment) => experiment.export('jsonl', { path: second! }),
    );
    expect(await bytesOf(second!)).not.toBe(await bytesOf(first!));
    expect(await bytesOf(second!)).toContain(to);
  }
});

/** All that a file tells of an event: not its place among those of the experiment it was imported into. */
function comparable({ sequence: _, ...event }: EventRow): unknown {
  return JSON.parse(jsonText(event as unknown as Json));
}
