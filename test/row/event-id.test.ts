import fc from 'fast-check';
import { expect, it } from 'vitest';
import { eventIdText, ID_TAIL_CHARS, LONG_SEQUENCE, placeOfEventId } from '../../src/row/event-id.js';

const places = fc.record({
  producer: fc.integer({ min: 0, max: 255 }),
  sequence: fc.oneof(fc.maxSafeNat(), fc.nat()),
});

it('comes back as the place it was made of', () => {
  fc.assert(
    fc.property(fc.string(), places, (experiment, place) => {
      expect(placeOfEventId(eventIdText(experiment, place.producer, place.sequence), experiment)).toEqual(
        place,
      );
    }),
  );
});

it('has one text for each place, of one length below LONG_SEQUENCE', () => {
  expect(eventIdText('x', 1, 10)).toBe('x-01-000000000a');
  expect(eventIdText('x', 1, LONG_SEQUENCE - 1)).toHaveLength(1 + ID_TAIL_CHARS);
  expect(eventIdText('x', 1, LONG_SEQUENCE)).toHaveLength(2 + ID_TAIL_CHARS);
});

it.each([
  'x',
  'x-',
  'x-1-000000000a',
  'x-01-a',
  'x-01-000000000A',
  'x-01-00000000000a',
  'y-01-000000000a',
  'x-01-ffffffffffffff',
])('%s is none of x', (text) => {
  expect(placeOfEventId(text, 'x')).toBeNull();
});
