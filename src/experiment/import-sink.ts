/** Stores what an import reads: any record as an event, and events of our own exports as they were. */

import type { EventWriter, KnownColumns } from '../capture/event-writer.js';
import type { Clock } from '../clock.js';
import type { ImportedRecord, RestoredParts } from '../import/index.js';
import { eventIdText } from '../row/event-id.js';

import { UNPRICED } from '../schema/enrich.js';
import type { Json } from '../schema/event.js';

export class ImportSink {
  private readonly writer: EventWriter;
  private readonly clock: Clock;
  /** What costs computed from the present price table are marked by. */
  private readonly tableSource: string;
  private readonly idAt: (producer: number, sequence: number) => string;

  constructor(writer: EventWriter, experimentId: string, priceVersion: string, clock: Clock) {
    this.writer = writer;
    this.clock = clock;
    this.tableSource = `table:${priceVersion}`;
    this.idAt = (producer, sequence) => eventIdText(experimentId, producer, sequence);
  }

  /** @returns false when the event is refused */
  accept(record: ImportedRecord): boolean {
    const { event, success, model, provider } = record;
    const timestampUs = record.timestampUs ?? this.clock.nowUs();
    const known: KnownColumns = {
      latencyMs: record.latencyMs ?? Number.NaN,
      costUsd: record.costUsd ?? Number.NaN,
      prompt: record.promptTokens ?? -1,
      completion: record.completionTokens ?? -1,
      success,
      model,
      provider,
    };
    if (record.restored !== null) {
      return this.restore(timestampUs, record, record.restored, known);
    }
    const metadata: Record<string, Json> = { ...record.metadata };
    if (model !== null) metadata.model = model;
    if (provider !== null) metadata.provider = provider;
    return this.writer.captureKnown(timestampUs, event, known, metadata);
  }

  private restore(
    timestampUs: number,
    { event, costUsd, metadata }: ImportedRecord,
    { eventId, costSource, malformed, measurements, corrections }: RestoredParts,
    known: KnownColumns,
  ): boolean {
    const costComputed = costUsd !== null && costSource === this.tableSource;
    const unpriced = costUsd === null ? Math.max(UNPRICED.indexOf(costSource ?? null), 0) : 0;
    const found = costUsd === null ? UNPRICED[unpriced] : costComputed ? this.tableSource : 'event';
    const isTold = costSource === undefined || costSource === found;
    return this.writer.restore(timestampUs, {
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
