import { describe, expect, it } from 'vitest';
import { latenciesOf, makeRing } from '../support/ring.js';

describe('adopting the rows of a thread that is gone', () => {
  it('takes all of them, whatever their binding and success', () => {
    for (const event of ['e', 'a name that found no place'.repeat(4000)]) {
      const ring = makeRing();
      const writer = ring.writer();
      const recorder = writer.recorder(event);
      for (let i = 0; i < 5; i++) recorder.recordAt(i, i, 0, 0, 0, i === 2 ? null : true);
      ring.control.adopt([writer.ring.producer]);
      expect(latenciesOf(ring), `a name of ${event.length} characters`).toEqual([0, 1, 2, 3, 4]);
    }
  });
});
