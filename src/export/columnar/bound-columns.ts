/**
 * The columns whose values a row's binding may tell.
 *
 * What a binding says of its rows is a template: each row notes the template's number, and `resolve` puts the values in
 * their places. A row that says more has its values set one by one: from what is stored with it, where rows of its
 * shape are known (../stored-shape.ts), or else from its event.
 */

import { TAG_BINDING_MASK } from '../../../assembly/layout.js';
import { OWN, type Stage, type TextStage } from '../../formats/columns/stages.js';
import { jsonText } from '../../formats/text.js';
import type { OrderedRows } from '../../readers/ordered.js';
import type { RowTable } from '../../readers/row-table.js';
import type { RowSource } from '../../readers/rows.js';
import type { EventRow, Json } from '../../schema/event.js';
import { Marks } from '../marks.js';
import { type ColumnNode, type ColumnPlan, KIND_NULL, kindOf, saysMore } from '../plan.js';
import {
  ByShape,
  declaredSlotValue,
  isStoredSlot,
  storedNumber,
  storedText,
  textEnd,
  textStart,
} from '../stored-shape.js';
import { FIXED_TEXTS } from './fixed.js';
import type { OwnColumns } from './own-columns.js';
import { JSON_PARTS, type TypedColumn } from './schema.js';
import { changed, encoded, setValue, textOf } from './stage-values.js';

export interface Place {
  readonly column: TypedColumn;
  readonly stage: Stage;
}

/** A column of rows of one shape: its value in all of them, or where it comes from. */
interface ShapedCell {
  readonly stage: Stage;
  readonly constant?: Json;
  /** Of what is stored with the row, or of a declared column. */
  readonly slot?: number;
  readonly isNumber?: boolean;
  /** Of the gathered numbers. */
  readonly numbers?: Float64Array;
}

/** What is remembered of a source. */
interface KnownSource {
  /** Templates by binding; UNKNOWN before its first row. */
  readonly templates: Int32Array;
  /** Null for rows that have to be decoded. */
  readonly shaped: ByShape<readonly ShapedCell[] | null>;
}

const UNKNOWN = -1;

export class BoundColumns {
  private readonly plan: ColumnPlan;
  private readonly own: OwnColumns;
  private readonly marks = new Marks();
  private readonly byNode: ReadonlyMap<ColumnNode, Place>;
  private readonly fixedTexts: readonly { stage: Stage; read: (event: EventRow) => string | null }[];
  private readonly jsonParts: readonly { stage: Stage; part: (typeof JSON_PARTS)[number] }[];
  private readonly stages: readonly Stage[];
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

  constructor(places: readonly Place[], plan: ColumnPlan, own: OwnColumns, capacity: number) {
    this.plan = plan;
    this.own = own;
    this.templateIds = new Int32Array(capacity);
    this.byNode = new Map(
      places.flatMap((place) => (place.column.node === null ? [] : [[place.column.node, place]])),
    );
    const fixed = new Map(
      places.flatMap(({ column, stage }) => (column.node === null ? [[column.name, stage]] : [])),
    );
    this.fixedTexts = FIXED_TEXTS.flatMap(({ name, read }) => {
      const stage = fixed.get(name);
      return stage === undefined ? [] : { stage, read };
    });
    this.jsonParts = JSON_PARTS.flatMap((part) => {
      const stage = fixed.get(part);
      return stage === undefined ? [] : { stage, part };
    });
    this.stages = [...this.byNode.values(), ...this.fixedTexts, ...this.jsonParts].map(({ stage }) => stage);
    this.textStages = this.stages.flatMap((stage) => (stage.kind === 'texts' ? stage.stage : []));
  }

  /** Sets rows from `at` on to `count` of the block's rows from `from` on, of which the own columns are set. */
  setRows(source: RowSource, block: OrderedRows, from: number, count: number, at: number): void {
    const known = this.sources.get(source) ?? this.newSource(source);
    const { templateIds, isUsed } = this;
    const { tags } = block.table;
    for (let i = 0; i < count; i++) {
      const tag = tags[block.rows[from + i]];
      const template = saysMore(tag) ? OWN : known.templates[tag & TAG_BINDING_MASK];
      templateIds[at + i] = template;
      // A template that is new is not used yet either.
      if (template > OWN && isUsed[template] === 1 && !this.writesTemplates) continue;
      this.setRow(source, known, block, from + i, at + i, template);
    }
  }

  setEvent(row: number, event: EventRow): void {
    this.templateIds[row] = OWN;
    if (this.isUsed[OWN] === 0) this.use(OWN);
    this.setOwn(row, event);
  }

  /** Puts the templates' values in their places in the first `rows` rows. */
  resolve(rows: number): void {
    for (const { kind, stage } of this.stages) {
      if (kind !== 'texts') stage.resolve(this.templateIds, rows, this.used);
    }
  }

  reset(): void {
    for (const template of this.used) this.isUsed[template] = 0;
    this.used = [];
  }

  /** Sets what the row's template or its event says. @param index - in the block */
  private setRow(
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
        for (const cell of cells) this.setCell(at, cell, source, table, row, known.shaped.places);
        return;
      }
      const event = events?.[index] ?? table.event(source, row);
      this.own.setTokens(at, event.tokens);
      this.setOwn(at, event);
    } else if (this.writesTemplates) {
      for (const stage of this.textStages) stage.setFrom(template, at);
    }
  }

  private newSource(source: RowSource): KnownSource {
    const known = {
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

  /** Sets row `at` to what row `row` of the table has. @param places - where its stored values begin */
  private setCell(
    at: number,
    { stage, constant, slot, isNumber, numbers }: ShapedCell,
    source: RowSource,
    table: RowTable,
    row: number,
    places: Int32Array,
  ): void {
    const { blob } = table;
    if (slot === undefined) {
      setValue(stage, at, numbers === undefined ? constant! : numbers[at]);
    } else if (!isStoredSlot(slot)) {
      setValue(stage, at, declaredSlotValue(source, table, row, slot));
    } else if (isNumber) {
      const value = storedNumber(blob, places[slot]);
      if (Number.isFinite(value)) setValue(stage, at, value);
    } else if (stage.kind === 'texts') {
      stage.stage.setBytes(at, blob, textStart(blob, places[slot]), textEnd(blob, places[slot]));
    } else {
      setValue(stage, at, storedText(blob, places[slot]));
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
    const { prompts, completions, totals } = this.own;
    if (value === prompt) return prompts;
    return value === completion ? completions : value === prompt + completion ? totals : undefined;
  }

  /** Calls `leaf` for every value of the event that a binding might have told, as its column has it; not for null. */
  private eachBound(event: EventRow, leaf: (stage: Stage, value: Json) => void): void {
    for (const { stage, read } of this.fixedTexts) {
      const text = read(event);
      if (text !== null) leaf(stage, text);
    }
    for (const { stage, part } of this.jsonParts) leaf(stage, jsonText(event[part]));
    if (this.jsonParts.length > 0) return;
    this.plan.visit(event, (node, value) => {
      if (kindOf(value) === KIND_NULL) return;
      const place = this.byNode.get(node);
      if (place === undefined) throw changed();
      leaf(place.stage, place.column.json ? jsonText(value) : value);
    });
  }
}
