/**
 * Rows of blocks and events, gathered as the columns of a file.
 *
 * Columns that every row has of its own are copied from the block's columns; for the rest a row of a recorder
 * notes its template, one number. Only other rows are decoded.
 */

import {
  FLAG_CORRECTED,
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
  UNPRICED_SHIFT,
  VALUE_MAX,
} from '../../../assembly/layout.js';
import {
  codeStage,
  FLAG_FALSE,
  FLAG_NULL,
  FLAG_TRUE,
  flagStage,
  numberStage,
  OWN,
  type Stage,
  TextStage,
} from '../../formats/columns/stages.js';
import type { TextSet } from '../../formats/columns/text-set.js';
import { jsonText } from '../../formats/text.js';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowSource } from '../../readers/rows.js';
import { eventIdText } from '../../row/event-id.js';
import { UNPRICED } from '../../schema/enrich.js';
import type { EventRow, Json } from '../../schema/event.js';
import { Marks } from '../marks.js';
import { type ColumnNode, type ColumnPlan, KIND_NULL, kindOf, saysMore } from '../plan.js';
import { ByShape, storedNumber, storedText, textEnd, textStart } from '../stored-shape.js';
import { COST_OF_EVENT, COST_SOURCE, costOfTable, FIXED_TEXTS } from './fixed.js';
import { JSON_PARTS, type TypedColumn } from './schema.js';

/** Bytes of written-out texts that are gathered before they should be taken. */
const TEXT_BYTES = 16 << 20;
/** Rows taken at once, before it is looked again whether they are enough. */
const LOOK_EVERY_ROWS = 1024;

/** A column of rows of one shape: its value in all of them, or where it comes from. */
interface ShapedCell {
  readonly stage: Stage;
  readonly constant?: Json;
  /** Of what is stored with the row. */
  readonly slot?: number;
  readonly isNumber?: boolean;
  /** Of the gathered numbers. */
  readonly numbers?: Float64Array;
}

/** What is remembered of a source. */
interface KnownSource {
  readonly experimentId: Buffer;
  /** Code of the cost source that is the price table. */
  readonly tableCode: number;
  /** Templates by binding; UNKNOWN before its first row. */
  readonly templates: Int32Array;
  /** Null for rows that have to be decoded. */
  readonly shaped: ByShape<readonly ShapedCell[] | null>;
}

interface Place {
  readonly column: TypedColumn;
  readonly stage: Stage;
}

const UNKNOWN = -1;

export class RowGatherer {
  rows = 0;
  readonly capacity: number;
  /** In the order of the columns. */
  readonly stages: readonly Stage[];

  private readonly plan: ColumnPlan;
  private readonly marks = new Marks();
  private readonly byName = new Map<string, Place>();
  private readonly byNode = new Map<ColumnNode, Place>();
  /** The columns of rows that bindings say something about. */
  private readonly bound: readonly Stage[];
  private readonly fixedTexts: readonly { place: Place; read: (event: EventRow) => string | null }[];
  private readonly textStages: readonly TextStage[];
  private readonly sources = new Map<RowSource, KnownSource>();
  private templateCount = 1;
  /** Each row's template. */
  private readonly templateIds: Int32Array;
  /** The templates among them; and of each template, whether it is one. */
  private used: number[] = [];
  private isUsed = new Uint8Array(64);
  /** Whether templates have texts to be written out. */
  private writesTemplates = false;

  // Columns in which every row has its own value. Where the file has no such column, they are nobody's.
  private readonly timeUs: Float64Array;
  private readonly sequences: Float64Array;
  private readonly latencyMs: Float64Array;
  private readonly costUsd: Float64Array;
  private readonly success: Uint8Array;
  private readonly eventIds: TextStage;
  private readonly malformed: Uint8Array;
  private readonly costSources: Int32Array;
  private readonly costSourceTexts: TextSet | null;
  private readonly prompts: Float64Array;
  private readonly completions: Float64Array;
  private readonly totals: Float64Array;
  private readonly jsonParts: readonly { place: Place; part: (typeof JSON_PARTS)[number] }[];

  constructor(columns: readonly TypedColumn[], plan: ColumnPlan, capacity: number) {
    this.capacity = capacity;
    this.plan = plan;
    this.templateIds = new Int32Array(capacity);
    this.stages = columns.map((column) => {
      const stage = stageOf(column, capacity);
      if (column.node !== null) this.byNode.set(column.node, { column, stage });
      else this.byName.set(column.name, { column, stage });
      return stage;
    });
    this.textStages = this.stages.flatMap((stage) => (stage.kind === 'texts' ? stage.stage : []));
    this.fixedTexts = FIXED_TEXTS.flatMap(({ name, read }) => {
      const place = this.byName.get(name);
      return place === undefined ? [] : { place, read };
    });
    this.jsonParts = JSON_PARTS.flatMap((part) => {
      const place = this.byName.get(part);
      return place === undefined ? [] : { place, part };
    });
    this.bound = [
      ...[...this.byNode.values()].map(({ stage }) => stage),
      ...this.fixedTexts.map(({ place }) => place.stage),
      ...this.jsonParts.map(({ place }) => place.stage),
    ];
    this.timeUs = this.numbers('timestamp');
    this.sequences = this.numbers('sequence');
    this.latencyMs = this.numbers('latency_ms');
    this.costUsd = this.numbers('cost_usd');
    this.success = this.flags('success');
    this.malformed = this.flags('malformed');
    this.prompts = this.numbers('tokens_prompt');
    this.completions = this.numbers('tokens_completion');
    this.totals = this.numbers('tokens_total');
    this.eventIds = this.byName.get('event_id')!.stage.stage as TextStage;
    const costSource = this.byName.get(COST_SOURCE)?.stage;
    this.costSources = costSource?.kind === 'codes' ? costSource.stage.values : new Int32Array(capacity);
    this.costSourceTexts = costSource?.kind === 'codes' ? costSource.texts : null;
  }

  /** Whether what is gathered should be taken before there is more. */
  get isFull(): boolean {
    if (this.rows === this.capacity) return true;
    let bytes = 0;
    for (const stage of this.textStages) bytes += stage.length;
    return bytes >= TEXT_BYTES;
  }

  /** Takes rows of a block from its row `from` on. @returns how many */
  addRows(source: RowSource, block: OrderedRows, from: number): number {
    const { table } = block;
    const most = Math.min(block.rows.length - from, this.capacity - this.rows, LOOK_EVERY_ROWS);
    const count = told(table.tags, block.rows, from, from + most);
    if (count === 0) return this.addEvents([table.event(source, block.rows[from])], 0);
    const rows = block.rows.subarray(from, from + count);
    const at = this.rows;
    const known = this.sources.get(source) ?? this.newSource(source);
    copyFloored(table.timeUs, rows, this.timeUs, at);
    copy(table.sequences, rows, this.sequences, at);
    copyValues(table.latencyMs, rows, this.latencyMs, at);
    copyValues(table.costUsd, rows, this.costUsd, at);
    this.copyTags(table.tags, rows, at, known.tableCode);
    this.copyTokens(table.promptTokens, table.completionTokens, rows, at);
    this.copyIds(source, known.experimentId, table.producers, table.sequences, rows, at);
    this.rows += count;
    const { templateIds, isUsed } = this;
    const { tags } = table;
    for (let i = 0; i < count; i++) {
      const tag = tags[rows[i]];
      const template = saysMore(tag) ? OWN : known.templates[tag & TAG_BINDING_MASK];
      templateIds[at + i] = template;
      // A template that is new is not used yet either.
      if (template > OWN && isUsed[template] === 1 && !this.writesTemplates) continue;
      this.addBound(source, known, block, from + i, at + i, template);
    }
    return count;
  }

  /** Adds what the row's template or its event says. @param index - in the block */
  private addBound(
    source: RowSource,
    known: KnownSource,
    { table, rows, events }: OrderedRows,
    index: number,
    at: number,
    template: number,
  ): void {
    const row = rows[index];
    if (template === UNKNOWN) {
      const binding = table.tags[row] & TAG_BINDING_MASK;
      template = this.newTemplate(table.event(source, row));
      known.templates[binding] = template;
      this.templateIds[at] = template;
    }
    if (this.isUsed[template] === 0) this.use(template);
    if (template === OWN) {
      const cells = known.shaped.get(table, row);
      if (cells !== undefined && cells !== null) {
        for (const cell of cells) this.setCell(at, cell, table.blob, known.shaped.places);
        return;
      }
      const event = events?.[index] ?? table.event(source, row);
      this.setTokens(at, event.tokens);
      this.setOwn(at, event);
    } else if (this.writesTemplates) {
      for (const stage of this.textStages) stage.setFrom(template, at);
    }
  }

  /** Takes events from `from` on. @returns how many */
  addEvents(events: readonly EventRow[], from: number): number {
    const count = Math.min(events.length - from, this.capacity - this.rows, LOOK_EVERY_ROWS);
    for (let i = 0; i < count; i++) {
      const event = events[from + i];
      const row = this.rows++;
      this.timeUs[row] = event.timestamp;
      this.sequences[row] = event.sequence;
      this.latencyMs[row] = finiteOrNaN(event.latencyMs);
      this.costUsd[row] = finiteOrNaN(event.costUsd);
      this.success[row] = flagOf(event.success);
      this.malformed[row] = flagOf(event.malformed);
      if (this.costSourceTexts !== null) {
        this.costSources[row] =
          event.costSource === null ? 0 : codeOf(this.costSourceTexts, event.costSource);
      }
      this.setTokens(row, event.tokens);
      this.eventIds.set(row, event.eventId);
      this.templateIds[row] = OWN;
      if (this.isUsed[OWN] === 0) this.use(OWN);
      this.setOwn(row, event);
    }
    return count;
  }

  /** Completes the columns, which then hold `rows` rows. */
  resolve(): void {
    for (const { kind, stage } of this.bound) {
      if (kind !== 'texts') stage.resolve(this.templateIds, this.rows, this.used);
    }
    for (const stage of this.textStages) stage.resolve(this.rows);
  }

  /** Forgets the rows and keeps the memory. */
  reset(): void {
    this.rows = 0;
    for (const template of this.used) this.isUsed[template] = 0;
    this.used = [];
    for (const { stage } of this.stages) stage.reset();
  }

  private numbers(name: string): Float64Array {
    const stage = this.byName.get(name)?.stage;
    return stage?.kind === 'numbers' ? stage.stage.values : new Float64Array(this.capacity);
  }

  private flags(name: string): Uint8Array {
    const stage = this.byName.get(name)?.stage;
    return stage?.kind === 'flags' ? stage.stage.values : new Uint8Array(this.capacity);
  }

  private newSource(source: RowSource): KnownSource {
    const known = {
      experimentId: Buffer.from(source.experimentId),
      tableCode: this.costSourceTexts?.find(costOfTable(source.priceVersion)) ?? 0,
      templates: new Int32Array(TAG_BINDING_MASK + 1).fill(UNKNOWN),
      shaped: new ByShape(source, this.marks, (event) => this.shapedCells(event)),
    };
    this.sources.set(source, known);
    return known;
  }

  private newTemplate(event: EventRow): number {
    const template = this.templateCount++;
    if (template >= this.isUsed.length) {
      const larger = new Uint8Array(2 * template);
      larger.set(this.isUsed);
      this.isUsed = larger;
    }
    this.eachBound(event, (stage, value) => {
      if (stage.kind === 'texts') {
        stage.stage.setTemplate(template, textOf(value));
        this.writesTemplates = true;
      } else {
        stage.stage.setTemplate(template, encoded(stage, value));
      }
    });
    return template;
  }

  private use(template: number): void {
    this.isUsed[template] = 1;
    this.used.push(template);
  }

  private setOwn(row: number, event: EventRow): void {
    this.eachBound(event, (stage, value) => setValue(stage, row, value));
  }

  /** Sets a row's value. @param places - where those begin that are stored with it */
  private setCell(row: number, cell: ShapedCell, stored: Buffer, places: Int32Array): void {
    const { stage, constant, slot, isNumber, numbers } = cell;
    if (slot === undefined) {
      setValue(stage, row, numbers === undefined ? constant! : numbers[row]);
    } else if (isNumber) {
      const value = storedNumber(stored, places[slot]);
      if (Number.isFinite(value)) setValue(stage, row, value);
    } else if (stage.kind === 'texts') {
      stage.stage.setBytes(row, stored, textStart(stored, places[slot]), textEnd(stored, places[slot]));
    } else {
      setValue(stage, row, storedText(stored, places[slot]));
    }
  }

  /** The cells of rows like the event, which has marks for values; null where a value becomes part of another. */
  private shapedCells(event: EventRow): readonly ShapedCell[] | null {
    const { marks } = this;
    const cells: ShapedCell[] = [];
    let hasParts = false;
    this.eachBound(event, (stage, value) => {
      const slot = marks.slotOf(value);
      if (slot !== undefined) cells.push({ stage, slot, isNumber: typeof value === 'number' });
      else if (typeof value === 'number')
        cells.push({ stage, constant: value, numbers: this.countsOf(value) });
      else {
        cells.push({ stage, constant: value });
        if (typeof value === 'string' && marks.isIn(value)) hasParts = true;
      }
    });
    return hasParts ? null : cells;
  }

  /** The column of token counts that the mark stands for, if it does. */
  private countsOf(value: number): Float64Array | undefined {
    const { prompt, completion } = this.marks;
    if (value === prompt) return this.prompts;
    return value === completion ? this.completions : value === prompt + completion ? this.totals : undefined;
  }

  /** Calls `leaf` for every value of the event that a binding might have told, as its column has it; not for null. */
  private eachBound(event: EventRow, leaf: (stage: Stage, value: Json) => void): void {
    for (const { place, read } of this.fixedTexts) {
      const text = read(event);
      if (text !== null) leaf(place.stage, text);
    }
    for (const { place, part } of this.jsonParts) leaf(place.stage, jsonText(event[part]));
    if (this.jsonParts.length > 0) return;
    this.plan.visit(event, (node, value) => {
      if (kindOf(value) === KIND_NULL) return;
      const place = this.byNode.get(node);
      if (place === undefined) throw changed();
      leaf(place.stage, place.column.json ? jsonText(value) : value);
    });
  }

  private setTokens(row: number, tokens: EventRow['tokens']): void {
    this.prompts[row] = finiteOrNaN(tokens?.prompt);
    this.completions[row] = finiteOrNaN(tokens?.completion);
    this.totals[row] = finiteOrNaN(tokens?.total);
  }

  private copyTags(tags: Uint32Array, rows: Uint32Array, at: number, tableCode: number): void {
    const { success, malformed, costSources, costUsd } = this;
    const count = rows.length;
    const codeOfSource = (text: string | null) =>
      text === null ? 0 : (this.costSourceTexts?.find(text) ?? 0);
    const eventCode = codeOfSource(COST_OF_EVENT);
    let seen = 0;
    for (let i = 0; i < count; i++) {
      const tag = tags[rows[i]];
      seen |= tag;
      success[at + i] =
        (tag & FLAG_SUCCEEDED) !== 0 ? FLAG_TRUE : (tag & FLAG_FAILED) !== 0 ? FLAG_FALSE : FLAG_NULL;
    }
    for (let row = at; row < at + count; row++) costSources[row] = Number.isNaN(costUsd[row]) ? 0 : eventCode;
    malformed.fill(FLAG_FALSE, at, at + count);
    const unpricedCodes = UNPRICED.map(codeOfSource);
    // Neither is ever so of a recorder's rows.
    if ((seen & (FLAG_COST_COMPUTED | UNPRICED_MASK)) === 0) return;
    for (let i = 0; i < count; i++) {
      const tag = tags[rows[i]];
      if ((tag & FLAG_COST_COMPUTED) !== 0 && costSources[at + i] !== 0) costSources[at + i] = tableCode;
      if ((tag & UNPRICED_MASK) !== 0)
        costSources[at + i] = unpricedCodes[(tag & UNPRICED_MASK) >> UNPRICED_SHIFT];
    }
  }

  private copyTokens(prompt: Int32Array, completion: Int32Array, rows: Uint32Array, at: number): void {
    const { prompts, completions, totals } = this;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      const prompted = prompt[row];
      const completed = completion[row];
      if ((prompted | completed) >= 0) {
        prompts[at + i] = prompted;
        completions[at + i] = completed;
        totals[at + i] = prompted + completed;
      } else {
        const isAbsent = prompted < 0 && completed < 0;
        prompts[at + i] = isAbsent ? Number.NaN : Math.max(prompted, 0);
        completions[at + i] = isAbsent ? Number.NaN : Math.max(completed, 0);
        totals[at + i] = isAbsent ? Number.NaN : Math.max(prompted, completed);
      }
    }
  }

  private copyIds(
    source: RowSource,
    experimentId: Buffer,
    producers: Int32Array,
    sequences: Float64Array,
    rows: Uint32Array,
    at: number,
  ): void {
    if (this.eventIds.setIds(at, experimentId, rows, producers, sequences)) return;
    for (let i = 0; i < rows.length; i++) {
      const id = eventIdText(source.experimentId, producers[rows[i]], sequences[rows[i]]);
      this.eventIds.set(at + i, id);
    }
  }
}

function stageOf({ type, texts }: TypedColumn, capacity: number): Stage {
  if (type === 'bool') return { kind: 'flags', stage: flagStage(capacity) };
  if (type !== 'text') return { kind: 'numbers', stage: numberStage(capacity) };
  if (texts === null) return { kind: 'texts', stage: new TextStage(capacity) };
  return { kind: 'codes', stage: codeStage(capacity), texts };
}

function setValue(stage: Stage, row: number, value: Json): void {
  if (stage.kind === 'texts') stage.stage.set(row, textOf(value));
  else stage.stage.set(row, encoded(stage, value));
}

/** A value of the column's type as its stage holds it. @throws RangeError when it is of another type */
function encoded(stage: Exclude<Stage, { kind: 'texts' }>, value: Json): number {
  switch (stage.kind) {
    case 'numbers':
      if (typeof value === 'number') return value;
      break;
    case 'flags':
      if (typeof value === 'boolean') return flagOf(value);
      break;
    case 'codes':
      if (typeof value === 'string') return codeOf(stage.texts, value);
  }
  throw changed();
}

/** Of a row that is not all told by its columns and its binding. */
const UNTOLD = FLAG_CORRECTED | FLAG_MALFORMED;

/** How many rows from `from` on are told. */
function told(tags: Uint32Array, rows: Uint32Array, from: number, end: number): number {
  let seen = 0;
  for (let i = from; i < end; i++) seen |= tags[rows[i]];
  if ((seen & UNTOLD) === 0) return end - from;
  let i = from;
  while (i < end && (tags[rows[i]] & UNTOLD) === 0) i++;
  return i - from;
}

/** @throws RangeError for a text that the plan did not see */
function codeOf(texts: TextSet, text: string): number {
  const code = texts.find(text);
  if (code === 0) throw changed();
  return code;
}

/** @throws RangeError when it is none */
function textOf(value: Json): string {
  if (typeof value !== 'string') throw changed();
  return value;
}

/** Dropping what the plan did not see would be worse: the file would look complete. */
function changed(): RangeError {
  return new RangeError('the events changed between the two passes of an export');
}

function flagOf(value: boolean | null): number {
  return value === null ? FLAG_NULL : value ? FLAG_TRUE : FLAG_FALSE;
}

function finiteOrNaN(value: number | null | undefined): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : Number.NaN;
}

function copy(from: Float64Array, rows: Uint32Array, into: Float64Array, at: number): void {
  for (let i = 0; i < rows.length; i++) into[at + i] = from[rows[i]];
}

function copyFloored(from: Float64Array, rows: Uint32Array, into: Float64Array, at: number): void {
  for (let i = 0; i < rows.length; i++) into[at + i] = Math.floor(from[rows[i]]);
}

/** What is absent or too large to be counted becomes NaN. */
function copyValues(from: Float64Array, rows: Uint32Array, into: Float64Array, at: number): void {
  for (let i = 0; i < rows.length; i++) {
    const value = from[rows[i]];
    into[at + i] = Math.abs(value) <= VALUE_MAX ? value : Number.NaN;
  }
}
