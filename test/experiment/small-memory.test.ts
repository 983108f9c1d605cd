/** In a container of 128 MB the defaults fit. Needs the built files, for its processes. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { useBench } from '../capture/support.js';

const MIB = 2 ** 20;
const bench = useBench();

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-memory-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Runs a program that is told that its container allows so much; `report` is what it prints. */
async function runWithin(limitBytes: number, program: string): Promise<Record<string, number>> {
  const source = `
    process.constrainedMemory = () => ${limitBytes};
    const { Crucible } = await import('./dist/src/index.js');
    const DIR = ${JSON.stringify(dir)};
    let report;
    ${program}
    console.log(JSON.stringify(report));
  `;
  // What Node allows its heap in such a container by itself.
  const args = ['--max-old-space-size=256', '--input-type=module', '--eval', source];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 });
  return JSON.parse(stdout) as Record<string, number>;
}

/** More events than the ring holds, each with more metadata than it has room for. */
const FILL = `
  const crucible = new Crucible({ dir: DIR });
  const experiment = crucible.startExperiment({ name: 'small', ...OPTIONS });
  const chunks = experiment.share().geometry.chunkCount;
  for (let i = 0; i < 150_000; i++) {
    experiment.capture('e', { latencyMs: i }, { model: 'm', id: 'request ' + i, note: 'x'.repeat(250) });
  }
  const { lost } = await experiment.stop();
  // The pages of the program's own file can be given back to the container at any time.
  const { readFileSync } = await import('node:fs');
  const fileKb = /RssFile:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  const peakBytes = (process.resourceUsage().maxRSS - Number(fileKb)) * 1024;
  const { latency } = await experiment.metrics();
  await crucible.close();
  report = { chunks, lost: lost.total, count: latency.count, peakBytes };
`;

describe('a small container', () => {
  it('holds a durable experiment that is started with defaults, and reads it', async () => {
    const { chunks, peakBytes, ...report } = await runWithin(128 * MIB, `const OPTIONS = {}; ${FILL}`);
    expect(report).toEqual({ lost: 0, count: 150_000 });
    expect(chunks).toBeLessThan(32);
    expect(peakBytes).toBeLessThan(128 * MIB);
  });

  it('is left alone by who says how much is wanted', async () => {
    const OPTIONS = JSON.stringify({ capacityBytes: 4 * MIB });
    const { chunks, peakBytes, ...report } = await runWithin(
      128 * MIB,
      `const OPTIONS = ${OPTIONS}; ${FILL}`,
    );
    expect(report).toEqual({ lost: 0, count: 150_000 });
    expect(chunks).toBe(13);
    expect(peakBytes).toBeLessThan(128 * MIB);
  });

  it('is one of less than 16 times what a million rows take', async () => {
    const program = `
      const crucible = new Crucible();
      const chunksOf = (options) =>
        crucible.startExperiment({ name: 'n', events: ['e'], ...options }).share().geometry.chunkCount;
      report = [chunksOf({}), chunksOf({ columns: { a: 'f64', b: 'f64', c: 'bool' } }), chunksOf({ capacity: 2 ** 20 })];
      await crucible.close();
    `;
    expect(await runWithin(8 * 1024 * MIB, program)).toEqual([1024, 1024, 1024]);
    const [bare, wide, asked] = (await runWithin(1024 * MIB, program)) as unknown as number[];
    expect(bare).toBe(219);
    expect(wide).toBeLessThan(bare!);
    expect(asked).toBe(1024);
  });
});

describe('capacityBytes', () => {
  const rowsOf = (capacityBytes: number, columns = {}) =>
    bench.start({ capacity: undefined, capacityBytes, columns, events: ['e'] }).share().geometry.chunkCount *
    CHUNK_ROWS;

  it('holds as many rows as fit with all their metadata', () => {
    const [ten, wide] = [rowsOf(10 * MIB), rowsOf(10 * MIB, { a: 'f64', b: 'dict' })];
    expect(ten).toBe(34 * CHUNK_ROWS);
    expect(wide).toBeLessThan(ten);
  });
});
