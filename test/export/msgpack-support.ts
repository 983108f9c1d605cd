/** An experiment's memory without the experiment: what an encoder is given. */

import { systemClock } from '../../src/clock.js';
import { resolveOptions } from '../../src/experiment/options.js';
import { Stores } from '../../src/experiment/stores.js';
import type { ExportEncoder } from '../../src/export/encoder.js';
import { compileFilter } from '../../src/readers/filter.js';
import { MemoryStore } from '../../src/readers/memory-store.js';
import { openView, type View } from '../../src/readers/source.js';
import type { EventRow } from '../../src/schema/event.js';
import { REFERENCE_PRICES } from '../../src/schema/prices.js';
import { allEvents } from '../readers/support.js';
import { COLUMNS, play, type Step } from '../roundtrip/support.js';
import { blocksOfViews, encoded } from './support.js';

/** What an experiment holds that was told all this. */
export function viewOfSteps(steps: readonly Step[], capacity = 1024): View {
  const options = resolveOptions({
    name: 'round trip',
    id: 'id-1',
    capacity,
    columns: COLUMNS,
    tags: ['t'],
  });
  const stores = new Stores(options, { clock: systemClock, prices: REFERENCE_PRICES });
  play(steps, stores.writer);
  stores.writer.ring.publish();
  return openView(new MemoryStore(stores.reader, stores.source), compileFilter(undefined, stores.source));
}

export const eventsOfView = (view: View): Promise<EventRow[]> => allEvents(view);

export function encodeRows(encoder: ExportEncoder, view: View): Promise<Buffer> {
  return encoded(encoder, blocksOfViews(view));
}

export function encodeEvents(encoder: ExportEncoder, events: readonly EventRow[]): Promise<Buffer> {
  return encoded(
    encoder,
    events.map((event) => ({ events: [event] })),
  );
}
