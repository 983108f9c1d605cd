/** What an exported file is, for whoever finds it: counts, checksum, schema, time range, provenance. */

import { FLAG_CUT } from '../../assembly/layout.js';
import { isoMicros } from '../formats/text.js';
import type { RowSource } from '../readers/rows.js';
import { timeUsOf } from '../ring/batch.js';
import type { EventRow, Json } from '../schema/event.js';
import { tellsCut } from '../schema/malformed.js';
import type { AnonymizeOptions } from './anonymize.js';
import type { SchemaColumn } from './columns.js';
import type { EncodeOptions, ExportBlock } from './encoder.js';

export interface ManifestTimeRange {
  /** Least and greatest event time, in µs since the Unix epoch, both inclusive. */
  startUs: number;
  endUs: number;
  start: string | null;
  end: string | null;
}

export interface ManifestExperiment {
  id: string;
  name: string;
  condition: string;
  rows: number;
}

/** The content of `<path>.manifest.json`. */
export interface ExportManifest {
  /** File name, without folders: both files may be moved together. */
  file: string;
  format: string;
  rows: number;
  /** Rows whose events were too large to be kept whole when they were captured. */
  cut: number;
  /** Events of the experiments that were on disk and are lost, whether they would be in this file or not. */
  damaged: number;
  bytes: number;
  /** Of the file's bytes, lower-case hex. */
  sha256: string;
  timeRange: ManifestTimeRange;
  /** Of an archive: all that is known of its experiment. */
  experiment?: Json;
  experiments: ManifestExperiment[];
  /** The experiment's counters as the caller gave them (captured, retained, dropped, …), and what reading found lost. */
  counts: Json;
  libraryVersion: string | null;
  options: EncodeOptions & { anonymize?: { mode: string; fields: string[] } };
  /** The columns, or the keys that every row has, in file order. */
  schema: readonly SchemaColumn[];
  /** Whether a row may have keys that are not in the schema: fields of its event's category. */
  additionalKeys: boolean;
}

/** Gathers, row by row, what the manifest says about the rows. */
export class RowSummary {
  rows = 0;
  cut = 0;
  #startUs = Number.POSITIVE_INFINITY;
  #endUs = Number.NEGATIVE_INFINITY;
  readonly #experiments = new Map<string, ManifestExperiment>();

  add(event: EventRow): void {
    if (tellsCut(event.malformedKeys)) this.cut++;
    this.#count(event, 1, event.timestamp, event.timestamp);
  }

  addBlock(block: ExportBlock): void {
    if ('events' in block) {
      for (const event of block.events) this.add(event);
      return;
    }
    const { table, rows } = block.block;
    for (let i = 0; i < rows.length; i++) if ((table.tags[rows[i]] & FLAG_CUT) !== 0) this.cut++;
    this.#count(block.source, rows.length, timeUsOf(table, rows[0]), timeUsOf(table, rows[rows.length - 1]));
  }

  #count(
    { experimentId: id, experimentName: name, condition }: EventRow | RowSource,
    rows: number,
    startUs: number,
    endUs: number,
  ): void {
    this.rows += rows;
    this.#startUs = Math.min(this.#startUs, startUs);
    this.#endUs = Math.max(this.#endUs, endUs);
    const known = this.#experiments.get(id);
    if (known === undefined) this.#experiments.set(id, { id, name, condition, rows });
    else known.rows += rows;
  }

  timeRange(): ManifestTimeRange {
    return {
      startUs: this.#startUs,
      endUs: this.#endUs,
      start: isoMicros(this.#startUs),
      end: isoMicros(this.#endUs),
    };
  }

  experiments(): ManifestExperiment[] {
    return [...this.#experiments.values()];
  }
}

/**
 * Counts that were taken before the rows were read, with what has been found lost since.
 * @param counts - of the one experiment, or by id
 * @param damaged - rows that are lost, by id
 */
export function countsNow(counts: Json | undefined, damaged: ReadonlyMap<string, number>): Json {
  if (typeof counts !== 'object' || counts === null || Array.isArray(counts)) return counts ?? null;
  let now: { readonly [key: string]: Json } = counts;
  for (const [id, rows] of damaged) {
    const of = now[id];
    const isById = typeof of === 'object' && of !== null && !Array.isArray(of);
    now = isById ? { ...now, [id]: withDamage(of, rows) } : withDamage(now, rows);
  }
  return now;
}

function withDamage(
  counts: { readonly [key: string]: Json },
  damaged: number,
): { readonly [key: string]: Json } {
  const { damaged: before, retained, dropped } = counts;
  if (typeof before !== 'number' || typeof retained !== 'number' || typeof dropped !== 'number')
    return counts;
  const more = Math.max(0, damaged - before);
  return { ...counts, damaged: before + more, retained: retained - more, dropped: dropped + more };
}

const ENCODE_OPTIONS = [
  'flatten',
  'pretty',
  'csvSafe',
  'compression',
  'layout',
  'rowGroupRows',
] as const satisfies readonly (keyof EncodeOptions)[];

/** The options as the manifest tells them: never the key of the anonymisation. */
export function describeOptions(
  options: EncodeOptions & { anonymize?: AnonymizeOptions },
): ExportManifest['options'] {
  const { anonymize } = options;
  const told = ENCODE_OPTIONS.filter((name) => options[name] !== undefined);
  return {
    ...Object.fromEntries(told.map((name) => [name, options[name]])),
    ...(anonymize === undefined
      ? {}
      : {
          anonymize: {
            mode: anonymize.mode ?? 'hash',
            fields: ['userId', 'sessionId', ...(anonymize.fields ?? [])],
          },
        }),
  };
}
