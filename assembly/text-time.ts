/** Times as text: ISO 8601 in UTC with six digits of a second, years as JavaScript's Date prints them. */
import {
  TABLES_SECOND_BYTES_OFFSET,
  TABLES_SECOND_OFFSET,
  TABLES_SECOND_TEXT_OFFSET,
} from './text-layout';
import { digits8 } from './text-number';

const SECOND_US: i64 = 1_000_000;
const DAY_SECONDS: i64 = 86_400;
/** Of the text of a second whose year has no sign. */
const UNSIGNED_BYTES: i32 = 20;
const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/**
 * @param timeUs - whole microseconds since the Unix epoch, within ±8.64e18
 * @param tables - keeps the text of the last second: times come in order
 * @param mark - what stands before a year with a sign; 0 = nothing
 * @returns where the text ends
 */
@inline
export function writeTime(timeUs: i64, out: usize, tables: usize, mark: u8): usize {
  let second = timeUs / SECOND_US;
  let micros = timeUs - second * SECOND_US;
  if (micros < 0) {
    second--;
    micros += SECOND_US;
  }
  if (load<i64>(tables, TABLES_SECOND_OFFSET) !== second) keepSecond(second, tables);
  const text = tables + TABLES_SECOND_TEXT_OFFSET;
  const bytes = load<i32>(tables, TABLES_SECOND_BYTES_OFFSET);
  if (bytes !== UNSIGNED_BYTES && mark !== 0) {
    store<u8>(out, mark);
    out++;
  }
  v128.store(out, v128.load(text));
  store<u64>(out, load<u64>(text, 16), 16);
  out += bytes;
  store<u64>(out, ((digits8(<u64>micros) | ASCII_ZEROS) >> 16) | (<u64>0x5a << 48)); // 'Z'
  return out + 7;
}

/** Writes `2023-11-14T22:13:20.` into the tables. */
function keepSecond(second: i64, tables: usize): void {
  store<i64>(tables, second, TABLES_SECOND_OFFSET);
  const text = tables + TABLES_SECOND_TEXT_OFFSET;
  let day = second / DAY_SECONDS;
  let ofDay = second - day * DAY_SECONDS;
  if (ofDay < 0) {
    day--;
    ofDay += DAY_SECONDS;
  }
  // Years begin in March here, so that the leap day is the last one, and eras of 400 years are all alike.
  const sinceEra = day + 719_468;
  const era = (sinceEra >= 0 ? sinceEra : sinceEra - 146_096) / 146_097;
  const dayOfEra = sinceEra - era * 146_097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const march = (5 * dayOfYear + 2) / 153;
  const dayOfMonth = dayOfYear - (153 * march + 2) / 5 + 1;
  const month = march < 10 ? march + 3 : march - 9;
  const year = yearOfEra + era * 400 + <i64>(month <= 2);

  let out = text;
  if (year < 0 || year > 9999) {
    store<u8>(out, year < 0 ? 0x2d : 0x2b);
    store<u64>(out, (digits8(<u64>abs(year)) | ASCII_ZEROS) >> 16, 1);
    out += 7;
  } else {
    store<u32>(out, <u32>((digits8(<u64>year) | ASCII_ZEROS) >> 32));
    out += 4;
  }
  const hour = ofDay / 3600;
  const minute = (ofDay - hour * 3600) / 60;
  out = writePair(out, month, 0x2d);
  out = writePair(out, dayOfMonth, 0x2d);
  out = writePair(out, hour, 0x54);
  out = writePair(out, minute, 0x3a);
  out = writePair(out, ofDay % 60, 0x3a);
  store<u8>(out, 0x2e);
  store<i32>(tables, <i32>(out + 1 - text), TABLES_SECOND_BYTES_OFFSET);
}

/** A mark and two digits. */
@inline
function writePair(out: usize, value: i64, mark: u8): usize {
  store<u8>(out, mark);
  store<u8>(out, <u8>(value / 10) + 0x30, 1);
  store<u8>(out, <u8>(value % 10) + 0x30, 2);
  return out + 3;
}
