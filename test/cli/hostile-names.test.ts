/**
 * Every command, of experiments, folders and files whose names somebody else has chosen to deceive or to overflow: what
 * cannot be seen is shown, JSON is read back as it was, and 60 columns say what they leave out. Needs the built files.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands/index.js';
import { loadLibrary } from '../../src/cli/library.js';
import { Crucible } from '../../src/index.js';
import { readDocument, writeDocument } from '../../src/storage/disk/document.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { runInMemory } from './support/environment.js';
import { unseenIn } from './support/unseen.js';

const NAMES: Readonly<Record<string, string>> = {
  control: 'a\u001b[2J\u001b]0;title\u0007\u0008b',
  newlines: 'first\nsecond\r\nthird\u2028fourth',
  direction: '\u202egnp.exe\u2066',
  unseen: 'zero\u200bwidth\ufeff\u00ad',
  long: 'long '.repeat(38),
  wide: 'ワイド 漢字 한글',
  emoji: '👩‍👩‍👧‍👦🇩🇪👍🏽',
};
const T0_US = 1_767_225_600_000_000;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-hostile-'));
  for (const [id, name] of Object.entries(NAMES)) {
    const crucible = new Crucible({ dir: join(folder, name) });
    for (const arm of [id, `${id}-2`]) {
      const experiment = crucible.startExperiment({
        ...{
          id: arm,
          name: `${name}${arm === id ? '' : 2}`,
          condition: name,
          hypothesis: name,
          tags: [name],
        },
        ...{ metadata: { [name]: name }, capacity: 2048 },
      });
      for (let i = 0; i < 100; i++) {
        const metadata = { model: name, provider: name, success: i % 5 > 0, [name]: name };
        experiment.captureAt(T0_US + i * 1e5, name, { latencyMs: 100 + i }, metadata);
      }
    }
    await crucible.close();
    const own = join(folder, name, id);
    writeDocument(nodeFileSystem, own, { ...readDocument(nodeFileSystem, own), libraryVersion: name });
    const studies = new Crucible({ dir: join(folder, 'studies', name), workers: 0 });
    const study = studies.study({
      name,
      hypothesis: name,
      arms: { [name]: { metadata: { [name]: name } }, [`${name}2`]: {} },
      capacity: 2048,
      events: [name],
      plan: { outcomes: [{ of: 'latencyMs', name }], unitsPerArm: 10 },
    });
    for (let i = 0; i < 100; i++) {
      const arm = study.assign(`u${i}`);
      study.experiment(arm).capture(name, { latencyMs: 100 + (i % 7) }, { userId: `u${i}` });
    }
    await studies.close();
    writeFileSync(
      join(folder, `${name}.scores.jsonl`),
      JSON.stringify({ sessionId: 's', name, value: 1, by: name }),
    );
    writeFileSync(
      join(folder, `${name}.prices.json`),
      JSON.stringify({ version: 'later', models: { [name]: [1, 2] } }),
    );
    writeFileSync(join(folder, `${name}.csv`), `latency_ms,model\n1,${JSON.stringify(name)}\n`);
  }
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

const run = (argv: readonly string[], terminal: boolean | number = false) =>
  runInMemory(argv, commands, { loadLibrary, terminal });

/** Without line ends, and without what we style and draw with. */
const shown = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what a sequence begins with
  text.replace(/\u001b\[(?:\?25[lh]|[JK]|\d+A|\d+m)\r?|\n/g, '');

interface Case {
  readonly argv: (name: string, id: string) => string[];
  readonly status?: number;
  /** Headers of its table. */
  readonly columns?: readonly string[];
  /** Whether the name stands in its JSON. */
  readonly named?: boolean;
}

const dirOf = (name: string) => ['--dir', join(folder, name)];
const studyDirOf = (name: string) => ['--dir', join(folder, 'studies', name)];
const out = (name: string, ending: string) => [
  '--out',
  join(folder, `out ${name.slice(0, 100)}`, `x.${ending}`),
];
const CASES: Readonly<Record<string, Case>> = {
  list: {
    argv: (name) => ['list', join(folder, name)],
    columns: ['id', 'name', 'condition', 'status', 'events', 'dropped', 'started', 'duration', 'size'],
    named: true,
  },
  show: {
    argv: (name, id) => ['show', id, ...dirOf(name)],
    columns: ['event', 'count', 'mean, ms', 'p50', 'p95', 'p99', 'success, %', 'cost, USD'],
    named: true,
  },
  metrics: { argv: (name, id) => ['metrics', id, ...dirOf(name)], named: true },
  'metrics by model': {
    argv: (name, id) => ['metrics', id, ...dirOf(name), '--by', 'model'],
    columns: ['model', 'events', 'mean, ms', 'p50', 'p95', 'p99', 'success, %', '95 % interval'],
    named: true,
  },
  windows: {
    argv: (name, id) => ['windows', id, ...dirOf(name), '--size', '1s'],
    columns: ['events', 'mean, ms', 'p50', 'p95', 'p99', 'success, %'],
    named: true,
  },
  compare: {
    argv: (name, id) => ['compare', id, `${id}-2`, ...dirOf(name)],
    columns: [
      'difference',
      '95 % interval',
      'change, %',
      'result',
      'values',
      'effect size',
      'adjusted',
      'test',
    ],
    named: true,
  },
  'study list': {
    argv: (name) => ['study', 'list', ...studyDirOf(name)],
    columns: ['study', 'arms', 'unit', 'experiments', 'looks'],
    named: true,
  },
  'study show': {
    argv: (name) => ['study', 'show', name, ...studyDirOf(name)],
    columns: ['arm', 'weight', 'experiments', 'processes'],
    named: true,
  },
  gate: { argv: (name) => ['gate', name, ...studyDirOf(name)], status: 3, named: true },
  score: {
    argv: (name, id) => [
      ...['score', id, ...dirOf(name), '--file', join(folder, `${name}.scores.jsonl`)],
      ...['--key', 'sessionId'],
    ],
    columns: ['score', 'written', 'events that have one'],
    named: true,
  },
  'scores of judges': { argv: (name, id) => ['score', id, ...dirOf(name)], named: true },
  'plan from what there is not': {
    argv: (name, id) => ['plan', '--from', id, ...dirOf(name), '--metric', name, '--effect', '1'],
    status: 2,
  },
  reprice: {
    argv: (name, id) => ['reprice', id, ...dirOf(name), '--prices', join(folder, `${name}.prices.json`)],
  },
  report: {
    argv: (name, id) => ['report', id, `${id}-2`, ...dirOf(name), '--md', join(folder, `${id}.md`)],
  },
  watch: { argv: (name, id) => ['watch', id, ...dirOf(name), '--looks', '1'] },
  recover: { argv: (name) => ['recover', join(folder, name)], named: true },
  export: { argv: (name, id) => ['export', id, ...dirOf(name), ...out(name, 'csv')], named: true },
  archive: { argv: (name, id) => ['archive', `${id}-2`, ...dirOf(name), ...out(name, 'jsonl')] },
  compact: { argv: (name, id) => ['compact', `${id}-2`, ...dirOf(name)] },
  import: { argv: (name) => ['import', join(folder, `${name}.csv`)], named: true },
  'delete, to be confirmed': { argv: (name, id) => ['delete', id, ...dirOf(name)], status: 2, named: true },
  'an experiment that is not there': { argv: (name) => ['show', `no ${name}`, '--dir', folder], status: 1 },
  'a folder that is not there': { argv: (name) => ['list', join(folder, `no ${name}`)], status: 1 },
  'a file that is not there': { argv: (name) => ['import', join(folder, `no ${name}`)], status: 1 },
  'a command that there is not': { argv: (name) => [name], status: 2 },
  'an option that there is not': { argv: (name) => ['list', `--${name}`], status: 2 },
  'a value that there is not': {
    argv: (name, id) => ['export', id, ...dirOf(name), '--format', name],
    status: 2,
  },
  'a test that is none': { argv: (name, id) => ['metrics', id, ...dirOf(name), '--where', name], status: 2 },
};

it('no command is forgotten', () => {
  const tried = new Set(Object.values(CASES).map(({ argv }) => argv('', '')[0]));
  const others = commands.map(({ name }) => name).filter((name) => !tried.has(name));
  // The names of demo are its own, help has none, and serve goes on until it is ended.
  expect(others.toSorted()).toEqual(['demo', 'help', 'serve']);
});

describe.each(Object.entries(CASES))('%s', (_, { argv, status = 0, columns = [], named = false }) => {
  it.each(Object.entries(NAMES))('%s', async (id, name) => {
    for (const terminal of [false, 60, 100]) {
      const { stdout, stderr, ...ended } = await run(argv(name, id), terminal);
      expect({ ...ended, stderr }).toMatchObject({ status: expect.any(Number) });
      expect(unseenIn(shown(stdout + stderr))).toEqual([]);
      for (const column of columns) expect(stdout).toContain(column);
    }
    const { stdout, stderr, ...ended } = await run([...argv(name, id), '--json']);
    const isTold = status === 0 || status === 3;
    expect([ended.status, stderr]).toEqual([status, isTold ? '' : stderr]);
    const text = isTold ? stdout : stderr;
    expect(unseenIn(text.replaceAll('\n', ''))).toEqual([]);
    const document = JSON.parse(text);
    if (named) expect(JSON.stringify(document)).toContain(JSON.stringify(name).slice(1, -1));
  });
});

it('delete --yes deletes the one that is named, whatever its folder is called', async () => {
  for (const [id, name] of Object.entries(NAMES)) {
    const { status, stdout, stderr } = await run(['delete', id, '--yes', ...dirOf(name)], 60);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(unseenIn(shown(stdout))).toEqual([]);
    expect(readdirSync(join(folder, name))).toEqual([`${id}-2`]);
  }
});
