/** What the lines of CSV and JSON Lines are, one event at a time and as plainly as can be said. */

import { BASE_COLUMNS, EXTRA_COLUMNS } from '../../src/export/columns.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { snakeCase } from '../../src/schema/fields.js';

type Values = Map<string, Json>;

function oracleText(value: Json): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') return Number.isFinite(value) ? plainNumber(value) : '';
  if (Array.isArray(value) && !value.some((item) => typeof item === 'object' && item !== null))
    return value.map(oracleText).join(',');
  return typeof value === 'object' ? oracleJson(value) : String(value);
}

const plainNumber = (value: number) => (Object.is(value, -0) ? '-0' : `${value}`);

export function oracleJson(value: Json): string {
  if (typeof value === 'number') return Number.isFinite(value) ? plainNumber(value) : 'null';
  if (typeof value === 'string') return JSON.stringify(Buffer.from(value).toString());
  if (Array.isArray(value)) return `[${value.map(oracleJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).map(([key, item]) => `${oracleJson(key)}:${oracleJson(item)}`);
  return `{${entries.join(',')}}`;
}

function fixedValues(event: EventRow): Values {
  return new Map([...BASE_COLUMNS, ...EXTRA_COLUMNS].map(({ name, read }) => [name, read(event)]));
}

/** Metadata without nested objects only: the names of columns are the business of the plan. */
function flatValues(event: EventRow): Values {
  const values = fixedValues(event);
  for (const [key, value] of Object.entries(event.fields)) values.set(snakeCase(key), value);
  for (const [key, value] of Object.entries(event.measurements)) values.set(`measurement_${key}`, value);
  for (const [key, value] of Object.entries(event.metadata)) {
    if (key !== 'tokens') values.set(`metadata_${key}`, value);
    else for (const [part, count] of Object.entries(value!)) values.set(`metadata_tokens_${part}`, count);
  }
  return values;
}

const isBlank = (char: string) => char <= ' ' || '"\u00a0\u3000\ufeff'.includes(char);
const isSign = (char: string) => '=+-@＝＋－＠'.includes(char);

/** One character after the other: an apostrophe in front of a cell that is led, and of a sign that leads what a separator begins. */
export function oracleSafe(text: string): string {
  let [made, led, inBlanks, behindSeparator] = ['', false, true, false];
  for (const char of text) {
    const separates = '\t\r\n'.includes(char);
    if (inBlanks && (separates || isSign(char))) led = true;
    if (!isBlank(char)) inBlanks = false;
    if (behindSeparator && isSign(char)) made += "'";
    if (separates || char === ';') behindSeparator = true;
    else if (!isBlank(char)) behindSeparator = false;
    made += char;
  }
  return led ? `'${made}` : made;
}

export function oracleCsv(events: readonly EventRow[], { flatten = true, csvSafe = false } = {}): string {
  const rows = events.map((event) =>
    flatten ? flatValues(event) : new Map(BASE_COLUMNS.map(({ name, read }) => [name, read(event)])),
  );
  const union = new Set(rows.flatMap((row) => [...row.keys()]));
  const names = flatten ? [...union].sort() : [...union];
  const safe = (value: Json, text: string) =>
    csvSafe && typeof value !== 'number' ? oracleSafe(text) : text;
  const special = csvSafe ? [...'",;\t\r\n'] : [...'",\r\n'];
  const line = (values: Json[]) => {
    const fields = values.map((value) => safe(value, oracleText(value)));
    const quoted = (text: string) =>
      special.some((one) => text.includes(one)) ? `"${text.split('"').join('""')}"` : text;
    return `${fields.map(quoted).join()}\n`;
  };
  const text = line(names) + rows.map((row) => line(names.map((name) => row.get(name) ?? null))).join('');
  return Buffer.from(text).toString();
}

export function oracleJsonl(events: readonly EventRow[]): string {
  return events
    .map((event) => {
      const values = fixedValues(event);
      for (const name of [...values.keys()]) {
        if (name === 'datetime' || name.startsWith('tokens_')) values.delete(name);
      }
      const { metadata, measurements, tokens, fields } = event;
      values.set('metadata', metadata).set('measurements', measurements);
      values.set('tokens', tokens as unknown as Json);
      for (const [key, value] of Object.entries(fields)) values.set(snakeCase(key), value);
      const keys = [...values.keys()].sort();
      return `{${keys.map((key) => `${oracleJson(key)}:${oracleJson(values.get(key)!)}`).join(',')}}\n`;
    })
    .join('');
}
