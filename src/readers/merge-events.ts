/** Several ordered streams of events as one. */
import type { EventRow } from '../schema/event.js';

/** Ascending by time if the streams are; ties keep the order of the streams. Holds one event of each. */
export async function* mergeEvents(streams: readonly AsyncGenerator<EventRow>[]): AsyncGenerator<EventRow> {
  try {
    const heads = await Promise.all(streams.map((stream) => stream.next()));
    for (;;) {
      let first = -1;
      for (let i = 0; i < heads.length; i++) {
        const head = heads[i];
        if (head.done === true) continue;
        if (first < 0 || head.value.timestamp < (heads[first].value as EventRow).timestamp) first = i;
      }
      if (first < 0) return;
      yield heads[first].value as EventRow;
      heads[first] = await streams[first].next();
    }
  } finally {
    await Promise.all(streams.map((stream) => stream.return(undefined)));
  }
}
