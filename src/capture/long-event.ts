/**
 * Room for an event that is larger than what a thread's share of the memory has room for, and how much is kept of one
 * that is larger than any may be.
 */
import { EVENT_BYTES_MAX } from '../../assembly/layout.js';
import { MsgpackWriter, OUT_OF_ROOM, TEXT_BYTES_MAX } from '../formats/msgpack/stored-value.js';

/** Texts are not cut to less than this; bytes. */
const CUT_BYTES_MIN = 1024;

/** The writer used last: such events come one after the other. Only what is written of its memory takes up any. */
let last: WeakRef<MsgpackWriter> | undefined;

/** Gives `use` an empty writer of EVENT_BYTES_MAX, which is its own until it returns. */
export function withLongWriter<T>(use: (out: MsgpackWriter) => T): T {
  const out = last?.deref() ?? new MsgpackWriter(new ArrayBuffer(EVENT_BYTES_MAX), 0, EVENT_BYTES_MAX);
  // A getter of the event may capture another one that is as large.
  last = undefined;
  try {
    return use(out);
  } finally {
    last = new WeakRef(out);
  }
}

/**
 * Writes an event by `write`, with the texts that are too long for it to fit cut to one length: the largest power of two
 * with which it does.
 * @param write - is called again for each length that is tried
 * @returns false when it is too large whatever is cut
 */
export function writeFitting(out: MsgpackWriter, write: () => void): boolean {
  if (fits(out, TEXT_BYTES_MAX, write)) return true;
  if (!fits(out, CUT_BYTES_MIN, write)) return false;
  let fitting = Math.log2(CUT_BYTES_MIN);
  let tooLong = Math.log2(TEXT_BYTES_MAX);
  let tried = fitting;
  while (tooLong - fitting > 1) {
    tried = (fitting + tooLong) >> 1;
    if (fits(out, 2 ** tried, write)) fitting = tried;
    else tooLong = tried;
  }
  return fitting === tried || fits(out, 2 ** fitting, write);
}

/** Begins anew, and says whether it came to an end. */
function fits(out: MsgpackWriter, textBytesMax: number, write: () => void): boolean {
  out.restart(textBytesMax);
  try {
    write();
    return true;
  } catch (error) {
    if (error !== OUT_OF_ROOM) throw error;
    return false;
  }
}
