/**
 * One filter means one thing, whoever applies it: this thread or another, in memory or on disk, for metrics, queries,
 * windows, exports and comparisons. The truth is a plain predicate on the events themselves.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../src/demo/random.js';
import { Crucible } from '../../src/experiment/crucible.js';
import type { Experiment } from '../../src/experiment/experiment.js';
import type { EventRow, Filter } from '../../src/schema/event.js';
import { START_US } from '../capture/support.js';
import { numberConditions, passesFilter } from '../support/filters.js';

/** More than the calling thread takes upon itself. */
const ROWS = 20_000;
const STEP_US = 1000;
const folder = mkdtempSync(join(tmpdir(), 'crucible-filter-'));

/** Whole numbers, so that rows lie exactly on what is asked. */
function fill(experiment: Experiment): void {
  const random = new Random(7);
  const whole = (below: number) => Math.floor(below * random.uniform());
  const recorders = ['m0', 'm1', 'm2'].map((model) =>
    experiment.recorder('req_llm.request.stop', { model, score: 3, tries: 1 }),
  );
  for (let i = 0; i < ROWS; i++) {
    const at = START_US + i * STEP_US + whole(3 * STEP_US);
    const kind = whole(3);
    if (kind < 2) {
      const latencyMs = whole(4) === 0 ? Number.NaN : whole(400);
      const costUsd = whole(3) === 0 ? undefined : whole(10) / 4;
      recorders[whole(3)]!.recordAt(
        at,
        latencyMs,
        costUsd,
        whole(50) - 1,
        whole(9),
        [true, false, null][whole(3)],
      );
      continue;
    }
    const prompt = whole(50);
    const tokens = [
      { prompt, completion: 1, total: prompt + 1 },
      { prompt, completion: 1, total: 40 },
      { input: prompt, output: 2 },
    ][whole(3)];
    experiment.captureAt(
      at,
      ['req_llm.request.stop', 'altar.tool.stop'][whole(2)]!,
      {
        ...(whole(2) === 0 && { latencyMs: whole(400) }),
        status: ['ok', 'error', 'other'][whole(3)],
        queue: whole(5),
      },
      {
        ...(whole(2) === 0 && { user: { tier: ['free', 'pro'][whole(2)] } }),
        model: `m${whole(4)}`,
        retries: whole(5),
        ...(whole(2) === 0 && { tokens }),
        ...(whole(2) === 0 && { score: [whole(9), 'high', null][whole(3)] }),
        ...(whole(2) === 0 && { tries: whole(3) }),
      },
    );
  }
}

/** Every third event with a total that is not what its metadata say. */
function withOtherTotals(jsonl: string): string {
  const events = jsonl
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  events.forEach(({ tokens }, i) => {
    if (i % 3 === 0 && tokens !== null) tokens.total = 40;
  });
  return events.map((event) => JSON.stringify(event)).join('\n');
}

const filters: fc.Arbitrary<Filter> = fc
  .tuple(
    fc.oneof(
      ...(
        [
          ['latencyMs', [0, 99.5, 100, 399, 400]],
          ['costUsd', [0, 0.5, 2.25]],
          ['tokensPrompt', [0, 10, 49]],
          ['tokensCompletion', [0, 1, 8]],
          ['tokensTotal', [1, 40, 57]],
          ['timestamp', [START_US, START_US + 5000 * STEP_US, START_US + 19_000 * STEP_US]],
          ['score', [0, 3, 8]],
          ['tries', [0, 1, 2]],
        ] as const
      ).map(([key, values]) => numberConditions(values).map((wanted) => ({ [key]: wanted }) as Filter)),
    ),
    fc.oneof(
      fc.constant({}),
      fc
        .tuple(
          fc.constantFrom('retries', 'queue', 'measurements.queue', 'tokens.prompt', 'metadata.retries'),
          numberConditions([0, 2, 4]),
        )
        .map(([key, wanted]) => ({ where: { [key]: wanted } })),
      fc.constantFrom<Filter>(
        { success: false },
        { where: { 'user.tier': 'pro' } },
        { where: { 'user.tier': { ne: 'pro' }, 'fields.tool': null } },
        { model: 'm1' },
        { eventName: 'altar.tool.stop' },
        { timeRange: [START_US + 4000 * STEP_US, START_US + 9000 * STEP_US] },
      ),
    ),
  )
  .map(([first, second]) => ({ ...first, ...second }));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const COLUMNS = { score: 'f64', tries: 'u32' } as const;

describe.each([
  ['in memory, by a thread', 1, undefined, 8],
  ['in memory, by the calling thread', 0, undefined, 8],
  ['on disk, by a thread', 1, join(folder, 'data'), 8],
  ['imported, by the calling thread', 0, 'imported', 16],
])('a filter %s', (_, workers, where, numRuns) => {
  let crucible: Crucible;
  let experiment: Experiment;
  /** Of no events that a filter could find. */
  let beside: Experiment;
  let all: EventRow[];

  beforeAll(async () => {
    crucible = new Crucible({ workers });
    const options = { name: 'paths', columns: COLUMNS };
    experiment = crucible.startExperiment({
      ...options,
      ...(where !== undefined && where !== 'imported' && { dir: where, segmentBytes: 2 ** 18 }),
    });
    fill(experiment);
    if (where === 'imported') {
      const path = join(folder, 'events.jsonl');
      const filter: Filter = { timestamp: { lt: START_US + 4e6 } };
      writeFileSync(path, withOtherTotals(await text(experiment.exportStream('jsonl', { filter }))));
      const imported = crucible.startExperiment(options);
      await imported.importFile(path);
      experiment = imported;
    }
    if (where !== undefined && where !== 'imported') await experiment.stop();
    beside = crucible.startExperiment({ ...options, name: 'beside', capacity: 1024 });
    all = await experiment.query();
  });
  afterAll(() => crucible.close());

  it('finds the events that pass it as events, in every call', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(filters, async (filter) => {
        const wanted = all.filter((event) => passesFilter(event, filter));
        const ids = wanted.map(({ eventId }) => eventId);
        expect((await experiment.query(filter)).map(({ eventId }) => eventId)).toEqual(ids);
        expect((await experiment.metrics(filter)).summary.totalEvents).toBe(ids.length);
        const groups = await experiment.metricsBy('model', filter);
        expect(groups.reduce((sum, { metrics }) => sum + metrics.summary.totalEvents, 0)).toBe(ids.length);
        const windows = await experiment.windowedMetrics({ sizeUs: 1e6, stepUs: 1e6, filter });
        expect(windows.reduce((sum, { eventCount }) => sum + eventCount, 0)).toBe(ids.length);
        const last = await experiment.window({ lastN: 5 }, filter);
        expect(last.map(({ eventId }) => eventId)).toEqual(ids.slice(-5));
        const { experiments } = await crucible.compare([beside, experiment], { filter, seed: 1 });
        expect(experiments[1]!.metrics.summary.totalEvents).toBe(ids.length);
        if (ids.length === 0) return;
        const lines = (await text(experiment.exportStream('jsonl', { filter }))).trimEnd().split('\n');
        expect(lines.map((line) => JSON.parse(line).event_id)).toEqual(ids);
      }),
      {
        numRuns,
        examples: [[{ tokensTotal: { gte: 40 } }], [{ latencyMs: { gt: 100 }, where: { retries: 2 } }]],
      },
    );
  });
});
