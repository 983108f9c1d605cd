/** What an exported file is, for whoever finds it: counts, checksum, schema, time range, provenance. */

import { FLAG_CUT } from '../../assembly/layout.js';
import type { RowSource } from '../readers/rows.js';
import { timeUsOf } from '../ring/batch.js';
import type { EventRow, Json } from '../schema/event.js';
import { tellsCut } from '../schema/malformed.js';
import type { AnonymizeOptions } from './anonymize.js';
import type { SchemaColumn } from './columns.js';
import type { EncodeOptions, ExportBlock } from './encoder.js';
import { isoMicros } from './text.js';

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
  bytes: number;
  /** Of the file's bytes, lower-case hex. */
  sha256: string;
  timeRange: ManifestTimeRange;
  experiments: ManifestExperiment[];
  /** The experiment's counters as the caller gave them (captured, retained, dropped, malformed, cut). */
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
