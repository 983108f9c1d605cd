/**
 * An event's id: the experiment's, the producer and the row's place in capture order, as `<experiment>-<pp>-<ssssssssss>`
 * in lower-case hexadecimal digits. It is stable across exports.
 *
 * Two digits of producer and ten of sequence; a longer sequence has more, without zeros before it.
 */

/** Digits of a sequence, at least. */
export const SEQUENCE_DIGITS = 10;
/** Characters behind the experiment's id, at least. */
export const ID_TAIL_CHARS = '-pp-'.length + SEQUENCE_DIGITS;
/** Sequences from here on have more digits. */
export const LONG_SEQUENCE = 16 ** SEQUENCE_DIGITS;

const TAIL = /^-([0-9a-f]{2})-([0-9a-f]{10}|[1-9a-f][0-9a-f]{10,13})$/;

/** Where in its experiment an event was captured. */
export interface CapturePlace {
  readonly producer: number;
  readonly sequence: number;
}

export function eventIdText(experimentId: string, producer: number, sequence: number): string {
  return `${experimentId}-${hex(producer, 2)}-${hex(sequence, SEQUENCE_DIGITS)}`;
}

/** Null where it is no id of that experiment. */
export function placeOfEventId(eventId: string, experimentId: string): CapturePlace | null {
  if (!eventId.startsWith(experimentId)) return null;
  const match = TAIL.exec(eventId.slice(experimentId.length));
  if (match === null) return null;
  const sequence = Number.parseInt(match[2]!, 16);
  return Number.isSafeInteger(sequence) ? { producer: Number.parseInt(match[1]!, 16), sequence } : null;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
