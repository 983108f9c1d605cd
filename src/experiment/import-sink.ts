/** Stores what an import reads: any record as an event, and events of our own exports as they were. */

import type { EventWriter, RecordFlaws } from '../capture/event-writer.js';
import { type KnownColumns, RestoredEvents } from '../capture/restored-events.js';
import type { Clock } from '../clock.js';
import type { ImportedRecord, ReportProblem, RestoredParts } from '../import/index.js';
import { eventIdText } from '../row/event-id.js';
import { UNPRICED } from '../schema/enrich.js';
import type { Json } from '../schema/event.js';
import { tellsCut } from '../schema/malformed.js';

/** What was malformed of an event of ours was counted when it was captured. */
const AS_IT_WAS: RecordFlaws = { notUnderstood: [], notKept: [] };

export class ImportSink {
  private readonly writer: EventWriter;
  private readonly restored: RestoredEvents;
  private readonly clock: Clock;
  /** What costs computed from the present price table are marked by. */
  private readonly tableSource: string;
  private readonly idAt: (producer: number, sequence: number) => string;

  constructor(writer: EventWriter, experimentId: string, priceVersion: string, clock: Clock) {
    this.writer = writer;
    this.restored = new RestoredEvents(writer);
    this.clock = clock;
    this.tableSource = `table:${priceVersion}`;
    this.idAt = (producer, sequence) => eventIdText(experimentId, producer, sequence);
  }

  /** @returns what of the event could not be understood or kept; null when it is refused */
  accept(record: ImportedRecord): RecordFlaws | null {
    const { event, model, provider } = record;
    const timestampUs = record.timestampUs ?? this.clock.nowUs();
    if (record.restored !== null) {
      return this.restore(timestampUs, record, record.restored) ? AS_IT_WAS : null;
    }
    const metadata: Record<string, Json> = { ...record.metadata };
    if (model !== null) metadata.model = model;
    if (provider !== null) metadata.provider = provider;
    return this.writer.captureRecord(timestampUs, event, record, metadata, record.malformedKeys);
  }

  private restore(
    timestampUs: number,
    record: ImportedRecord,
    { eventId, costSource, malformed, measurements, corrections }: RestoredParts,
  ): boolean {
    const { event, costUsd, metadata, success, model, provider } = record;
    const known: KnownColumns = {
      latencyMs: record.latencyMs ?? Number.NaN,
      costUsd: costUsd ?? Number.NaN,
      prompt: record.promptTokens ?? -1,
      completion: record.completionTokens ?? -1,
      success,
      model,
      provider,
    };
    const costComputed = costUsd !== null && costSource === this.tableSource;
    const unpriced = costUsd === null ? Math.max(UNPRICED.indexOf(costSource ?? null), 0) : 0;
    const found = costUsd === null ? UNPRICED[unpriced] : costComputed ? this.tableSource : 'event';
    const isTold = costSource === undefined || costSource === found;
    return this.restored.store(timestampUs, {
      name: event,
      known,
      costComputed,
      unpriced,
      malformed,
      measurements,
      metadata,
      corrections: isTold ? corrections : { ...corrections, costSource },
      eventId,
      idAt: this.idAt,
    });
  }
}

/** Counts what of an event could not be understood or kept. What was cut is counted elsewhere. */
export function reportFlaws({ notUnderstood, notKept }: RecordFlaws, report: ReportProblem): void {
  if (notUnderstood.length > 0) report(`${notUnderstood.join(', ')}: not understood`, 'value');
  const beyond = notKept.filter((key) => !tellsCut([key]));
  if (beyond.length === 0) return;
  report(
    `${beyond.join(', ')}: beyond a limit (nesting, keys), or of another type than its declared column`,
    'limit',
  );
}
