/**
 * The columnar snapshot: a map that describes the columns, then a map for each batch of up to 65,536 rows.
 * docs/formats.md is its specification.
 *
 * Numbers are arrays of little-endian doubles or integers; everything else is a list of the values that occur in the
 * batch and a code per row. So a batch is complete in itself, and a writer holds no more than one.
 *
 * What all rows of a binding share is looked up for the first of a batch only; the others take over its codes.
 */

import { encode } from '@msgpack/msgpack';
import { FLAG_CORRECTED, TAG_BINDING_MASK } from '../../../assembly/layout.js';
import { withWrittenKeys } from '../../formats/msgpack/keys.js';
import { jsonText } from '../../formats/text.js';
import type { SourcedRows } from '../../readers/merge-rows.js';
import type { OrderedRows } from '../../readers/ordered.js';
import { ownParts, type RowSource } from '../../readers/rows.js';
import { placeOfEventId } from '../../row/event-id.js';
import type { EventRow, Json } from '../../schema/event.js';
import { VERSION } from '../../version.js';
import type { ExperimentAbout, ExportBlocks, ExportEncoder } from '../encoder.js';
import { saysMore } from '../plan.js';
import {
  type BoundColumn,
  COLUMNS,
  isNumeric,
  type NumberColumn,
  type OwnColumn,
  SCHEMA,
} from './column-schema.js';
import { NumberStage, ValueStage } from './column-stages.js';

export const SNAPSHOT_FORMAT = 'crucible-columns';
export const SNAPSHOT_VERSION = 1;
const BATCH_ROWS = 65_536;
/** A batch that has this many characters of text is ended, so that readers and writers need no more memory. */
const BATCH_CHARS = 8 * 1024 * 1024;

interface Gathered<C, S> {
  readonly column: C;
  readonly stage: S;
}

/** @param batchRows - a multiple of 8 */
export function openMsgpackColumns(about: readonly ExperimentAbout[], batchRows = BATCH_ROWS): ExportEncoder {
  return { schema: SCHEMA, additionalKeys: false, encode: (blocks) => snapshot(about, batchRows, blocks) };
}

async function* snapshot(
  about: readonly ExperimentAbout[],
  batchRows: number,
  blocks: ExportBlocks,
): AsyncGenerator<Uint8Array> {
  const batch = new BatchColumns(batchRows);
  let head: Uint8Array | undefined = header(about);
  for await (const some of blocks) {
    if (head !== undefined) yield head;
    head = undefined;
    for (const block of some) {
      if ('events' in block) yield* batch.addEvents(block.events);
      else yield* batch.addRows(block);
    }
  }
  if (head !== undefined) yield head;
  if (batch.rows > 0) yield batch.take();
}

function header(about: readonly ExperimentAbout[]): Uint8Array {
  return encode(
    repaired({
      format: SNAPSHOT_FORMAT,
      version: SNAPSHOT_VERSION,
      library: `crucible-telemetry ${VERSION}`,
      experiments: about as unknown as Json,
      columns: COLUMNS.map(({ name, type, unit }) => ({ name, type, ...(unit && { unit }) })),
    }),
  );
}

/** The batch that is being gathered. */
class BatchColumns {
  rows = 0;
  readonly #capacity: number;
  readonly #stages: readonly (NumberStage | ValueStage)[];
  readonly #numbers: Gathered<NumberColumn, NumberStage>[] = [];
  readonly #own: Gathered<OwnColumn, ValueStage>[] = [];
  readonly #bound: Gathered<BoundColumn, ValueStage>[] = [];
  /** Of each source's bindings the number of their template; 0 = there is none yet. */
  readonly #bindings = new Map<RowSource, Uint32Array>();
  /** The codes of bound columns, in their order; those of earlier batches mean nothing any more. */
  #templates: Uint32Array[] = [];
  #earlierTemplates = 0;
  #chars = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#stages = COLUMNS.map((column) => {
      if (isNumeric(column)) {
        const stage = new NumberStage(column.type === 'i64', capacity);
        this.#numbers.push({ column, stage });
        return stage;
      }
      const stage = new ValueStage(capacity);
      if (column.isOwn) this.#own.push({ column, stage });
      else this.#bound.push({ column, stage });
      return stage;
    });
  }

  /** Gives what batches become full on the way. */
  *addRows({ source, block: { table, rows, events } }: SourcedRows): Generator<Uint8Array> {
    const templates = this.#templatesOf(source);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const tag = table.tags[row];
      const binding = tag & TAG_BINDING_MASK;
      const isBound = !saysMore(tag) && (tag & FLAG_CORRECTED) === 0;
      const template = templates[binding];
      if (isBound && template > this.#earlierTemplates) {
        this.#addBound(source, table, row, template);
      } else {
        this.#addEvent(events?.[i] ?? table.event(source, row));
        if (isBound) templates[binding] = this.#newTemplate();
      }
      if (this.#isFull()) yield this.take();
    }
  }

  *addEvents(events: readonly EventRow[]): Generator<Uint8Array> {
    for (const event of events) {
      this.#addEvent(event);
      if (this.#isFull()) yield this.take();
    }
  }

  /** The batch as bytes, and a new beginning. */
  take(): Uint8Array {
    const columns: Record<string, unknown> = {};
    COLUMNS.forEach(({ name }, i) => {
      const column = this.#stages[i].take(this.rows);
      if (column !== null) columns[name] = column;
    });
    const batch = encode({ rows: this.rows, columns });
    this.rows = 0;
    this.#chars = 0;
    this.#earlierTemplates += this.#templates.length;
    this.#templates = [];
    return batch;
  }

  #templatesOf(source: RowSource): Uint32Array {
    let templates = this.#bindings.get(source);
    if (templates === undefined) {
      templates = new Uint32Array(TAG_BINDING_MASK + 1);
      this.#bindings.set(source, templates);
    }
    return templates;
  }

  #addEvent(event: EventRow): void {
    const at = this.rows;
    const place = placeOfEventId(event.eventId, event.experimentId);
    for (const { column, stage } of this.#numbers) stage.set(at, column.read(event, place));
    for (const { column, stage } of this.#own) this.#chars += stage.set(at, column.read(event));
    for (const { column, stage } of this.#bound) this.#chars += stage.set(at, column.read(event, place));
  }

  /** Adds a row that says no more than its binding, by the template of that. */
  #addBound(source: RowSource, table: OrderedRows['table'], row: number, template: number): void {
    const at = this.rows;
    const own = ownParts(source, table, row);
    const place = { producer: table.producers[row], sequence: table.sequences[row] };
    for (const { column, stage } of this.#numbers) stage.set(at, column.read(own, place));
    for (const { column, stage } of this.#own) this.#chars += stage.set(at, column.read(own));
    const codes = this.#templates[template - this.#earlierTemplates - 1];
    for (let i = 0; i < codes.length; i++) this.#bound[i].stage.codes[at] = codes[i];
  }

  /** Makes a template of the row that was added last. @returns its number */
  #newTemplate(): number {
    const at = this.rows;
    return (
      this.#earlierTemplates +
      this.#templates.push(Uint32Array.from(this.#bound, ({ stage }) => stage.codes[at]))
    );
  }

  /** Ends the row. @returns whether the batch ends with it */
  #isFull(): boolean {
    return ++this.rows === this.#capacity || this.#chars >= BATCH_CHARS;
  }
}

/** What is told of experiments may hold any text and any key; a copy that has a UTF-8 form, and can be read. */
function repaired(value: Json): Json {
  return withWrittenKeys(JSON.parse(jsonText(value)) as Json);
}
