/** Whole files in each dialect, with each form of time, by a reference writer; what is imported is what was written. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ImportFileOptions } from '../../src/import/index.js';
import type { Json } from '../../src/schema/event.js';
import { importAll, useScratch } from './support.js';

const write = useScratch();

const pad = (value: number | bigint, digits = 2) => String(value).padStart(digits, '0');
const DAY_US = 86_400_000_000;

/** What a time of whole microseconds is called in parts, in UTC. */
function partsOf(us: number) {
  const date = new Date(Math.floor(us / 1000));
  const rest = us - Math.floor(us / 1_000_000) * 1_000_000;
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    clock: `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}`,
    micros: pad(rest, 6),
  };
}

interface TimeForm {
  /** Multiples of which times of this form are, in µs. */
  readonly stepUs: number;
  readonly text: (us: number) => string;
  readonly options?: ImportFileOptions;
  /** Name of the column; default 'timestamp'. */
  readonly column?: string;
}

const iso = (us: number, separator = 'T') => {
  const { year, month, day, clock, micros } = partsOf(us);
  return `${year}-${pad(month)}-${pad(day)}${separator}${clock}.${micros}`;
};
const OFFSET_US = (5 * 60 + 30) * 60_000_000;

const TIMES: Readonly<Record<string, TimeForm>> = {
  seconds: { stepUs: 1e6, text: (us) => String(us / 1e6) },
  'seconds with a fraction': { stepUs: 1, text: (us) => `${Math.floor(us / 1e6)}.${partsOf(us).micros}` },
  milliseconds: { stepUs: 1e3, text: (us) => String(us / 1e3) },
  microseconds: { stepUs: 1, text: String },
  nanoseconds: { stepUs: 1, text: (us) => `${us}000` },
  'milliseconds by name': { stepUs: 1e3, text: (us) => String(us / 1e3), column: 'timestamp_ms' },
  'seconds, stated': { stepUs: 1e6, text: (us) => String(us / 1e6), options: { timestampUnit: 's' } },
  'nanoseconds, stated': { stepUs: 1, text: (us) => `${us}000`, options: { timestampUnit: 'ns' } },
  'ISO 8601 with Z': { stepUs: 1, text: (us) => `${iso(us)}Z` },
  'ISO 8601 without a zone': { stepUs: 1, text: (us) => iso(us) },
  'ISO 8601 with an offset': { stepUs: 1, text: (us) => `${iso(us + OFFSET_US)}+05:30` },
  'ISO 8601 of nine digits': { stepUs: 1, text: (us) => `${iso(us - OFFSET_US)}000-0530` },
  'a blank and UTC': { stepUs: 1, text: (us) => `${iso(us, ' ')} UTC` },
  slashes: {
    stepUs: 1e6,
    text: (us) => `${iso(us, ' ').slice(0, 19).replaceAll('-', '/')}`,
  },
  'a day with slashes': { stepUs: DAY_US, text: (us) => iso(us).slice(0, 10).replaceAll('-', '/') },
  'a day': { stepUs: DAY_US, text: (us) => iso(us).slice(0, 10) },
  'the basic form': {
    stepUs: 1e6,
    text: (us) => `${iso(us).slice(0, 19).replaceAll(/[-:]/g, '')}Z`,
  },
  'a day in the basic form': { stepUs: DAY_US, text: (us) => iso(us).slice(0, 10).replaceAll('-', '') },
  'the day first': {
    stepUs: DAY_US,
    text: (us) => `${partsOf(us).day}/${partsOf(us).month}/${partsOf(us).year}`,
    options: { dateOrder: 'dmy' },
  },
  'the month first': {
    stepUs: 1e6,
    text: (us) => `${partsOf(us).month}/${partsOf(us).day}/${partsOf(us).year} ${partsOf(us).clock}`,
    options: { dateOrder: 'mdy' },
  },
  'serials of Excel': {
    stepUs: DAY_US / 8,
    text: (us) => String(us / DAY_US + 25_569),
    options: { timestampUnit: 'excel' },
  },
};

/** Times of a form from 2001 on, as numbers tell them apart, to 2096. */
const timesOf = ({ stepUs }: TimeForm) =>
  fc
    .integer({ min: Math.ceil(1e15 / stepUs), max: Math.floor(4e15 / stepUs) })
    .map((steps) => steps * stepUs);

const FORMS = Object.entries(TIMES);

describe.each(FORMS)('times as %s', (_name, form) => {
  const { column = 'timestamp', text, options = {} } = form;

  it('are read from CSV and JSON', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(timesOf(form), { minLength: 1, maxLength: 20 }), async (times) => {
        const csv = [`${column},latency_ms`, ...times.map((us, i) => `${text(us)},${i}`)].join('\n');
        const json = times.map((us, i) => JSON.stringify({ [column]: text(us), latency_ms: i })).join('\n');
        for (const path of [await write('times.csv', csv), await write('times.jsonl', json)]) {
          const { records, problems } = await importAll(path, options);
          expect(problems).toBe(0);
          expect(records.map(({ timestampUs }) => timestampUs)).toEqual(times);
        }
      }),
      { numRuns: 40 },
    );
  });
});

interface Dialect {
  readonly delimiter: string;
  readonly decimal: '.' | ',';
  readonly quote: 'all' | 'needed';
  readonly escape: '"' | '\\';
  readonly lineEnd: string;
  readonly encoding: 'utf-8' | 'utf-8-bom' | 'utf-16le' | 'utf-16be' | 'windows-1252';
  readonly comments: number;
  readonly separatorLine: boolean;
  readonly endsOpen: boolean;
  readonly nothing: string;
}

const DIALECT: fc.Arbitrary<Dialect> = fc
  .record({
    delimiter: fc.constantFrom(',', ';', '\t', '|'),
    decimal: fc.constantFrom('.' as const, ',' as const),
    quote: fc.constantFrom('all' as const, 'needed' as const),
    escape: fc.constantFrom('"' as const, '\\' as const),
    lineEnd: fc.constantFrom('\n', '\r\n', '\r', '\r\r\n'),
    encoding: fc.constantFrom('utf-8', 'utf-8-bom', 'utf-16le', 'utf-16be', 'windows-1252'),
    comments: fc.nat(2),
    separatorLine: fc.boolean(),
    endsOpen: fc.boolean(),
    nothing: fc.constantFrom('', 'NA', 'N/A', 'None', 'null', 'NULL', 'NaN', '\\N'),
  })
  // A comma is one thing or the other.
  .filter(({ delimiter, decimal }) => delimiter !== ',' || decimal === '.');

type Cell = string | number | boolean | null;

function csvOf(header: readonly string[], rows: readonly Cell[][], dialect: Dialect): Uint8Array {
  const { delimiter, decimal, quote, escape: mark, lineEnd, encoding, nothing } = dialect;
  const quoted = (text: string) =>
    mark === '"'
      ? `"${text.replaceAll('"', '""')}"`
      : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const plain = (cell: Cell) => {
    if (cell === null) return nothing;
    return typeof cell === 'number' ? String(cell).replace('.', decimal) : String(cell);
  };
  const field = (cell: Cell) => {
    const text = plain(cell);
    const needs = /["\r\n#]/.test(text) || text.includes(delimiter) || (cell !== null && text.includes('\\'));
    return needs || (quote === 'all' && cell !== null) ? quoted(text) : text;
  };
  const lines = [
    ...(dialect.separatorLine ? [`sep=${delimiter}`] : []),
    ...Array.from({ length: dialect.comments }, (_, i) => `# comment ${i}`),
    ...[header as readonly Cell[], ...rows].map((row) => row.map(field).join(delimiter)),
  ];
  const text = lines.join(lineEnd) + (dialect.endsOpen ? '' : lineEnd);
  if (encoding === 'windows-1252') return Buffer.from(text, 'latin1');
  if (encoding === 'utf-16le') return Buffer.from(`\ufeff${text}`, 'utf16le');
  if (encoding === 'utf-16be') return Buffer.from(`\ufeff${text}`, 'utf16le').swap16();
  return Buffer.from(encoding === 'utf-8-bom' ? `\ufeff${text}` : text);
}

const quarter = fc.integer({ min: 0, max: 40_000 }).map((value) => value / 4);
/** With letters that Windows-1252 has, too, and what is quoted in some dialect. */
const note = fc.string({
  unit: fc.constantFrom('a', 'é', 'ß', ' ', '"', ',', ';', '|', '\t', '\\', '\n'),
  maxLength: 8,
});
const NOTE = note.map((text) => `x${text}x`);

describe('a CSV file of any dialect', () => {
  it('is imported as it was written, with what it is stated to be', async () => {
    const row = fc.record({
      us: fc.integer({ min: 1e9, max: 4e9 }).map((s) => s * 1e6),
      latencyMs: fc.option(quarter),
      success: fc.option(fc.boolean()),
      note: fc.option(NOTE),
      count: fc.option(quarter),
    });
    const form = fc.constantFrom<TimeForm>(
      TIMES.seconds!,
      TIMES['ISO 8601 with Z']!,
      TIMES['a blank and UTC']!,
    );
    await fc.assert(
      fc.asyncProperty(
        DIALECT,
        form,
        fc.array(row, { minLength: 1, maxLength: 12 }),
        async (dialect, time, rows) => {
          const header = ['timestamp', 'latency_ms', 'success', 'note', 'count'];
          const cells = rows.map(({ us, latencyMs, success, note, count }) => [
            time.text(us),
            latencyMs,
            success,
            note,
            count,
          ]);
          const { delimiter, decimal, encoding } = dialect;
          const path = await write('dialect.csv', csvOf(header, cells, dialect));
          const { records, errors } = await importAll(path, {
            delimiter,
            decimal,
            escape: dialect.escape,
            ...(dialect.comments > 0 && { comment: '#' }),
            ...(encoding === 'windows-1252' && { encoding }),
          });
          expect(errors).toEqual([]);
          expect(
            records.map(({ timestampUs, latencyMs, success, metadata }) => {
              const { note = null, count = null } = metadata as Record<string, Json>;
              return { us: timestampUs, latencyMs, success, note, count };
            }),
          ).toEqual(rows);
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('JSON of any form', () => {
  const PRINTED: Readonly<Record<string, (records: readonly string[]) => string>> = {
    lines: (records) => records.map((text) => `${text}\n`).join(''),
    'an array': (records) => `[${records.join(', ')}]`,
    'one after the other': (records) => records.join(''),
    'many lines each': (records) => records.map((text) => text.replaceAll(/([{,])/g, '$1\n  ')).join('\n'),
  };

  it.each(Object.keys(PRINTED))(
    'keeps digits, nested and late keys, and tells what is no number: %s',
    async (name) => {
      const row = fc.record({
        us: fc.integer({ min: 1e9, max: 4e9 }).map((s) => s * 1e6),
        id: fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }),
        odd: fc.constantFrom('NaN', 'Infinity', '-Infinity', '1.5'),
        late: fc.option(quarter),
        tokens: fc.nat(1000),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), async (rows) => {
          const texts = rows.map(
            ({ us, id, odd, late, tokens }) =>
              `{"timestamp":${us / 1e6},"id":${id},"odd":${odd},"usage":{"in.put":${tokens},"deep":{"x":${tokens}}},"a.b":${tokens}${late === null ? '' : `,"latency_ms":${late}`}}`,
          );
          const map = { promptTokens: 'usage.deep.x', completionTokens: 'a.b' };
          const path = await write('forms.json', PRINTED[name]!(texts));
          const { records, reasons } = await importAll(path, { map });
          const wrong = rows.filter(({ odd }) => odd !== '1.5').length;
          expect(reasons).toEqual(wrong === 0 ? {} : { nonFinite: wrong });
          expect(
            records.map(({ timestampUs, latencyMs, promptTokens, completionTokens, metadata }) => [
              timestampUs,
              latencyMs,
              promptTokens,
              completionTokens,
              metadata.id,
              metadata.odd,
            ]),
          ).toEqual(
            rows.map(({ us, id, odd, late, tokens }) => [
              us,
              late,
              tokens,
              tokens,
              id >= -(2n ** 53n) + 1n && id < 2n ** 53n ? Number(id) : String(id),
              odd === '1.5' ? 1.5 : null,
            ]),
          );
        }),
        { numRuns: 60 },
      );
    },
  );
});
