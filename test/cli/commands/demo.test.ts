import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demo } from '../../../src/cli/commands/demo.js';
import { runInMemory } from '../support/environment.js';
import { fakeLibrary } from '../support/fake-library.js';

let out: string;
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'crucible-demo-'));
});
afterAll(() => rm(out, { recursive: true }));

// At this speed the server answers at once: what is tested is the flow, not the time it takes.
const arguments_ = (...more: string[]) => [
  ...['demo', '--requests', '20', '--speed', '1000000', '--out', join(out, 'new')],
  ...more,
];

describe('crucible demo', () => {
  it('tells what will happen, then metrics, comparison, verdict and files', async () => {
    const { status, stdout, stderr, library } = await runInMemory(arguments_(), [demo]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const order = [
      '20 questions',
      'seed 1',
      'Metrics',
      'Correct answers',
      'hedged against control',
      '→ ',
      'Files',
    ];
    expect(order.map((text) => stdout.indexOf(text))).toEqual(
      order.map((text) => stdout.indexOf(text)).toSorted((a, b) => a - b),
    );
    expect(order.filter((text) => !stdout.includes(text))).toEqual([]);
    expect(stdout).toMatch(/requests +decided +20 +20\n/);
    expect(stdout).toContain(join(out, 'new', 'demo-hedged-1.jsonl'));
    expect(library.calls).toEqual([
      'open',
      'stop control',
      'stop hedged',
      'export csv',
      'export jsonl',
      'close',
    ]);
    expect(stdout).not.toContain('kill');
    expect(library.rows.get('id-control')!.every(({ event }) => event.startsWith('req_llm.'))).toBe(true);
  });

  it('prints one JSON document, and nothing on stderr', async () => {
    const { stdout, stderr } = await runInMemory(
      arguments_(
        '--json',
        '--treatment',
        'ensemble',
        '--seed',
        '7',
        '--format',
        'jsonl',
        '--format',
        'jsonl',
      ),
      [demo],
    );
    expect(stderr).toBe('');
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      strategy: 'ensemble',
      seed: 7,
      requests: 20,
      interrupted: false,
      control: { finished: 20 },
      treatment: { finished: 20, extraRequests: 40 },
      kept: null,
      comparison: { baseline: { name: 'control' }, treatments: [{ name: 'ensemble' }] },
    });
    expect(document.verdicts).toHaveLength(1);
    expect(document.files.map(({ path }: { path: string }) => path)).toEqual([
      join(out, 'new', 'demo-ensemble-7.jsonl'),
    ]);
  });

  it('keeps both experiments in a folder, and says how to lose them and get them back', async () => {
    const { stdout, library } = await runInMemory(arguments_('--dir', 'my data'), [demo]);
    expect(library.calls[0]).toBe('open my data');
    expect(stdout).toContain("kill -9 4711\n    crucible recover 'my data'\n");
    expect(stdout).toContain("Kept in my data:\n  control    crucible show id-control --dir 'my data'\n");
    expect(stdout).toContain("\n  together   crucible compare id-control id-hedged --dir 'my data'\n");
    const { stdout: json } = await runInMemory(arguments_('--json'), [demo], { env: { CRUCIBLE_DIR: 'd' } });
    const { kept, control } = JSON.parse(json);
    expect(kept.dir).toBe('d');
    expect(kept.experiments).toMatchObject([
      { id: 'id-control', name: 'control', folder: 'd/id-control', captured: 2 * control.finished },
      { name: 'hedged' },
    ]);
  });

  it('stopped early, reports what there is', async () => {
    const stop = new AbortController();
    let finished = 0;
    const { status, stdout } = await runInMemory(arguments_('--requests', '2000'), [demo], {
      signal: stop.signal,
      onEmit: (event) => {
        if (event === 'hedging.request.stop' && ++finished === 30) stop.abort();
      },
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(/stopped early: \d+ and \d+ of 2,000 questions finished/);
    expect(stdout).toContain('hedged against control');
    expect(stdout).toContain('Files');
  });

  it('stopped before anything was finished, says so and exports nothing', async () => {
    const { status, stdout, library } = await runInMemory(arguments_(), [demo], {
      signal: AbortSignal.abort(),
    });
    expect(status).toBe(0);
    expect(stdout).toContain('stopped early: 0 and 0 of 20 questions');
    expect(stdout).not.toContain('Files');
    expect(library.calls).toEqual(['open', 'stop control', 'stop hedged', 'close']);
  });

  it('closes the library when something fails', async () => {
    const library = fakeLibrary();
    const open: typeof library.open = (dir) => ({
      ...library.open(dir),
      exportMultiple: () => Promise.reject(new Error('the disk is full')),
    });
    const { status, stderr } = await runInMemory(
      ['demo', '--requests', '2', '--speed', '1000000', '--out', out],
      [demo],
      { loadLibrary: async () => ({ ...library, open }) },
    );
    expect(status).toBe(1);
    expect(stderr).toBe('error: the disk is full\n');
    expect(library.calls.at(-1)).toBe('close');
  });
});
