/** Little address space, as shared hosts and clusters set it: it works, or an error says what helps. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';

const CHILD = new URL('../support/little-space.mjs', import.meta.url).pathname;
const ROWS = 40_000;

let folder: string;
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly status: number | null;
  readonly steps: Record<string, unknown>;
  readonly stderr: string;
}

/** What came of each step, in a process with so much address space. */
function run(limitMb: number, flags: string, workers: number, durable: boolean): Outcome {
  folder = mkdtempSync(join(tmpdir(), 'crucible-space-'));
  const dir = durable ? join(folder, 'data') : '';
  const command = `ulimit -c 0; ulimit -v ${limitMb * 1024}; exec ${process.execPath} ${flags} ${CHILD} ${ROWS} ${workers} ${folder} ${dir}`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
  const lines = stdout.trim().split('\n').filter(Boolean);
  return { status, steps: Object.fromEntries(lines.map((line) => JSON.parse(line))), stderr };
}

describe('with 4 GiB of address space', () => {
  it.each([
    ['in memory', 0, false],
    ['in memory, with a thread', 1, false],
    ['on disk, with a thread', 1, true],
  ])('everything works without the trap handler: %s', (_, workers, durable) => {
    const { status, steps, stderr } = run(4096, '--disable-wasm-trap-handler', workers, durable);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(steps).toMatchObject({ start: 'ok', metrics: ROWS, export: ROWS, close: 'ok' });
  });

  it('with the trap handler, too, or the error names the option', () => {
    const { status, steps } = run(4096, '', 0, false);
    expect(status).toBe(0);
    if (steps.start !== 'ok') {
      expect(steps.start).toMatchObject({
        code: 'ERR_MEMORY_RESERVE',
        message: expect.stringMatching(/ulimit -v.*smaller capacity.*node --disable-wasm-trap-handler/),
      });
    }
  });
});

describe('with less, where V8 would end the process', () => {
  const limits = [1500, 2000, 3000];
  it.each(limits)('%i MiB: whatever does not work is a MemoryError', (limitMb) => {
    for (const [workers, durable] of [
      [0, false],
      [1, false],
      [1, true],
    ] as const) {
      const { status, steps, stderr } = run(limitMb, '--disable-wasm-trap-handler', workers, durable);
      expect({ status, stderr }, `${workers} workers, durable: ${durable}`).toEqual({
        status: 0,
        stderr: '',
      });
      for (const outcome of Object.values(steps)) {
        if (typeof outcome === 'object') expect(outcome).toMatchObject({ code: 'ERR_MEMORY_RESERVE' });
      }
      // An experiment that could not be started leaves nothing behind.
      if (steps.start !== 'ok') expect(existsSync(join(folder, 'data'))).toBe(false);
      rmSync(folder, { recursive: true });
    }
  });
});
