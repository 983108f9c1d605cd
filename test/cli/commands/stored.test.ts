/** list, show and recover, with the library itself on folders in every state. Run `npm run build` first. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { loadLibrary } from '../../../src/cli/library.js';
import { Crucible, type Experiment } from '../../../src/index.js';
import { nodeFileSystem } from '../../../src/storage/disk/file-system.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import { countsOf } from '../../support/counts.js';
import { killedExperiment } from '../../support/killed.js';
import { unprivileged } from '../../support/unprivileged.js';
import { runInMemory } from '../support/environment.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-stored-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const run = (...argv: string[]) => runInMemory(argv, commands, { loadLibrary });
const json = async (...argv: string[]) => JSON.parse((await run(...argv, '--json')).stdout);

/** A stopped experiment of 20 events, or one that `during` looks at while it is captured. */
async function capture(name: string, during: (experiment: Experiment) => Promise<void> = async () => {}) {
  await using crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({
    name,
    condition: 'control',
    hypothesis: 'none',
    tags: ['a', 'b'],
    metadata: { seed: 7 },
    sampleSize: 40,
    events: ['e'],
  });
  const recorder = experiment.recorder('e');
  for (let i = 1; i <= 20; i++) recorder.record(i, 0.5);
  await experiment.flush();
  await during(experiment);
  return experiment.id;
}

/** All names and bytes under the folder. */
function fingerprint(): string {
  const hash = createHash('sha256');
  for (const { name, parentPath } of readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .sort((a, b) => (join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1))) {
    hash.update(join(parentPath, name)).update(readFileSync(join(parentPath, name)));
  }
  return hash.digest('hex');
}

describe.each([['list'], ['recover']])('crucible %s', (command) => {
  it('says so when there is no folder, or nothing in it', async () => {
    expect(await run(command, join(dir, 'absent'))).toMatchObject({
      status: 1,
      stdout: '',
      stderr: `error: there is no folder ${join(dir, 'absent')} (ERR_NOT_FOUND)\n`,
    });
    writeFileSync(join(dir, 'file'), '');
    expect(await run(command, join(dir, 'file'))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('is a file'),
    });
    expect(await run(command, dir)).toMatchObject({
      status: 0,
      stdout: `There are no experiments in ${dir}.\n`,
    });
    expect(await json(command, dir)).toMatchObject({ dir, experiments: [] });
  });

  it('takes the folder as an argument, as --dir or from CRUCIBLE_DIR, and asks for one', async () => {
    await capture('mine');
    const { stdout } = await run(command, dir);
    expect(stdout).toContain('mine');
    expect((await run(command, '--dir', dir)).stdout).toBe(stdout);
    const env = { CRUCIBLE_DIR: dir };
    expect((await runInMemory([command], commands, { loadLibrary, env })).stdout).toBe(stdout);
    expect(await run(command)).toMatchObject({ status: 2, stderr: expect.stringContaining('CRUCIBLE_DIR') });
    expect(await run(command, dir, '--dir', dir)).toMatchObject({ status: 2 });
  });
});

it('prints with --json what the help says', async () => {
  const id = await capture('mine');
  for (const argv of [
    ['list', dir],
    ['recover', dir],
    ['show', id, '--dir', dir],
  ]) {
    const document = await json(...argv);
    const said = commands.find(({ name }) => name === argv[0])!.json!.join('\n');
    const keys = [...Object.keys(document), ...Object.keys(document.experiments?.[0] ?? {})];
    expect(keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(said))).toEqual([]);
  }
});

describe('crucible list', () => {
  it('shows what is stopped, running and interrupted, newest first, and changes nothing', async () => {
    const stopped = await capture('stopped');
    const killed = killedExperiment(dir, { rows: 50, name: 'killed', condition: 'treatment' });
    await capture('running', async ({ id }) => {
      const before = fingerprint();
      const { status, stdout, stderr } = await run('list', dir);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const [title, header, ...rows] = stdout.trimEnd().split('\n');
      expect(title).toBe(`3 experiments in ${dir}`);
      expect(header!.trim().split(/ {2,}/)).toEqual([
        ...['id', 'name', 'condition', 'status', 'events', 'dropped', 'started', 'duration', 'size'],
      ]);
      const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      const cells = rows.slice(0, 3).map((row) => row.trim().split(/ {2,}/));
      expect(cells.map((row) => row.slice(0, 7))).toEqual([
        [id, 'running', 'control', `running (pid ${process.pid})`, '20', '0', time],
        [killed, 'killed', 'treatment', 'interrupted', '50', '0', time],
        [stopped, 'stopped', 'control', 'stopped', '20', '0', time],
      ]);
      expect(rows[3]).toContain('1 experiment not stopped before the process ended');
      expect(rows.at(-1)).toBe(`    crucible recover ${dir} --stop`);
      expect(fingerprint()).toBe(before);
    });
  });

  it('gives the same as one JSON document', async () => {
    const id = await capture('mine');
    expect(await json('list', dir)).toMatchObject({
      dir,
      experiments: [
        {
          id,
          folder: join(dir, id),
          experiment: { name: 'mine', condition: 'control', status: 'stopped', metadata: { seed: 7 } },
          error: null,
          heldBy: null,
          interrupted: false,
          rows: 20,
          segments: 1,
          missingSegments: 0,
          dropped: 0,
        },
      ],
    });
  });

  it('fits a terminal, and lists what it cannot read', async () => {
    const id = await capture(`a long name\n${'x'.repeat(100)}`);
    mkdirSync(join(dir, 'broken'));
    writeFileSync(join(dir, 'broken', 'experiment.json'), '{}');
    const { status, stdout } = await runInMemory(['list', dir], commands, { loadLibrary, terminal: true });
    expect(status).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the styles of a terminal
    const lines = stdout.replaceAll(/\u001b\[\d+m/g, '').split('\n');
    expect(lines.filter((line) => line.startsWith('  ') && line.length > 100)).toEqual([]);
    expect(stdout).toContain(`${id}   a long name`);
    expect(stdout).toMatch(/broken +- +.*unreadable/);
    expect(stdout).toMatch(/! broken cannot be read: .*is not a document of\S*\s/);
    expect((await json('list', dir)).experiments[1]).toMatchObject({
      id: 'broken',
      experiment: null,
      error: { code: 'ERR_SEGMENT_CORRUPT', message: expect.any(String) },
    });
  });
});

/** Puts something else in the place of a file. */
function inPlaceOf(name: string, make: (path: string) => void): (folder: string) => void {
  return (folder) => {
    rmSync(join(folder, name), { force: true });
    make(join(folder, name));
  };
}

const folderAs = (name: string) => inPlaceOf(name, (path) => mkdirSync(path));
const pipeAs = (name: string) => inPlaceOf(name, (path) => execFileSync('mkfifo', [path]));
const linkAs = (name: string, target: string) => inPlaceOf(name, (path) => symlinkSync(target, path));

/** Ways for the folder of an experiment to be of no use, and why it is. */
const UNREADABLE: readonly (readonly [string, (folder: string) => void, code: string, reason: string])[] = [
  ['no document', without, 'ERR_NOT_FOUND', 'its experiment.json is missing'],
  ['an empty document', holding(() => ''), 'ERR_SEGMENT_CORRUPT', 'is not JSON'],
  ['half a document', holding((text) => text.slice(0, 200)), 'ERR_SEGMENT_CORRUPT', 'is not JSON'],
  ['bytes', holding(() => '\u0000\u{1f600}\\'), 'ERR_SEGMENT_CORRUPT', 'is not JSON'],
  ['a list', holding(() => '[]'), 'ERR_SEGMENT_CORRUPT', 'is not a document of this library'],
  ['null', holding(() => 'null'), 'ERR_SEGMENT_CORRUPT', 'is not a document of this library'],
  ['another document', holding(() => '{"a":1}'), 'ERR_SEGMENT_CORRUPT', 'is not a document of this library'],
  ['a changed document', holding((text) => text.replace('mine', 'yours')), 'ERR_SEGMENT_CORRUPT', 'checksum'],
  ['a later version', written({ formatVersion: 99 }), 'ERR_LAYOUT_VERSION', 'expected 1, got 99'],
  ['an early version', written({ formatVersion: 0 }), 'ERR_LAYOUT_VERSION', 'expected 1, got 0'],
  ['a version in text', written({ formatVersion: '1' }), 'ERR_SEGMENT_VERSION', 'in formatVersion'],
  ['no fields', written({ experiment: undefined }), 'ERR_SEGMENT_VERSION', 'in experiment'],
  ['no segments', written({ segments: undefined }), 'ERR_SEGMENT_VERSION', 'in segments'],
  ['segments of old', written({ segments: [{ segment: 1 }] }), 'ERR_SEGMENT_VERSION', 'in segments.0.form'],
  ['nothing expired', written({ expired: undefined }), 'ERR_SEGMENT_VERSION', 'in expired'],
  ['no losses', written({ losses: undefined }), 'ERR_SEGMENT_VERSION', 'in losses'],
  ['no time', written({}, { startedAt: 'now' }), 'ERR_SEGMENT_VERSION', 'in experiment.startedAt'],
  ['no name', written({}, { name: undefined }), 'ERR_SEGMENT_VERSION', 'in experiment.name'],
  ['a number as its id', written({}, { id: 7 }), 'ERR_SEGMENT_VERSION', 'in experiment.id'],
  ['no options', written({}, { options: null }), 'ERR_SEGMENT_VERSION', 'in experiment.options'],
  ['a folder as its document', folderAs('experiment.json'), 'ERR_SEGMENT_CORRUPT', 'it is a folder'],
  ['a pipe as its document', pipeAs('experiment.json'), 'ERR_SEGMENT_CORRUPT', 'it is a pipe'],
  [
    'a device as its document',
    linkAs('experiment.json', '/dev/zero'),
    'ERR_SEGMENT_CORRUPT',
    'it is a device',
  ],
  [
    'links in a circle',
    linkAs('experiment.json', 'experiment.json'),
    'ERR_SEGMENT_CORRUPT',
    'a link that leads nowhere',
  ],
  ['a deep document', nested(100_000), 'ERR_SEGMENT_CORRUPT', 'nested deeper'],
];

function without(folder: string): void {
  unlinkSync(join(folder, 'experiment.json'));
}

function holding(change: (text: string) => string): (folder: string) => void {
  return (folder) => {
    const path = join(folder, 'experiment.json');
    writeFileSync(path, change(readFileSync(path, 'utf8')));
  };
}

/** A document whose checksum is right: what another version wrote. */
function written(change: object, fields: object = {}): (folder: string) => void {
  return holding((text) => {
    const { checksum: _, ...document } = JSON.parse(text);
    const changed = { ...document, experiment: { ...document.experiment, ...fields }, ...change };
    return JSON.stringify({ ...changed, checksum: crc32(JSON.stringify(changed)) });
  });
}

/** A document with so many lists in each other; no library would write one, or a checksum for it. */
function nested(levels: number): (folder: string) => void {
  return holding((text) => text.replace('{', `{"deep":${'['.repeat(levels)}${']'.repeat(levels)},`));
}

describe('a folder with experiments that cannot be read', () => {
  it('lists each with its reason beside the others, and recovers the others', async () => {
    const good = await capture('good');
    const ids: string[] = [];
    for (const [, damage] of UNREADABLE) {
      const id = await capture('mine');
      damage(join(dir, id));
      ids.push(id);
    }
    // None of these is an experiment.
    writeFileSync(join(dir, 'file'), '');
    symlinkSync('loop', join(dir, 'loop'));
    symlinkSync('nowhere', join(dir, 'dangling'));
    const before = fingerprint();

    const list = await run('list', dir);
    expect(list).toMatchObject({ status: 0, stderr: '' });
    expect(list.stdout).toContain(`${ids.length + 1} experiments in ${dir}\n`);
    expect(list.stdout).toMatch(new RegExp(`${good} +good +control +stopped +20 `));
    const listed = new Map((await json('list', dir)).experiments.map((one: { id: string }) => [one.id, one]));
    expect(listed.size).toBe(ids.length + 1);
    expect(listed.get(good)).toMatchObject({ rows: 20, error: null });

    const recovered = await run('recover', dir);
    expect(recovered).toMatchObject({
      status: 1,
      stderr: `error: ${ids.length} experiments could not be opened (ERR_DAMAGED)\n`,
    });
    const document = await json('recover', dir);
    expect(document).toMatchObject({ rows: 20 });
    const reports = new Map(document.experiments.map((one: { id: string }) => [one.id, one]));
    expect(reports.get(good)).toMatchObject({ rows: 20, access: 'read', error: null });

    for (const [i, [, , code, reason]] of UNREADABLE.entries()) {
      const id = ids[i]!;
      expect(list.stdout).toMatch(new RegExp(`${id} +- +- +unreadable`));
      // Wrapped as they are for a terminal.
      const notes = list.stdout.replaceAll(/\n {2}(?=\S)/g, ' ');
      const note = notes.split('\n').find((line) => line.startsWith(`! ${id} cannot be read: `));
      expect(note).toContain(reason);
      expect(recovered.stdout).toContain(`${id}: cannot be opened: `);
      const unreadable = { id, error: { code, message: expect.any(String) } };
      expect(listed.get(id)).toMatchObject({ ...unreadable, experiment: null, rows: 0 });
      expect(reports.get(id)).toMatchObject({ ...unreadable, access: 'none', changed: false });
    }
    expect(fingerprint()).toBe(before);
  });

  it.each(UNREADABLE)('is one error where it is asked for: %s', async (_, damage, code, reason) => {
    const good = await capture('good');
    const id = await capture('mine');
    damage(join(dir, id));
    const out = join(dir, 'out.csv');
    for (const argv of [
      ['show', id],
      ['metrics', id],
      ['windows', id, '--size', '1s'],
      ['compare', good, id],
      ['compare', id, good],
      ['export', id, '--out', out],
      ['export', good, id, '--out', out],
    ]) {
      const { status, stdout, stderr } = await run(...argv, '--dir', dir);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^error: [^\n]+\n(hint: [^\n]+\n)?$/);
      expect(stderr.startsWith(`error: ${id} cannot be opened: `)).toBe(true);
      expect(stderr).toContain(reason);
      expect(stderr).toContain(`(${code})\n`);
    }
    expect(readdirSync(dir).sort()).toEqual([good, id].sort());
  });

  it('is said to be unreadable where it may not be looked into', async () => {
    await unprivileged([dir], async () => {
      const good = await capture('good');
      mkdirSync(join(dir, 'locked'), { mode: 0 });
      expect((await run('list', dir)).stdout).toMatch(/! locked cannot be read: .*EACCES/);
      const recovered = await json('recover', dir);
      expect(recovered.experiments.map(({ id, access }: Record<string, string>) => [id, access])).toEqual(
        [
          [good, 'read'],
          ['locked', 'none'],
        ].sort(),
      );
      expect(await run('show', 'locked', '--dir', dir)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(
          /^error: .*\(EACCES\); .* \(ERR_STORAGE_IO\)\nhint: crucible help ERR_STORAGE_IO .*\n$/,
        ),
      });
    });
  });

  it('is not taken for one where a file or nothing is expected to be its folder', async () => {
    writeFileSync(join(dir, 'file'), '');
    symlinkSync('loop', join(dir, 'loop'));
    for (const name of ['file', 'loop']) {
      expect(await run('show', name, '--dir', dir)).toMatchObject({
        status: 1,
        stderr: `error: ${join(dir, name)} is no experiment (ERR_NOT_FOUND)\n`,
      });
    }
    expect(await run('list', join(dir, 'loop'))).toMatchObject({
      status: 1,
      stderr: `error: cannot look into ${join(dir, 'loop')}: ELOOP (ERR_STORAGE_IO)\n`,
    });
  });
});

describe('crucible show', () => {
  it('shows everything about one experiment, by the beginning of its id', async () => {
    const id = await capture('mine');
    const { status, stdout, stderr } = await run('show', id.slice(0, 8), '--dir', dir);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    for (const fact of [
      /^mine\n/,
      /\n {2}id +[0-9a-f]{16}\n/,
      /\n {2}condition +control\n/,
      /\n {2}hypothesis +none\n/,
      /\n {2}status +stopped\n/,
      /\n {2}stopped +\d{4}-.*Z, after \d/,
      /\n {2}sample size +40\n/,
      /\n {2}tags +a, b\n/,
      /\n {2}seed +7\n/,
      /\n {2}captured +20\n/,
      /\n {2}e +20 +10\.50 /,
      /\n {2}segments +1, \d/,
      /\n {2}damage +none\n/,
      /\n {2}flushIntervalMs +200\n/,
    ]) {
      expect(stdout).toMatch(fact);
    }
  });

  it('gives the same as one JSON document', async () => {
    const id = await capture('mine');
    expect(await json('show', id, '--dir', dir)).toMatchObject({
      id,
      name: 'mine',
      hypothesis: 'none',
      status: 'stopped',
      pauseCount: 0,
      counts: countsOf({ captured: 20 }),
      interrupted: false,
      heldBy: null,
      options: { fsync: 'interval', flushIntervalMs: 200 },
      storage: { folder: join(dir, id), rows: 20, segments: 1, damage: [] },
      streaming: { count: 20, latency: { mean: 10.5 } },
    });
  });

  it('shows one that is being captured, and one whose process was killed, and changes nothing', async () => {
    await capture('running', async ({ id }) => {
      const { stdout } = await run('show', id, '--dir', dir);
      expect(stdout).toMatch(new RegExp(`status +running \\(pid ${process.pid}\\)\n`));
      expect(stdout).toMatch(/captured +20\n/);
    });
    const killed = killedExperiment(dir, { rows: 10 });
    const before = fingerprint();
    const { stdout } = await run('show', killed, '--dir', dir);
    expect(stdout).toMatch(/status +interrupted\n +started .*\n +last seen +\d/);
    const inList = (await json('list', '--dir', dir)).experiments.find(
      ({ id }: { id: string }) => id === killed,
    );
    const shown = await json('show', killed, '--dir', dir);
    expect(shown).toMatchObject({ stoppedAt: null, lastSeenAt: inList.lastSeenAt });
    expect(fingerprint()).toBe(before);
    const inRecovery = (await json('recover', join(dir, killed))).experiments[0];
    for (const { status } of [inList, shown, inRecovery]) expect(status).toBe('interrupted');
  });

  it('says where to look for an id that is not there, or not the only one', async () => {
    for (const id of ['aa1', 'aa2']) mkdirSync(join(dir, id));
    expect(await run('show', 'b', '--dir', dir)).toMatchObject({
      status: 1,
      stderr: `error: no experiment "b" in ${dir} (ERR_NOT_FOUND)\nhint: crucible list ${dir} shows what there is\n`,
    });
    expect((await run('show', 'aa', '--dir', dir)).stderr).toContain('2 experiments begin with "aa"');
    expect((await run('show', 'aa1', '--dir', dir)).stderr).toContain('is no experiment');
    expect(await run('show', 'aa1')).toMatchObject({ status: 2 });
  });

  it('may be named by its name, where no other has it', async () => {
    const id = await capture('mine');
    const others = [await capture('other'), await capture('other')];
    expect((await run('show', 'mine', '--dir', dir)).stdout).toContain(id);
    const { status, stderr } = await run('show', 'other', '--dir', dir);
    expect(status).toBe(1);
    expect(stderr).toContain('2 experiments are named "other": ');
    for (const other of others) expect(stderr).toContain(other);
  });

  it('gives the reason when it cannot be opened', async () => {
    const id = await capture('mine');
    const path = join(dir, id, 'experiment.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"formatVersion": 1', '"formatVersion": 99'));
    expect(await run('show', id, '--dir', dir)).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^error: .*expected 1, got 99 .*\nhint: .*another version/),
    });
  });
});

describe('crucible recover', () => {
  it('repairs what was interrupted, which can go on, and with --stop ends it', async () => {
    await capture('stopped');
    const killed = killedExperiment(dir, { rows: 100 });
    const segment = join(dir, killed, '000001.arrows');
    // As if the process had died in the midst of writing a batch.
    const { offset } = scanSegment(nodeFileSystem, segment).entries[0]!;
    const bytes = readFileSync(segment);
    writeFileSync(segment, Buffer.concat([bytes, bytes.subarray(offset, offset + 500)]));

    const { status, stdout, stderr } = await run('recover', dir);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^✓ 120 events in 2 experiments, /);
    const row = (status: string) =>
      new RegExp(`${killed} +killed +${status} +100 +0 +1 +\\S+ KiB +\\S+Z +\\S+Z\n`);
    expect(stdout).toMatch(row('interrupted'));
    expect(stdout).toContain(
      `${killed}: not stopped when its process ended; crucible.recover() lets it go on`,
    );
    expect(stdout).toContain('500 B at the end of 000001.arrows cut off');
    expect(stdout).not.toContain('nothing to do');

    const recovered = fingerprint();
    const again = await run('recover', dir);
    expect(again).toMatchObject({ status: 0, stderr: '' });
    expect(again.stdout).toMatch(row('interrupted'));
    expect(again.stdout).toContain('There was nothing to do; nothing was changed.\n');
    expect(fingerprint()).toBe(recovered);

    const stopped = await run('recover', dir, '--stop');
    expect(stopped).toMatchObject({ status: 0, stderr: '' });
    expect(stopped.stdout).toMatch(row('stopped'));
    expect(stopped.stdout).toContain(`${killed}: not stopped when its process ended; stopped now`);
    const ended = fingerprint();
    const last = await run('recover', dir, '--stop');
    expect(last.stdout).toContain('There was nothing to do; nothing was changed.\n');
    expect(last.stdout).not.toContain(`${killed}: `);
    expect(fingerprint()).toBe(ended);
    const { experiments } = await json('list', dir);
    expect(experiments.map(({ interrupted }: { interrupted: boolean }) => interrupted)).toEqual([
      false,
      false,
    ]);
  });

  it('leaves what somebody captures as it is, and says who', async () => {
    await capture('running', async (experiment) => {
      const { status, stdout } = await run('recover', dir);
      expect(status).toBe(0);
      expect(stdout).toContain(`${experiment.id}: process ${process.pid} on `);
      expect(stdout).toContain('is capturing it; left as it is');
      expect((await json('recover', dir)).experiments[0]).toMatchObject({
        status: 'running',
        heldBy: { pid: process.pid },
        changed: false,
      });
      experiment.recorder('e').record(1);
      expect(experiment.counts.captured).toBe(21);
    });
  });

  it('fails for what is damaged, and recovers the rest', async () => {
    const damaged = await capture('damaged');
    const segment = join(dir, damaged, '000001.arrows');
    const bytes = readFileSync(segment);
    bytes[bytes.length - 20]! ^= 1;
    writeFileSync(segment, bytes);
    const lost = await capture('lost');
    unlinkSync(join(dir, lost, '000001.arrows'));
    const unlisted = await capture('unlisted');
    unlinkSync(join(dir, unlisted, 'experiment.json'));
    const killed = killedExperiment(dir, { rows: 10 });

    const { status, stdout, stderr } = await run('recover', dir, '--stop');
    expect(status).toBe(1);
    expect(stderr).toBe(
      'error: 1 experiment could not be opened; 2 experiments damaged, 40 events lost (ERR_DAMAGED)\n',
    );
    expect(stdout).toMatch(/^✗ 10 events in 4 experiments, .*; not everything could be read\n/);
    expect(stdout).toMatch(
      new RegExp(`${damaged}: 000001.arrows at byte [\\d,]+: .*checksum; 20 events lost`),
    );
    expect(stdout).toContain(`${lost}: 000001.arrows: the file is missing; 20 events lost`);
    expect(stdout).toContain(`${unlisted}: cannot be opened: its experiment.json is missing`);
    expect(stdout).toContain(`${killed}: not stopped when its process ended; stopped now`);

    const document = await json('recover', dir);
    const found = new Map(document.experiments.map((one: { id: string }) => [one.id, one]));
    expect(found.get(damaged)).toMatchObject({
      damage: [{ file: '000001.arrows', rowsLost: 20 }],
      error: null,
    });
    expect(found.get(unlisted)).toMatchObject({ access: 'none', error: { code: 'ERR_NOT_FOUND' } });
    expect(found.get(killed)).toMatchObject({ rows: 10, status: 'stopped', changed: false });
  });

  it('shows a bar at a terminal, and ends when it is told to', async () => {
    await capture('mine');
    const { stderr } = await runInMemory(['recover', dir], commands, { loadLibrary, terminal: true });
    expect(stderr).toContain('recover  ');
    expect(stderr.endsWith('\u001b[?25h')).toBe(true);
    const signal = AbortSignal.abort();
    expect(await runInMemory(['recover', dir], commands, { loadLibrary, signal })).toMatchObject({
      status: 1,
      stderr: 'error: interrupted\n',
    });
  });
});
