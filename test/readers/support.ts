/** Ordered reads as arrays. */
import { type OrderOptions, orderedEvents, orderedRows } from '../../src/readers/ordered.js';
import type { View } from '../../src/readers/source.js';
import type { EventRow } from '../../src/schema/event.js';
import { collect } from '../support/rows.js';

/** The events that pass the view's filter, ascending by time; ties keep capture order. */
export const allEvents = (view: View, options?: OrderOptions): Promise<EventRow[]> =>
  collect(orderedEvents(view, options));

/** The last `count` of those events, ascending. Reads from the newest end, and no further than needed. */
export async function lastEvents(view: View, count: number, options?: OrderOptions): Promise<EventRow[]> {
  const latestFirst: EventRow[][] = [];
  let missing = count;
  for await (const { table, rows } of orderedRows(view, { ...options, latestFirst: true })) {
    const wanted = rows.subarray(Math.max(0, rows.length - missing));
    latestFirst.push(Array.from(wanted, (row) => table.event(view.source, row)));
    missing -= wanted.length;
    if (missing <= 0) break;
  }
  return latestFirst.reverse().flat();
}
