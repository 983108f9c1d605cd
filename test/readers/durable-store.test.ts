/** One view of memory and disk: an experiment that is written to disk reads as one that is in memory only. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';
import { DurableStore } from '../../src/readers/durable-store.js';
import type { Batch } from '../../src/ring/batch.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { scanSegment } from '../../src/storage/segment/scan.js';
import { SOURCE } from '../support/rows.js';
import { modelRows, SpoolRig } from '../support/spooling.js';

let dir: string;
let crucible: Crucible;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-view-'));
  crucible = new Crucible();
});
afterEach(async () => {
  await crucible.close().catch(() => {});
  rmSync(dir, { recursive: true, force: true });
});

const COLUMNS = { label: 'dict', size: 'i32', cached: 'bool' } as const;

function start(options: Partial<ExperimentOptions> = {}): Experiment {
  return crucible.startExperiment({
    name: 'view',
    dir,
    events: 'all',
    columns: COLUMNS,
    capacity: 8192,
    flushIntervalMs: 5,
    segmentBytes: 65_536,
    blockMs: 10_000,
    ...options,
  });
}

/** Captures the same events for each of the experiments, in several ways. */
function feed(experiments: readonly Experiment[], from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const timeUs = 1.7e15 + i * 1000 - (i % 5) * 1500;
    for (const experiment of experiments) {
      if (i % 3 === 0) {
        experiment
          .recorder(`bound ${i % 300}`, { model: `m${i % 7}`, k: i % 11 })
          .recordAt(timeUs, i % 100, i / 1e6, i % 50, -1, i % 2 === 0);
      } else {
        experiment.captureAt(
          timeUs,
          `event ${i % 4}`,
          { latency_ms: i % 97, tokens: i % 33, extra: i },
          {
            model: `m${i % 3}`,
            label: `label ${i % 17}`,
            size: i,
            cached: i % 2 === 0,
            note: i % 6 === 0 ? `n${i}` : undefined,
          },
        );
      }
    }
  }
}

/** Everything that can be read of an experiment. */
async function everything(experiment: Experiment): Promise<Record<string, unknown>> {
  const events = [];
  for await (const event of experiment.events()) events.push(event);
  const { path } = await experiment.export('jsonl', { path: join(dir, `${experiment.id}.jsonl`) });
  const text = JSON.stringify({
    events,
    rows: await experiment.query(),
    filtered: await experiment.query({ eventName: 'event 1', model: 'm1', where: { label: 'label 3' } }),
    last: await experiment.window({ lastN: 50 }),
    range: await experiment.window({ range: [1.7e15 + 200_000, 1.7e15 + 900_000] }),
    windows: await experiment.windowedMetrics({ sizeUs: 500_000, stepUs: 250_000 }),
    metrics: await experiment.metrics(),
    exported: readFileSync(path, 'utf8'),
    counts: experiment.counts,
  });
  return JSON.parse(text.replaceAll(experiment.id, 'ID')) as Record<string, unknown>;
}

/** Compares as texts, whose differences do not fill the screen. */
async function expectSame(
  one: Experiment,
  other: Experiment,
  normalised: (text: string) => string = (text) => text,
): Promise<void> {
  const [ours, theirs] = [await everything(one), await everything(other)];
  for (const [key, value] of Object.entries(theirs)) {
    const isSame = normalised(textOf(ours[key])) === normalised(textOf(value));
    if (!isSame) throw new Error(`${key} differ`);
  }
}

/** But for how long the experiment has been there. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (key, part) => (/^(wallClock|active|paused)Seconds$/.test(key) ? 0 : part));
}

/** Sums of the same numbers in another order. */
function expectAlmostEqual(actual: unknown, expected: unknown, at = ''): void {
  if (typeof expected === 'number' && typeof actual === 'number') {
    expect(Math.abs(actual - expected), at).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)));
  } else if (typeof expected === 'object' && expected !== null) {
    expect(Object.keys(actual as object), at).toEqual(Object.keys(expected));
    for (const [key, value] of Object.entries(expected))
      expectAlmostEqual((actual as Record<string, unknown>)[key], value, `${at}.${key}`);
  } else expect(actual, at).toEqual(expected);
}

describe('an experiment on disk', () => {
  it('reads as its twin in memory, while it is captured, stopped and recovered', async () => {
    const durable = start();
    const twin = crucible.startExperiment({ name: 'view', events: 'all', columns: COLUMNS });
    feed([durable, twin], 0, 3000);
    await expectSame(durable, twin);
    feed([durable, twin], 3000, 10_000);
    await expectSame(durable, twin);
    expectAlmostEqual(durable.streamingMetrics(), twin.streamingMetrics());
    expect(durable.storage!.written).toBeGreaterThan(5000);
    await durable.flush();
    await expectSame(durable, twin);
    await durable.cleanup({ keepData: true });
    const { experiments } = await crucible.recover(dir);
    expect(experiments).toMatchObject([{ rows: 10_000, damage: [], cut: [] }]);
    await twin.stop();
    const recovered = crucible.experiment(durable.id);
    await expectSame(recovered, twin);
    expectAlmostEqual(recovered.streamingMetrics(), twin.streamingMetrics());
    // Its memory was let go with its bindings: they are there again, under the same ids.
    expect(durable.storage!.damaged).toEqual([]);
  });

  it('shows every row once, in order, while chunks are given back and files change under the reader', async () => {
    const experiment = start({ capacity: 4096, retention: { maxBytes: 10_000_000 } });
    const recorder = experiment.recorder('e');
    let captured = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 1500; i++) recorder.recordAt(1e15 + captured, captured++);
      const expected = captured;
      let next = 0;
      for await (const { latencyMs } of experiment.events()) {
        if (latencyMs !== next) throw new Error(`row ${latencyMs} instead of ${next}`);
        next++;
        // Captured while the rest is read: none of it shows, and none of the rest is lost.
        if (next % 300 === 0) recorder.recordAt(1e15 + captured, captured++);
      }
      expect(next).toBe(expected);
    }
    expect(experiment.counts).toMatchObject({ captured, retained: captured, dropped: 0 });
    expect(experiment.storage!.damaged).toEqual([]);
  });

  it('shows what is retained, while old segments expire', async () => {
    const experiment = start({ capacity: 4096, retention: { maxBytes: 400_000 } });
    const recorder = experiment.recorder('e');
    let captured = 0;
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 3000; i++) recorder.recordAt(1e15 + captured, captured++);
      const latencies = (await experiment.query()).map(({ latencyMs }) => latencyMs);
      expect(latencies).toEqual([...new Set(latencies)].sort((a, b) => a! - b!));
      // What expires while it is read may be missing from it, and nothing else.
      const first = experiment.storage!.expired;
      const retained = latencies.slice(latencies.findIndex((latency) => latency! >= first));
      expect(retained).toEqual(Array.from({ length: captured - first }, (_, i) => first + i));
    }
    await experiment.stop();
    const { retained } = experiment.counts;
    expect(experiment.storage!.expired).toBeGreaterThan(0);
    expect(captured - retained).toBe(experiment.storage!.expired);
    expect((await experiment.query()).length).toBe(retained);
  });

  it('keeps dictionary ids over two recoveries, with more bindings than slots', async () => {
    let experiment = start();
    const twin = crucible.startExperiment({ name: 'view', events: 'all', columns: COLUMNS });
    feed([experiment, twin], 0, 4000);
    let folder = dir;
    const others: Crucible[] = [];
    for (const [from, to] of [
      [4000, 9000],
      [9000, 12_000],
    ] as const) {
      await experiment.flush();
      const before = experiment.streamingMetrics();
      folder = crashed(folder, experiment.id);
      // Two of one id cannot capture in one process.
      await experiment.cleanup();
      const next = new Crucible();
      others.push(next);
      const { experiments } = await next.recover(folder);
      expect(experiments).toMatchObject([{ rows: from, access: 'write', damage: [] }]);
      const again = next.experiment(experiment.id);
      expect(again.status).toBe('running');
      expectAlmostEqual(again.streamingMetrics(), before);
      feed([again, twin], from, to);
      // Chunks are claimed anew after a recovery: the same events have other numbers.
      await expectSame(again, twin, (text) => text.replaceAll(/ID-\d\d-[0-9a-f]{10}|"sequence":\d+/g, ''));
      expectAlmostEqual(again.streamingMetrics(), twin.streamingMetrics());
      expect(again.counts).toEqual(twin.counts);
      experiment = again;
    }
    for (const other of others) await other.close();
  });

  it('leaves out what was damaged underneath it, and says so', async () => {
    const experiment = start({ capacity: 65_536 });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 20_000; i++) recorder.recordAt(1e15 + i, i);
    await experiment.stop();
    const all = (await experiment.query()).length;
    expect(all).toBe(20_000);
    const path = join(experiment.storage!.folder, '000001.arrows');
    const { entries } = scanSegment(nodeFileSystem, path);
    const [, second] = entries;
    const bytes = readFileSync(path);
    bytes[second!.offset + second!.bytes - 9]! ^= 1;
    writeFileSync(path, bytes);
    expect((await experiment.query()).length).toBe(all - second!.rows);
    expect(experiment.storage!.damaged).toMatchObject([{ path, offset: second!.offset, rows: second!.rows }]);
    expect((await experiment.metrics()).summary.totalEvents).toBe(all - second!.rows);
    truncateSync(path, second!.offset + second!.bytes + 10);
    const rest = entries.slice(2).reduce((sum, { rows }) => sum + rows, 0);
    expect((await experiment.query()).length).toBe(all - second!.rows - rest);
    expect(experiment.storage!.damaged).toMatchObject([{ rows: second!.rows }, { rows: rest }]);
    expect(experiment.counts).toMatchObject({
      retained: all - second!.rows - rest,
      damaged: second!.rows + rest,
    });
  });
});

describe('a durable store', () => {
  it('keeps what is on disk when the ring is lapped while it is copied, again and again', () => {
    const rig = new SpoolRig({ overflow: 'overwrite', chunks: 4, producers: 1 });
    rig.capture(0, 2000);
    rig.step({ everything: true, sync: true });
    rig.capture(0, 500);
    rig.publish(0);
    let laps = 0;
    const reader = new Proxy(rig.ring.reader, {
      get: (target, name: string | symbol) => {
        if (name !== 'read') return (Reflect.get(target, name) as () => unknown).bind(target);
        return () => {
          // Whatever was to be copied has been overwritten, after it was written.
          laps++;
          rig.step({ everything: true, sync: true });
          return undefined;
        };
      },
    });
    const store = new DurableStore(rig.segments, reader, SOURCE, () => {});
    const { refs } = store.snapshot(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    expect(laps).toBeGreaterThan(0);
    expect(modelRows(refs.map((ref) => ref.read() as Batch)).length).toBe(2500);
  });

  it('shows rows that were taken and could not be written', async () => {
    const faults = [{ operation: 'write', code: 'ENOSPC' }] as const;
    const rig = new SpoolRig({ chunks: 4, producers: 1, faults });
    rig.capture(0, 1500);
    rig.step({ everything: true, sync: true });
    expect(rig.words.written).toBe(0);
    expect(modelRows(rig.readable()).length).toBe(1500);
    rig.settle();
    await rig.check({ quiet: true });
  });
});

/** What is on the disk at this moment, as the end of the process would leave it. */
function crashed(from: string, id: string): string {
  const to = mkdtempSync(join(dir, 'crashed-'));
  cpSync(join(from, id), join(to, id), { recursive: true });
  for (const name of readdirSync(join(to, id))) if (name.endsWith('.lock')) rmSync(join(to, id, name));
  return to;
}
