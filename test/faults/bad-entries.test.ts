/**
 * What somebody else has put into a data folder: pipes, devices, folders in the place of files, documents without end,
 * segments that lie although their checksums are right. Each costs its own line, and nothing waits for it. Runs the
 * built command line: `npm run build` first.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible, listExperiments } from '../../src/index.js';
import { DOCUMENT_BYTES_MAX } from '../../src/storage/disk/document.js';
import { BATCH_SEAL, sealMessage, setSealed } from '../../src/storage/segment/seal.js';
import { messageBounds } from '../storage/segment/support.js';

const ROWS = 3000;
/** Nothing here takes a second; what waits for ever takes longer. */
const TIMEOUT_MS = 60_000;
const LOCK = 'writer-1-0123456789abcdef.lock';

let top: string;
let pattern: string;
const servers: { close(): void }[] = [];

beforeAll(async () => {
  top = mkdtempSync(join(tmpdir(), 'crucible-entries-'));
  pattern = join(top, 'pattern');
  await using crucible = new Crucible({ dir: pattern });
  for (const id of ['bad', 'good']) {
    const columns = { shard: 'dict', n: 'i32' } as const;
    const experiment = crucible.startExperiment({
      name: 'e',
      id,
      events: ['e'],
      columns,
      segmentBytes: 65_536,
    });
    for (let n = 0; n < ROWS; n++) {
      const metadata = { model: 'm', shard: `s${n % 9}`, n, text: 'x'.repeat(n % 20) };
      experiment.capture('e', { durationMs: n }, metadata);
      // So that there are several segments.
      if (n % 1000 === 999) await experiment.flush();
    }
  }
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(top, { recursive: true });
});

let folders = 0;

/** A data folder with a whole experiment, and one that `change` changes. */
async function dirWith(change: (folder: string) => unknown): Promise<string> {
  const dir = join(top, `${++folders}`);
  cpSync(pattern, dir, { recursive: true });
  await change(join(dir, 'bad'));
  return dir;
}

function inPlaceOf(name: string, make: (path: string) => unknown): (folder: string) => unknown {
  return (folder) => {
    rmSync(join(folder, name), { force: true });
    return make(join(folder, name));
  };
}

const pipe = (path: string) => execFileSync('mkfifo', [path]);
const device = (path: string) => symlinkSync('/dev/zero', path);
const circle = (path: string) => symlinkSync(path, path);
const folder = (path: string) => mkdirSync(path);
const socket = (path: string) =>
  new Promise<void>((resolve) => servers.push(createServer().listen(path, resolve)));

function crucible(...argv: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [main, ...argv], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  // Whoever had to be killed was waiting.
  expect(signal).toBeNull();
  return { status, stdout, stderr };
}

describe('a folder in which a document is none', () => {
  it.each<[string, (path: string) => unknown, string]>([
    ['a pipe', pipe, 'it is a pipe'],
    ['a socket', socket, 'it is a socket'],
    ['a device', device, 'it is a device'],
    ['a folder', folder, 'it is a folder'],
    ['links in a circle', circle, 'it is a link that leads nowhere'],
    [
      '3 GB',
      (path) => {
        writeFileSync(path, '{');
        truncateSync(path, 3e9);
      },
      '3000000000 bytes',
    ],
    ['as much as may be', (path) => writeFileSync(path, '['.repeat(DOCUMENT_BYTES_MAX)), 'nested deeper'],
    ['lists in lists', (path) => writeFileSync(path, '['.repeat(1e6) + ']'.repeat(1e6)), 'nested deeper'],
  ])('%s costs its own line', async (_, make, reason) => {
    const dir = await dirWith(inPlaceOf('experiment.json', make));
    const listed = crucible('list', dir);
    expect(listed.status).toBe(0);
    expect(listed.stdout).toMatch(/^ *good +e .* 3,000 /m);
    expect(listed.stdout.replaceAll(/\s+/g, ' ')).toContain(reason);
    const recovered = crucible('recover', dir);
    expect(recovered.status).toBe(1);
    expect(recovered.stdout).toMatch(/^ *good +e .* 3,000 /m);
    expect(crucible('show', 'good', '--dir', dir).status).toBe(0);
    expect(crucible('show', 'bad', '--dir', dir).status).toBe(1);
  });
});

describe('a folder in which a segment is none', () => {
  it.each<[string, (path: string) => unknown]>([
    ['a pipe', pipe],
    ['a socket', socket],
    ['a device', device],
    ['a folder', folder],
    ['links in a circle', circle],
  ])('%s is damage, whose rows are missing and no others', async (_, make) => {
    const dir = await dirWith(inPlaceOf('000002.arrows', make));
    const { segments } = JSON.parse(readFileSync(join(pattern, 'bad', 'experiment.json'), 'utf8'));
    const rows: number = segments[1].rows;
    expect(rows).toBeGreaterThan(0);
    expect(crucible('list', dir).status).toBe(0);
    const recovered = crucible('recover', dir, '--json');
    expect(recovered.status).toBe(1);
    const { experiments } = JSON.parse(recovered.stdout);
    expect(experiments).toMatchObject([
      { id: 'bad', rows: ROWS - rows, damage: [{ file: '000002.arrows', rowsLost: rows }] },
      { id: 'good', rows: ROWS, damage: [] },
    ]);
    const shown = crucible('show', 'bad', '--dir', dir, '--json');
    expect(shown.status).toBe(0);
  });

  it.each<[string, string, (path: string) => unknown]>([
    ['a pipe as a lock', LOCK, pipe],
    ['a folder as a lock', LOCK, folder],
    ['links in a circle as a lock', LOCK, circle],
    ['a pipe as what a compaction left', '.tmp-0123456789abcdef-000001.parquet', pipe],
    ['a folder as what a compaction left', '.tmp-0123456789abcdef-000001.parquet', folder],
    ['a folder as what a document left', '.tmp-0123456789abcdef-experiment.json', folder],
    ['a pipe as a segment that nobody finished', '000099.arrows', pipe],
    ['a folder beside a segment', '000001.parquet', folder],
  ])('%s takes nothing away', async (_, name, make) => {
    const dir = await dirWith(inPlaceOf(name, make));
    expect(crucible('list', dir).status).toBe(0);
    const { stdout } = crucible('recover', dir, '--json');
    expect(JSON.parse(stdout).experiments).toMatchObject([
      { id: 'bad', rows: ROWS, error: null },
      { id: 'good', rows: ROWS, error: null },
    ]);
  });
});

describe('whatever lies in the data folder itself', () => {
  it('is no experiment, and is passed over', async () => {
    const dir = await dirWith(() => {});
    await socket(join(dir, 'socket'));
    pipe(join(dir, 'pipe'));
    device(join(dir, 'device'));
    circle(join(dir, 'circle'));
    renameSync(join(dir, 'bad'), join(dir, 'also good'));
    expect(crucible('list', dir).status).toBe(0);
    const { status, stdout } = crucible('recover', dir, '--json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout).experiments.length).toBe(2);
  });
});

describe('a segment that lies under right checksums', () => {
  const NUMBERS = [0, 1, -1, 1023, 65_535, 2 ** 20, 2 ** 31 - 1, -(2 ** 31)];
  const SEALED = ['seq', 'row', 'rows', 'producer', 'tmin', 'tmax', 'overwritten', 'refused'] as const;
  const lie = fc.oneof(
    fc.record({ what: fc.constant('head' as const), at: fc.nat(), value: fc.constantFrom(...NUMBERS) }),
    fc.record({ what: fc.constant('body' as const), at: fc.nat(), value: fc.constantFrom(...NUMBERS) }),
    fc.record({
      what: fc.constantFrom(...SEALED),
      at: fc.nat(),
      value: fc.constantFrom(0, 1023, 65_535, 2 ** 31, 2 ** 40, 2 ** 53),
    }),
  );

  type Lie = typeof lie extends fc.Arbitrary<infer T> ? T : never;

  /** Changes a number in one of the messages, and makes its checksums right again. */
  function forge(bytes: Buffer, message: number, { what, at, value }: Lie): void {
    const bounds = messageBounds(bytes);
    const i = message % (bounds.length - 2);
    const [start, end] = [bounds[i]!, bounds[i + 1]!];
    const headEnd = start + 8 + bytes.readInt32LE(start + 4);
    const words = { head: [start + 8, headEnd], body: [headEnd, end] } as const;
    if (what !== 'head' && what !== 'body')
      setSealed(bytes.subarray(0, headEnd), headEnd, BATCH_SEAL, what, value);
    else {
      const [from, to] = words[what];
      if (to - from >= 4) bytes.writeInt32LE(value, from + 4 * (at % ((to - from) >> 2)));
    }
    sealMessage(bytes, start, headEnd, end);
  }

  it('is read, or refused with a reason, and the others beside it are whole', {
    timeout: 300_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), lie, fc.boolean(), async (message, change, readOnly) => {
        const dir = await dirWith((folder) => {
          const path = join(folder, '000001.arrows');
          const bytes = readFileSync(path);
          forge(bytes, message, change);
          writeFileSync(path, bytes);
        });
        try {
          expect(await listExperiments(dir)).toMatchObject([{ id: 'bad' }, { id: 'good', rows: ROWS }]);
          await using crucible = new Crucible({ workers: 0 });
          const { experiments } = await crucible.recover(dir, { readOnly });
          expect(experiments).toMatchObject([{ id: 'bad' }, { id: 'good', rows: ROWS, damage: [] }]);
        } finally {
          rmSync(dir, { recursive: true });
        }
      }),
      { numRuns: 60 },
    );
  });
});
