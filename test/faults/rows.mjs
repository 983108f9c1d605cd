// @ts-check
/**
 * Rows that can be recognised: each carries its producer and a running number from 0, and everything else in it
 * follows from these two. So what is found on disk can be compared with what must have been captured.
 *
 * Rows come in all the forms that there are: recorded with and without a time, captured with metadata that is
 * declared, that is not, and that is both.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Declared columns of the experiments in these tests. */
export const COLUMNS = /** @type {const} */ ({ shard: 'dict', attempt: 'i32', score: 'f64', cached: 'bool' });

/** Producers are told apart by latency: this many rows each. */
const PRODUCER_STRIDE = 2 ** 40;
const BASE_US = 1_700_000_000_000_000;
/** Rows that share a recorder; the next ones have another model, and so another binding. */
const ROWS_PER_RECORDER = 5000;

/** @typedef {Pick<import('../../src/index.js').Experiment, 'recorder' | 'capture' | 'captureAt'>} Target */

/** @param {number} i */
const formOf = (i) =>
  i % 8 === 0 ? 'captureAt' : i % 8 === 4 ? 'capture' : i % 8 === 7 ? 'record' : 'recordAt';
/** @param {number} i */
const successOf = (i) => (i % 3 === 0 ? null : i % 3 === 1);
/** @param {number} i */
const modelOf = (i) => `model ${Math.floor(i / ROWS_PER_RECORDER) % 40}`;
/** @param {number} producer @param {number} i */
const timeOf = (producer, i) => BASE_US + i * 7 + producer;

/** @param {number} producer @param {number} i */
const metadataOf = (producer, i) => ({
  shard: `shard ${i % 97}`,
  attempt: i % 1000,
  ...(i % 16 === 0 ? { score: i / 4 } : {}),
  ...(i % 5 === 0 ? { cached: i % 10 === 0 } : {}),
  check: `${producer}/${i}/${'x'.repeat(i % 50)}`,
  ...(i % 24 === 0 ? { deep: { list: [i, producer, null], text: 'ß€😀' } } : {}),
});

/** Bytes of a prompt: below and above those of a chunk's byte area, and of several. @param {number} i */
const promptBytesOf = (i) => 50_000 + ((i * 7919) % 1_500_000);

/** A text that no other row has a part of. @param {number} producer @param {number} i @param {number} bytes */
function promptOf(producer, i, bytes) {
  const unit = `${producer}/${i}:ß€😀;`;
  const unitBytes = Buffer.byteLength(unit);
  return unit.repeat(bytes / unitBytes) + 'x'.repeat(bytes % unitBytes);
}

/** @param {number} producer @param {number} i */
function promptIn(producer, i) {
  const promptBytes = promptBytesOf(i);
  return { promptBytes, prompt: promptOf(producer, i, promptBytes) };
}

/** Captures the rows of one producer, in order. */
export class Source {
  #target;
  #recorder;
  /** Rows captured, those of earlier lives included: the next one's number. */
  count;

  /**
   * @param {Target} target
   * @param {number} producer
   * @param {number} [from] number of the first row
   * @param {number} [promptEvery] of so many captured rows one has a prompt; default none
   */
  constructor(target, producer, from = 0, promptEvery = 0) {
    this.#target = target;
    this.producer = producer;
    this.promptEvery = promptEvery;
    this.count = from;
    this.#recorder = this.#makeRecorder();
  }

  capture() {
    const { producer, count: i } = this;
    if (i % ROWS_PER_RECORDER === 0) this.#recorder = this.#makeRecorder();
    const latencyMs = producer * PRODUCER_STRIDE + i;
    const completion = (i * 31 + producer) % 1000;
    const form = formOf(i);
    if (form === 'recordAt') {
      this.#recorder.recordAt(timeOf(producer, i), latencyMs, i / 8, i % 2 ** 31, completion, successOf(i));
    } else if (form === 'record') {
      this.#recorder.record(latencyMs, i / 8, i % 2 ** 31, completion, successOf(i));
    } else {
      const success = successOf(i);
      const measurements = { latencyMs, cost: i / 8 };
      const metadata = {
        ...metadataOf(producer, i),
        model: modelOf(i),
        tokens: { prompt: i % 2 ** 31, completion, total: (i % 2 ** 31) + completion },
        ...(success === null ? {} : success ? { response: 'yes' } : { error: 'no' }),
        ...(this.promptEvery > 0 && (i >> 2) % this.promptEvery === 0 ? promptIn(producer, i) : {}),
      };
      if (form === 'capture') this.#target.capture(`producer ${producer}`, measurements, metadata);
      else this.#target.captureAt(timeOf(producer, i), `producer ${producer}`, measurements, metadata);
    }
    this.count = i + 1;
  }

  #makeRecorder() {
    return this.#target.recorder(`producer ${this.producer}`, { model: modelOf(this.count) });
  }
}

/**
 * Looks at rows in any order, and afterwards says what is wrong with them.
 */
export class Inspector {
  /** Sequences by producer and number. @type {number[][]} */
  #sequences = [];
  #ids = new Set();
  /** The first few things that are wrong. @type {string[]} */
  problems = [];
  rows = 0;
  /** Rows with a prompt that is whole. */
  prompts = 0;

  /** @param {import('../../src/index.js').EventRow} row */
  add(row) {
    this.rows++;
    const latencyMs = row.latencyMs ?? Number.NaN;
    const producer = Math.floor(latencyMs / PRODUCER_STRIDE);
    const i = latencyMs - producer * PRODUCER_STRIDE;
    const wrong = wrongIn(row, producer, i);
    if (wrong !== null) return this.#report(`altered (${wrong}): ${JSON.stringify(row).slice(0, 2000)}`);
    if (row.metadata.prompt !== undefined) this.prompts++;
    if (this.#ids.has(row.eventId)) this.#report(`event id twice: ${row.eventId}`);
    this.#ids.add(row.eventId);
    this.#sequences[producer] ??= [];
    const sequences = this.#sequences[producer];
    if (sequences[i] !== undefined) this.#report(`row twice: producer ${producer}, number ${i}`);
    sequences[i] = row.sequence;
  }

  /** Rows of each producer. */
  get counts() {
    return Array.from(this.#sequences, (sequences) => sequences?.length ?? 0);
  }

  /**
   * Everything that is wrong: also that rows of a producer are missing before others, or in another order.
   * @param {{ gaps?: boolean }} [options] gaps: whether rows may be missing; default false
   */
  conclude({ gaps = false } = {}) {
    for (const [producer, sequences] of this.#sequences.entries()) {
      let last = -1;
      for (let i = 0; i < (sequences?.length ?? 0); i++) {
        const sequence = sequences[i];
        if (sequence === undefined) {
          if (!gaps) this.#report(`missing: producer ${producer}, number ${i} of ${sequences.length}`);
        } else {
          if (sequence <= last) this.#report(`out of order: producer ${producer}, number ${i}`);
          last = sequence;
        }
      }
    }
    return this.problems;
  }

  /** @param {string} problem */
  #report(problem) {
    if (this.problems.length < 5) this.problems.push(problem);
  }
}

/**
 * What is wrong with a row; null when nothing is.
 * @param {import('../../src/index.js').EventRow} row @param {number} producer @param {number} i
 */
function wrongIn(row, producer, i) {
  if (!(Number.isSafeInteger(i) && i >= 0 && producer >= 0)) return 'latency';
  const form = formOf(i);
  const completion = (i * 31 + producer) % 1000;
  const isTimed = form === 'captureAt' || form === 'recordAt';
  if (row.eventName !== `producer ${producer}`) return 'eventName';
  if (row.model !== modelOf(i)) return 'model';
  if (isTimed ? row.timestamp !== timeOf(producer, i) : row.timestamp < BASE_US) return 'timestamp';
  if (row.costUsd !== i / 8) return 'cost';
  if (row.tokens?.prompt !== i % 2 ** 31 || row.tokens.completion !== completion) return 'tokens';
  if (row.success !== successOf(i)) return 'success';
  if (row.malformed) return 'malformed';
  if (form === 'recordAt' || form === 'record') {
    return Object.keys(row.metadata).join() === 'model' ? null : 'metadata';
  }
  for (const [key, value] of Object.entries(metadataOf(producer, i))) {
    const found = row.metadata[key];
    const isSame =
      typeof value === 'object' ? JSON.stringify(found) === JSON.stringify(value) : found === value;
    if (!isSame) return `metadata.${key}`;
  }
  const { promptBytes, prompt } = row.metadata;
  if (prompt === undefined ? promptBytes !== undefined : prompt !== promptOf(producer, i, promptBytesOf(i)))
    return 'metadata.prompt';
  if (i % 16 !== 0 && row.metadata.score !== undefined) return 'metadata.score';
  if (i % 5 !== 0 && row.metadata.cached !== undefined) return 'metadata.cached';
  return null;
}

/**
 * Inspects all rows of an experiment.
 * @param {Pick<import('../../src/index.js').Experiment, 'events'>} experiment
 */
export async function inspect(experiment) {
  const inspector = new Inspector();
  for await (const row of experiment.events()) inspector.add(row);
  return inspector;
}

/** A digest of each file in a folder, those of locks left out. @param {string} folder */
export function digests(folder) {
  /** @type {Record<string, string>} */
  const found = {};
  for (const name of readdirSync(folder).sort()) {
    if (name.endsWith('.lock')) continue;
    found[name] = createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  }
  return found;
}
