/**
 * The ring against plain arrays: whatever is recorded, captured, paused, reset and overwritten, what is read is
 * exactly what the model retains, in order, and every count is exact.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import {
  Crucible,
  type EventRow,
  type Experiment,
  type Recorder,
  type StreamingDistribution,
} from '../../src/index.js';
import { JOINED_BYTES_MAX } from '../../src/ring/byte-area.js';
import type { Geometry } from '../../src/ring/memory.js';
import { quantile } from '../../src/stats/quantile.js';
import { countsOf } from '../support/counts.js';
import { type PlainMetric, PlainTally } from '../support/oracle.js';

interface ModelRow {
  readonly timeUs: number;
  readonly event: string;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly prompt: number;
  readonly completion: number;
  readonly success: boolean | null;
  /** Length of the text the event carries; undefined where it was recorded and not captured. */
  readonly pad: number | undefined;
}

interface ModelChunk {
  readonly rows: ModelRow[];
  blobBytes: number;
  /** Bytes that it has room for, with the chunks joined to it. */
  room: number;
  isOverwritten: boolean;
}

/** Whose rows a chunk of the ring holds, or whose bytes. */
interface Place {
  owner?: { readonly chunk: ModelChunk; readonly isHead: boolean };
}

/** The ring as it is specified: chunks claimed in turn, the oldest reused or the newest row refused. */
class Model {
  /** Those that hold rows, in the order they were claimed. */
  chunks: ModelChunk[] = [];
  open: ModelChunk | undefined;
  captured = 0;
  overwritten = 0;
  refused = 0;
  /** Offered during pauses. */
  unwanted = 0;
  paused = false;
  tally = new PlainTally();
  /** Also the time of the next row. */
  written = 0;

  readonly overwrites: boolean;
  readonly blobBytesMax: number;
  readonly strideBytes: number;
  readonly places: readonly Place[];
  readonly spares: readonly Place[];
  next = 0;

  constructor(overwrites: boolean, geometry: Geometry) {
    const { chunkCount, spareCount, blobBytes, chunkStrideBytes } = geometry;
    this.overwrites = overwrites;
    this.blobBytesMax = blobBytes;
    this.strideBytes = chunkStrideBytes;
    this.places = Array.from({ length: chunkCount }, () => ({}));
    this.spares = Array.from({ length: spareCount }, () => ({}));
  }

  add(row: ModelRow, blobBytes: number): void {
    if (this.paused) {
      this.unwanted++;
      return;
    }
    if (this.open !== undefined && this.open.rows.length === CHUNK_ROWS) this.open = undefined;
    this.open ??= this.#claim();
    if (!this.#makeRoom(blobBytes)) {
      this.refused++;
      return;
    }
    const open = this.open!;
    open.rows.push(row);
    open.blobBytes += blobBytes;
    this.captured++;
    this.tally.add(row);
    // One that has taken in as many as may be is complete.
    if (blobBytes > 0 && open.room > this.blobBytesMax && open.blobBytes >= JOINED_BYTES_MAX)
      this.open = undefined;
  }

  /** Ensures that the open chunk has room, joining others to it or beginning another one. */
  #makeRoom(bytes: number): boolean {
    if (this.open === undefined) return false;
    if (this.open.blobBytes + bytes <= this.open.room) return true;
    const isLarge = bytes > this.blobBytesMax / 8;
    if (isLarge && this.open.blobBytes < JOINED_BYTES_MAX && this.#join(this.open, bytes)) return true;
    if (this.open.rows.length > 0) {
      this.open = undefined;
      this.open = this.#claim();
      if (this.open === undefined) return false;
    }
    return bytes <= this.blobBytesMax || this.#join(this.open, bytes);
  }

  #claim(): ModelChunk | undefined {
    const place = this.#win();
    if (place === undefined) return undefined;
    const chunk = { rows: [], blobBytes: 0, room: this.blobBytesMax, isOverwritten: false };
    place.owner = { chunk, isHead: true };
    this.chunks.push(chunk);
    return chunk;
  }

  #join(chunk: ModelChunk, bytes: number): boolean {
    const count = Math.ceil((chunk.blobBytes + bytes - chunk.room) / this.strideBytes);
    const isToBeHad = ({ owner }: Place) =>
      owner === undefined || owner.chunk.isOverwritten || (this.overwrites && owner.chunk !== chunk);
    if ([...this.places, ...this.spares].filter(isToBeHad).length < count) return false;
    for (let i = 0; i < count; i++) {
      const spare = this.spares.find(({ owner }) => owner === undefined || owner.chunk.isOverwritten);
      (spare ?? this.#win())!.owner = { chunk, isHead: false };
    }
    chunk.room += count * this.strideBytes;
    return true;
  }

  /** The place claimed least recently that may be claimed. */
  #win(): Place | undefined {
    for (let tries = 0; tries < this.places.length; tries++) {
      const place = this.places[this.next++ % this.places.length]!;
      const { owner } = place;
      if (owner === undefined || owner.chunk.isOverwritten) return place;
      if (!this.overwrites || !owner.isHead || owner.chunk === this.open) continue;
      owner.chunk.isOverwritten = true;
      this.overwritten += owner.chunk.rows.length;
      this.chunks = this.chunks.filter((chunk) => chunk !== owner.chunk);
      return place;
    }
    return undefined;
  }

  get retained(): ModelRow[] {
    return this.chunks.flatMap(({ rows }) => rows);
  }
}

interface Real {
  readonly experiment: Experiment;
  readonly recorders: readonly Recorder[];
}

type Command = fc.AsyncCommand<Model, Real>;

const EVENTS = ['a', 'b', 'c'];

/** Bytes of a captured event whose metadata is {pad: text} and whose measurements are {latencyMs, cost}. */
function blobBytesOf(pad: number, latencyMs: number, costUsd: number): number {
  const number = (value: number) => (!Number.isInteger(value) || value < 0 ? 9 : value < 128 ? 1 : 5);
  const text = pad < 32 ? 1 + pad : pad < 40 ? 2 + pad : 5 + pad;
  return 3 + 4 + text + 3 + 10 + number(latencyMs) + 5 + number(costUsd);
}

class Record implements Command {
  readonly count: number;
  readonly which: number;
  readonly seed: number;

  constructor(count: number, which: number, seed: number) {
    this.count = count;
    this.which = which;
    this.seed = seed;
  }

  check = () => true;

  async run(model: Model, { recorders }: Real): Promise<void> {
    for (let i = 0; i < this.count; i++) {
      const n = this.seed + i;
      const which = (this.which + (n % 5 === 0 ? 1 : 0)) % EVENTS.length;
      const row: ModelRow = {
        timeUs: Math.floor(model.written++ / 3),
        event: EVENTS[which]!,
        // Whole numbers and quarters: their sums are exact in any order.
        latencyMs: n % 11 === 0 ? Number.NaN : ((n * 7919) % 2000) - (n % 13 === 0 ? 1000 : 0),
        costUsd: n % 3 === 0 ? Number.NaN : (n % 97) / 4,
        prompt: n % 4 === 0 ? -1 : n % 1000,
        completion: n % 4 === 0 ? -1 : n % 10,
        success: n % 5 === 0 ? null : n % 5 === 1,
        pad: undefined,
      };
      const { timeUs, latencyMs, costUsd, prompt, completion, success } = row;
      recorders[which]!.recordAt(timeUs, latencyMs, costUsd, prompt, completion, success);
      model.add(row, 0);
    }
  }

  toString = () => `record ${this.count} rows of ${EVENTS[this.which]} from ${this.seed}`;
}

class Capture implements Command {
  readonly count: number;
  readonly which: number;
  readonly pad: number;

  constructor(count: number, which: number, pad: number) {
    this.count = count;
    this.which = which;
    this.pad = pad;
  }

  check = () => true;

  async run(model: Model, { experiment }: Real): Promise<void> {
    for (let i = 0; i < this.count; i++) {
      const row: ModelRow = {
        timeUs: Math.floor(model.written++ / 3),
        event: EVENTS[this.which]!,
        latencyMs: i % 200,
        costUsd: (i % 9) / 4,
        prompt: -1,
        completion: -1,
        success: null,
        pad: this.pad,
      };
      experiment.captureAt(
        row.timeUs,
        row.event,
        { latencyMs: row.latencyMs, cost: row.costUsd },
        { pad: 'x'.repeat(this.pad) },
      );
      model.add(row, blobBytesOf(this.pad, row.latencyMs, row.costUsd));
    }
  }

  toString = () => `capture ${this.count} of ${EVENTS[this.which]} with ${this.pad} bytes`;
}

class Read implements Command {
  check = () => true;

  async run(model: Model, { experiment }: Real): Promise<void> {
    expectRows(await experiment.query(), model.retained);
  }

  toString = () => 'read';
}

class Publish implements Command {
  check = () => true;

  async run(model: Model, { experiment }: Real): Promise<void> {
    expect((await experiment.flush()).captured).toBe(model.captured);
  }

  toString = () => 'publish';
}

class Pause implements Command {
  check = (model: Readonly<Model>) => !model.paused;

  async run(model: Model, { experiment }: Real): Promise<void> {
    experiment.pause();
    model.paused = true;
  }

  toString = () => 'pause';
}

class Resume implements Command {
  check = (model: Readonly<Model>) => model.paused;

  async run(model: Model, { experiment }: Real): Promise<void> {
    experiment.resume();
    model.paused = false;
  }

  toString = () => 'resume';
}

class Reset implements Command {
  check = () => true;

  async run(model: Model, { experiment }: Real): Promise<void> {
    experiment.resetStreamingMetrics();
    model.tally = new PlainTally();
  }

  toString = () => 'reset';
}

class Stream implements Command {
  check = () => true;

  async run(model: Model, { experiment }: Real): Promise<void> {
    const { latency, cost, reliability, tokens, count } = experiment.streamingMetrics();
    const plain = model.tally;
    expect(count).toBe(plain.rows);
    expect(reliability).toMatchObject({ totalRequests: plain.rows });
    expectDistribution(latency, plain.latency);
    expectDistribution(cost, plain.cost);
    expect(tokens).toEqual(
      plain.tokenRows === 0
        ? { count: 0 }
        : expect.objectContaining({
            count: plain.tokenRows,
            totalPrompt: plain.promptTokens,
            totalCompletion: plain.completionTokens,
          }),
    );
  }

  toString = () => 'streamingMetrics';
}

/** A command, and then what must hold after any. */
class Checked implements Command {
  readonly inner: Command;

  constructor(inner: Command) {
    this.inner = inner;
  }

  check = (model: Readonly<Model>) => this.inner.check(model);

  async run(model: Model, real: Real): Promise<void> {
    await this.inner.run(model, real);
    const { captured, refused, overwritten, unwanted } = model;
    expect(real.experiment.counts).toEqual(
      countsOf({
        captured,
        retained: model.retained.length,
        dropped: overwritten + refused,
        refused: { total: refused, full: refused, paused: unwanted },
      }),
    );
  }

  toString = () => this.inner.toString();
}

function expectRows(actual: readonly EventRow[], expected: readonly ModelRow[]): void {
  const finite = (value: number) => (Number.isNaN(value) ? null : value);
  expect(actual).toHaveLength(expected.length);
  // Compared as texts: thousands of rows, and a difference in one of them still shows.
  expected.forEach((row, i) => {
    const { timestamp, eventName, latencyMs, costUsd, success, tokens, metadata } = actual[i]!;
    const read = [timestamp, eventName, latencyMs, costUsd, success, tokens?.prompt, tokens?.completion];
    const model = [
      row.timeUs,
      row.event,
      finite(row.latencyMs),
      finite(row.costUsd),
      row.success,
      row.prompt < 0 ? undefined : row.prompt,
      row.completion < 0 ? undefined : row.completion,
    ];
    const pad = typeof metadata.pad === 'string' ? metadata.pad.length : undefined;
    const [a, b] = [JSON.stringify([read, pad]), JSON.stringify([model, row.pad])];
    if (a !== b) expect(a, `row ${i}`).toBe(b);
  });
  const sequences = actual.map(({ sequence }) => sequence);
  expect(sequences.every((sequence, i) => i === 0 || sequence > sequences[i - 1]!)).toBe(true);
  expect(new Set(actual.map(({ eventId }) => eventId)).size).toBe(actual.length);
}

function expectDistribution(actual: StreamingDistribution, plain: PlainMetric): void {
  const { values, moments } = plain;
  expect(actual).toMatchObject({ count: values.length, sum: plain.sum, min: moments.min, max: moments.max });
  if (values.length === 0) {
    expect(actual).toMatchObject({ mean: null, stdDev: null, p50: null, p999: null });
    return;
  }
  expect(Math.abs(actual.mean! - moments.mean!)).toBeLessThanOrEqual(
    1e-9 * Math.max(1, Math.abs(moments.mean!)),
  );
  if (values.length === 1) expect(actual.stdDev).toBeNull();
  else
    expect(Math.abs(actual.stdDev! - moments.stdDev!)).toBeLessThanOrEqual(
      1e-9 * Math.max(1, moments.stdDev!),
    );
  const sorted = Float64Array.from(values).sort();
  for (const [name, p] of [
    ['p50', 0.5],
    ['p90', 0.9],
    ['p95', 0.95],
    ['p99', 0.99],
    ['p999', 0.999],
  ] as const) {
    const exact = quantile(sorted, p) as number;
    const error = Math.abs(actual[name]! - exact);
    expect(error, `${name} ${actual[name]} for ${exact}`).toBeLessThanOrEqual(0.01 * Math.abs(exact));
  }
}

const which = fc.nat(EVENTS.length - 1);
const commands = fc.commands(
  [
    fc
      .tuple(
        fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 200, max: 1500 })),
        which,
        fc.nat(10_000),
      )
      .map(([count, event, seed]) => new Checked(new Record(count, event, seed))),
    fc
      .tuple(
        fc.integer({ min: 1, max: 60 }),
        which,
        fc.constantFrom(0, 1, 31, 32, 39, 40, 500, 20_000, 50_000, 100_000),
      )
      .map(([count, event, pad]) => new Checked(new Capture(count, event, pad))),
    fc
      .tuple(fc.integer({ min: 1, max: 4 }), which, fc.constantFrom(262_000, 300_000, 2_000_000, 9_000_000))
      .map(([count, event, pad]) => new Checked(new Capture(count, event, pad))),
    fc.constant(new Checked(new Read())),
    fc.constant(new Checked(new Publish())),
    fc.constant(new Checked(new Pause())),
    fc.constant(new Checked(new Resume())),
    fc.constant(new Checked(new Reset())),
    fc.constant(new Checked(new Stream())),
  ],
  { maxCommands: 25 },
);

describe('the ring, against plain arrays', () => {
  for (const overflow of ['overwrite', 'reject'] as const) {
    it(`keeps, counts and adds up the same when it ${overflow}s`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 4 }), commands, async (chunkCount, sequence) => {
          await using crucible = new Crucible();
          const experiment = crucible.startExperiment({
            name: 'm',
            capacity: chunkCount * CHUNK_ROWS,
            overflow,
          });
          const recorders = EVENTS.map((event) => experiment.recorder(event));
          const { geometry } = experiment.share();
          await fc.asyncModelRun(
            () => ({
              model: new Model(overflow === 'overwrite', geometry),
              real: { experiment, recorders },
            }),
            [...sequence, new Checked(new Read()), new Checked(new Stream())],
          );
        }),
        { numRuns: 50 },
      );
    });
  }
});
