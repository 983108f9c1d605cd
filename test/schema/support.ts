/** Events taken through an experiment and read back. */
import { expect } from 'vitest';
import type { EventRow, Measurements, Metadata } from '../../src/schema/event.js';
import { type PriceTable, REFERENCE_PRICES } from '../../src/schema/prices.js';
import { type Bench, lastEvent } from '../capture/support.js';

export type Enrich = (
  measurements: Measurements,
  metadata?: Metadata,
  event?: string,
  prices?: PriceTable,
) => Promise<EventRow>;

/** @returns what gives the row of an event; each in an experiment of its own */
export function useEnrich(bench: Bench): Enrich {
  return async (measurements, metadata = {}, event = 'req_llm.request.stop', prices = REFERENCE_PRICES) => {
    const experiment = bench.crucible({ prices }).startExperiment({ name: 'enrich', capacity: 1024 });
    experiment.capture(event, measurements, metadata);
    const row = await lastEvent(experiment);
    const malformedKeys = Object.fromEntries(row.malformedKeys.map((key) => [key, 1]));
    expect(experiment.counts).toMatchObject({ captured: 1, malformed: row.malformed ? 1 : 0 });
    expect(experiment.counts.malformedKeys).toEqual(malformedKeys);
    expect(row.malformed).toBe(row.malformedKeys.length > 0);
    return row;
  };
}
