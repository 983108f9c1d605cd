/** Several ordered streams of events as one. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeEvents } from '../../src/readers/merge-events.js';
import type { EventRow } from '../../src/schema/event.js';
import { collect } from '../support/rows.js';

/** Events that tell of which stream they are, by their experiment. */
function streamOf(name: string, times: readonly number[], onEnd: () => void = () => {}) {
  const events = times.map(
    (timestamp, sequence) => ({ experimentId: name, sequence, timestamp }) as EventRow,
  );
  return (async function* () {
    try {
      yield* events;
    } finally {
      onEnd();
    }
  })();
}

describe('mergeEvents', () => {
  it('is a stable sort of all streams, one after the other', async () => {
    const times = fc.array(fc.nat(20)).map((unordered) => unordered.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(fc.array(times, { maxLength: 5 }), async (all) => {
        const open = () => all.map((one, i) => streamOf(`${i}`, one));
        const expected = (await Promise.all(open().map((stream) => collect(stream)))).flat();
        expected.sort((a, b) => a.timestamp - b.timestamp);
        expect(await collect(mergeEvents(open()))).toEqual(expected);
      }),
    );
  });

  it('ends all streams when its reader goes, or one of them fails', async () => {
    let ended = 0;
    const count = () => {
      ended++;
    };
    for await (const event of mergeEvents([streamOf('a', [1, 3], count), streamOf('b', [2], count)])) {
      expect(event.timestamp).toBe(1);
      break;
    }
    expect(ended).toBe(2);
    const error = new Error('disk');
    const failing = (async function* (): AsyncGenerator<EventRow> {
      yield { timestamp: 0 } as EventRow;
      throw error;
    })();
    await expect(collect(mergeEvents([failing, streamOf('b', [2], count)]))).rejects.toBe(error);
    expect(ended).toBe(3);
  });
});
