/**
 * The columns in which every row has a value of its own: copied from a block's columns, or set event by event.
 *
 * Where the file has no such column, the values go into an array that nobody reads.
 */

import {
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_SUCCEEDED,
  UNPRICED_MASK,
  UNPRICED_SHIFT,
  VALUE_MAX,
} from '../../../assembly/layout.js';
import {
  FLAG_FALSE,
  FLAG_NULL,
  FLAG_TRUE,
  type Stage,
  type TextStage,
} from '../../formats/columns/stages.js';
import type { TextSet } from '../../formats/columns/text-set.js';
import type { RowTable } from '../../readers/row-table.js';
import type { RowSource } from '../../readers/rows.js';
import { eventIdText } from '../../row/event-id.js';
import { UNPRICED } from '../../schema/enrich.js';
import type { EventRow } from '../../schema/event.js';
import { COST_OF_EVENT, COST_SOURCE, costOfTable } from './fixed.js';
import { codeOf, flagOf } from './stage-values.js';

/** What the rows of one source have in common. */
interface Shared {
  readonly experimentId: Buffer;
  /** Code of the cost source that is the price table. */
  readonly tableCode: number;
}

export class OwnColumns {
  readonly prompts: Float64Array;
  readonly completions: Float64Array;
  readonly totals: Float64Array;

  private readonly timeUs: Float64Array;
  private readonly sequences: Float64Array;
  private readonly latencyMs: Float64Array;
  private readonly costUsd: Float64Array;
  private readonly success: Uint8Array;
  private readonly malformed: Uint8Array;
  private readonly eventIds: TextStage;
  private readonly costSources: Int32Array;
  private readonly costSourceTexts: TextSet | null;
  private readonly shared = new Map<RowSource, Shared>();

  /** @param stages - by the columns' names */
  constructor(stages: ReadonlyMap<string, Stage>, capacity: number) {
    const numbers = (name: string) => {
      const stage = stages.get(name);
      return stage?.kind === 'numbers' ? stage.stage.values : new Float64Array(capacity);
    };
    const flags = (name: string) => {
      const stage = stages.get(name);
      return stage?.kind === 'flags' ? stage.stage.values : new Uint8Array(capacity);
    };
    this.timeUs = numbers('timestamp');
    this.sequences = numbers('sequence');
    this.latencyMs = numbers('latency_ms');
    this.costUsd = numbers('cost_usd');
    this.success = flags('success');
    this.malformed = flags('malformed');
    this.prompts = numbers('tokens_prompt');
    this.completions = numbers('tokens_completion');
    this.totals = numbers('tokens_total');
    this.eventIds = stages.get('event_id')!.stage as TextStage;
    const costSource = stages.get(COST_SOURCE);
    this.costSources = costSource?.kind === 'codes' ? costSource.stage.values : new Int32Array(capacity);
    this.costSourceTexts = costSource?.kind === 'codes' ? costSource.texts : null;
  }

  /** Copies rows of a table to rows from `at` on. They are told by their columns: neither corrected nor malformed. */
  copy(source: RowSource, table: RowTable, rows: Uint32Array, at: number): void {
    const { experimentId, tableCode } = this.shared.get(source) ?? this.share(source);
    copyFloored(table.timeUs, rows, this.timeUs, at);
    copy(table.sequences, rows, this.sequences, at);
    copyValues(table.latencyMs, rows, this.latencyMs, at);
    copyValues(table.costUsd, rows, this.costUsd, at);
    this.copyTags(table.tags, rows, at, tableCode);
    this.copyTokens(table.promptTokens, table.completionTokens, rows, at);
    this.copyIds(source, experimentId, table, rows, at);
  }

  set(row: number, event: EventRow): void {
    this.timeUs[row] = event.timestamp;
    this.sequences[row] = event.sequence;
    this.latencyMs[row] = finiteOrNaN(event.latencyMs);
    this.costUsd[row] = finiteOrNaN(event.costUsd);
    this.success[row] = flagOf(event.success);
    this.malformed[row] = flagOf(event.malformed);
    if (this.costSourceTexts !== null) {
      this.costSources[row] = event.costSource === null ? 0 : codeOf(this.costSourceTexts, event.costSource);
    }
    this.setTokens(row, event.tokens);
    this.eventIds.set(row, event.eventId);
  }

  setTokens(row: number, tokens: EventRow['tokens']): void {
    this.prompts[row] = finiteOrNaN(tokens?.prompt);
    this.completions[row] = finiteOrNaN(tokens?.completion);
    this.totals[row] = finiteOrNaN(tokens?.total);
  }

  private share(source: RowSource): Shared {
    const { experimentId, priceVersion } = source;
    const shared = {
      experimentId: Buffer.from(experimentId),
      tableCode: this.costSourceTexts?.find(costOfTable(priceVersion)) ?? 0,
    };
    this.shared.set(source, shared);
    return shared;
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
    { producers, sequences }: RowTable,
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
