import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SLOT_COUNT, SLOT_EVENT_START } from '../../assembly/layout.js';
import type { MetricTally, Tally } from '../../src/ring/accumulators.js';
import { isMalformed, type PlainMetric, type PlainRow, PlainTally } from '../support/oracle.js';
import { batchesOf, makeRing, type TestRing } from '../support/ring.js';

/** Values whose squares and sums stay finite; the others are the business of extremes.test.ts. */
const HUGE = 1e140;
/** Subnormal numbers have few digits to agree in, and the squares of small ones are nothing at all. */
const TINY = 1e-160;

const anyValue = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: 0.001, max: 1e5, noNaN: true }) },
  { weight: 2, arbitrary: fc.integer({ min: -1000, max: 1000 }) },
  { weight: 1, arbitrary: fc.double({ min: -HUGE, max: HUGE, noNaN: true }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0, 5e-324, -5e-324, 1e-310, HUGE, -HUGE),
  },
  { weight: 1, arbitrary: fc.constantFrom(2 ** -30, 2 ** -31, -(2 ** -30), 2 ** 34, 2 ** 33, -(2 ** 34)) },
);

/** A batch is of one kind or mixed: the kernel walks the two on different paths. */
const metricKind = fc.oneof(
  fc.record({ kind: fc.constant('present' as const), base: fc.double({ min: 1e-6, max: 1e6, noNaN: true }) }),
  fc.record({ kind: fc.constant('absent' as const), base: fc.constant(Number.NaN) }),
  fc.record({ kind: fc.constant('any' as const), base: fc.constant(0) }),
);

interface Write extends PlainRow {
  readonly recorder: number;
}

const tokens = fc.oneof(fc.constant(-1), fc.nat(5000), fc.constant(2 ** 31 - 1));

const batch = fc
  .record({
    rows: fc.integer({ min: 1, max: 300 }),
    latency: metricKind,
    cost: metricKind,
    spread: fc.constantFrom(1, 2, 7, 300),
    start: fc.nat(299),
  })
  .chain(({ rows, latency, cost, spread, start }) => {
    const of = ({ kind, base }: typeof latency): fc.Arbitrary<number> =>
      kind === 'any'
        ? anyValue
        : kind === 'absent'
          ? fc.constant(base)
          : fc.double({ min: base, max: base * 4, noNaN: true });
    return fc.array(
      fc.record({
        recorder: fc.nat(spread - 1).map((i) => start + i),
        timeUs: fc.oneof({ weight: 20, arbitrary: fc.nat() }, { weight: 1, arbitrary: anyValue }),
        latencyMs: of(latency),
        costUsd: of(cost),
        prompt: tokens,
        completion: tokens,
        success: fc.constantFrom(true, false, null),
      }),
      { minLength: rows, maxLength: rows },
    );
  });

function expectMetric(actual: MetricTally, plain: PlainMetric, what: string): void {
  const { sketch } = actual;
  const moments = actual.moments!;
  expect(moments.count, `${what} count`).toBe(plain.values.length);
  if (plain.values.length === 0) return;
  expect(moments.min === plain.moments.min, `${what} min ${moments.min} for ${plain.moments.min}`).toBe(true);
  expect(moments.max === plain.moments.max, `${what} max ${moments.max} for ${plain.moments.max}`).toBe(true);
  const scale = plain.sumOfMagnitudes;
  expect(Math.abs(actual.sum - plain.sum), `${what} sum`).toBeLessThanOrEqual(1e-12 * scale + TINY);
  const largest = Math.max(Math.abs(plain.moments.min!), Math.abs(plain.moments.max!));
  expect(Math.abs(moments.mean! - plain.moments.mean!), `${what} mean`).toBeLessThanOrEqual(
    1e-12 * largest + TINY,
  );
  if (plain.values.length > 1) {
    const expected = plain.moments.stdDev!;
    expect(
      Math.abs(moments.stdDev! - expected),
      `${what} stdDev ${moments.stdDev} for ${expected}`,
    ).toBeLessThanOrEqual(1e-9 * expected + 1e-13 * largest + TINY);
  }
  expect([...sketch.buckets()], `${what} buckets`).toEqual([...plain.sketch().buckets()]);
}

function expectTally(actual: Tally | undefined, plain: PlainTally, what: string): void {
  const { rows, succeeded, failed, tokenRows, promptTokens, completionTokens } = plain;
  expect(actual, what).toMatchObject({ rows, succeeded, failed, tokenRows, promptTokens, completionTokens });
  expectMetric(actual!.latency, plain.latency, `${what} latency`);
  expectMetric(actual!.cost, plain.cost, `${what} cost`);
}

/** 300 recorders over 75 event names: more than there are slots for bindings, and than there are for events. */
function recordersOf(ring: TestRing, events: number) {
  const writer = ring.writer();
  const recorders = Array.from({ length: 300 }, (_, i) => {
    const event = `event ${i % events}`;
    const model = `model ${i}`;
    return {
      recorder: writer.recorder(event, { model }),
      slot: ring.bindings.slot(ring.bindings.intern(event, model, null)),
    };
  });
  return { writer, recorders };
}

describe('publish, against a row at a time', () => {
  it('gives the same tallies for batches of any kind, size and mixture of bindings', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(batch, fc.boolean()), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(1, 20, 75),
        (batches, events) => {
          const ring = makeRing({ capacityRows: 2048 });
          const { writer, recorders } = recordersOf(ring, events);
          const expected = new Map<number, PlainTally>();
          let malformed = 0;
          for (const [rows, publish] of batches) {
            for (const row of rows as Write[]) {
              const { recorder, slot } = recorders[row.recorder % recorders.length]!;
              const { timeUs, latencyMs, costUsd, prompt, completion, success } = row;
              recorder.recordAt(timeUs, latencyMs, costUsd, prompt, completion, success);
              if (!expected.has(slot)) expected.set(slot, new PlainTally());
              expected.get(slot)!.add(row);
              if (isMalformed(row)) malformed++;
            }
            if (publish) writer.ring.publish();
          }
          writer.ring.publish();
          const actual = ring.accumulators.read();
          expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
          for (const [slot, plain] of expected) expectTally(actual.get(slot), plain, `slot ${slot}`);
          expect(ring.control.counts().malformed).toBe(malformed);
        },
      ),
      { numRuns: 120 },
    );
  });

  it('leaves the values of a row as they were given, whatever the batch', () => {
    fc.assert(
      fc.property(batch, (rows) => {
        const ring = makeRing();
        const { writer, recorders } = recordersOf(ring, 20);
        for (const row of rows as Write[]) {
          const { timeUs, latencyMs, costUsd, prompt, completion, success } = row;
          recorders[row.recorder % 300]!.recorder.recordAt(
            timeUs,
            latencyMs,
            costUsd,
            prompt,
            completion,
            success,
          );
        }
        writer.ring.publish();
        const [read] = batchesOf(ring);
        expect([...read!.latencyMs]).toEqual(rows.map(({ latencyMs }) => latencyMs));
        expect([...read!.costUsd]).toEqual(rows.map(({ costUsd }) => costUsd));
        expect([...read!.promptTokens]).toEqual(rows.map(({ prompt }) => prompt));
        expect([...read!.completionTokens]).toEqual(rows.map(({ completion }) => completion));
      }),
      { numRuns: 60 },
    );
  });

  it('adds nothing twice when it is called with the rows it has published already', () => {
    const ring = makeRing();
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < 5; i++) recorder.recordAt(i, 1);
    for (let i = 0; i < 3; i++) ring.control.adopt([writer.ring.producer]);
    writer.ring.publish();
    expect(ring.control.counts().published).toBe(5);
    expect([...ring.accumulators.read().values()].map(({ rows }) => rows)).toEqual([5]);
  });

  it('empties a producer that publishes first after a reset, and no other before it does', () => {
    const ring = makeRing();
    const writer = ring.writer();
    const recorder = writer.recorder('e');
    for (let i = 0; i < 300; i++) recorder.recordAt(i, 5);
    writer.ring.publish();
    ring.accumulators.reset();
    expect(ring.accumulators.read().size).toBe(0);
    recorder.recordAt(1, 7);
    writer.ring.publish();
    const [tally] = ring.accumulators.read().values();
    expect(tally).toMatchObject({ rows: 1, latency: { sum: 7 } });
  });

  it('merges the accumulators of producers', () => {
    const ring = makeRing({ capacityRows: 4096 });
    const plain = new PlainTally();
    for (let producer = 0; producer < 2; producer++) {
      const writer = ring.writer();
      const recorder = writer.recorder('e');
      for (let i = 0; i < 700; i++) {
        const latencyMs = 1 + ((i * 37 + producer * 11) % 500);
        recorder.recordAt(i, latencyMs, latencyMs / 4, i, 1, i % 3 === 0);
        plain.add({
          timeUs: i,
          latencyMs,
          costUsd: latencyMs / 4,
          prompt: i,
          completion: 1,
          success: i % 3 === 0,
        });
      }
      writer.ring.publish();
    }
    expectTally(ring.accumulators.read().values().next().value, plain, 'the only slot');
  });

  it('hands out slots to bindings, then to event names, then the common one', () => {
    const ring = makeRing();
    const slots = Array.from({ length: 300 }, (_, i) =>
      ring.bindings.slot(ring.bindings.intern(`event ${i}`, null, null)),
    );
    expect(slots.slice(0, SLOT_EVENT_START - 1)).toEqual(
      Array.from({ length: SLOT_EVENT_START - 1 }, (_, i) => i + 1),
    );
    expect(new Set(slots.slice(SLOT_EVENT_START - 1, SLOT_COUNT - 1)).size).toBe(
      SLOT_COUNT - SLOT_EVENT_START,
    );
    expect(new Set(slots.slice(SLOT_COUNT - 1))).toEqual(new Set([0]));
  });
});
