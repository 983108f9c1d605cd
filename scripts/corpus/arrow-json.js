/** Arrow's integration files as JSON, beside its binary ones: what the import should give. */

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync } from 'node:zlib';

const PER_SECOND = { SECOND: 1n, MILLISECOND: 1000n, MICROSECOND: 1_000_000n, NANOSECOND: 1_000_000_000n };

/** @returns rows of values, in the order of the columns */
export function expectedRows(path) {
  // Numbers that a double cannot hold are kept as text.
  const text = gunzipSync(readFileSync(path))
    .toString()
    .replaceAll(/(?<=[:[,]\s*)-?\d{16,}(?=\s*[,\]}])/g, '"$&"');
  const { schema, batches, dictionaries = [] } = JSON.parse(text);
  const fields = schema.fields;
  const byId = new Map(dictionaries.map(({ id, data }) => [id, data]));
  return batches.flatMap(({ count, columns }) => {
    const all = columns.map((column, i) => values(fields[i], column, byId));
    return Array.from({ length: count }, (_, row) => all.map((column) => column[row]));
  });
}

export function firstDifference(records, rows) {
  if (records.length !== rows.length) return `${records.length} rows, the JSON has ${rows.length}`;
  for (const [row, record] of records.entries()) {
    const names = Object.keys(record);
    if (names.length !== rows[row].length) return `${names.length} columns, the JSON has ${rows[row].length}`;
    for (const [i, name] of names.entries()) {
      if (isDeepStrictEqual(record[name], rows[row][i])) continue;
      const [ours, theirs] = [record[name], rows[row][i]].map((value) =>
        JSON.stringify(value)?.slice(0, 120),
      );
      return `row ${row + 1}, ${name}: ${ours}, the JSON has ${theirs}`;
    }
  }
  return null;
}

function values(field, column, dictionaries) {
  const { dictionary, type } = field;
  if (dictionary !== undefined) {
    const found = dictionaries.get(dictionary.id);
    const entries = values({ ...field, dictionary: undefined }, found.columns[0], dictionaries);
    return valid(
      column,
      column.DATA.map((index) => entries[Number(index)]),
    );
  }
  switch (type.name) {
    case 'null':
      return Array(column.count).fill(null);
    case 'union': {
      const children = field.children.map((child, i) => values(child, column.children[i], dictionaries));
      return column.TYPE_ID.map((id, row) => {
        const child = children[type.typeIds.indexOf(id)];
        return child[type.mode === 'DENSE' ? column.OFFSET[row] : row];
      });
    }
    case 'runendencoded': {
      const [ends, runs] = column.children;
      const items = values(field.children[1], runs, dictionaries);
      let run = 0;
      return Array.from({ length: column.count }, (_, row) => {
        while (Number(ends.DATA[run]) <= row) run++;
        return items[run];
      });
    }
    case 'struct': {
      const children = field.children.map((child, i) => values(child, column.children[i], dictionaries));
      const names = distinct(field.children.map(({ name }) => name));
      return valid(
        column,
        Array.from({ length: column.count }, (_, row) =>
          Object.fromEntries(names.map((name, i) => [name, children[i][row]])),
        ),
      );
    }
    case 'list':
    case 'largelist':
    case 'map': {
      const items = values(field.children[0], column.children[0], dictionaries);
      const lists = Array.from({ length: column.count }, (_, row) =>
        items.slice(Number(column.OFFSET[row]), Number(column.OFFSET[row + 1])),
      );
      return valid(column, type.name === 'map' ? lists.map(entries) : lists);
    }
    case 'listview':
    case 'largelistview': {
      const items = values(field.children[0], column.children[0], dictionaries);
      return valid(
        column,
        column.OFFSET.map((from, row) => items.slice(Number(from), Number(from) + Number(column.SIZE[row]))),
      );
    }
    case 'fixedsizelist': {
      const items = values(field.children[0], column.children[0], dictionaries);
      const size = type.listSize;
      return valid(
        column,
        Array.from({ length: column.count }, (_, row) => items.slice(row * size, (row + 1) * size)),
      );
    }
    case 'binaryview':
    case 'utf8view':
      return valid(
        column,
        column.VIEWS.map((view) => viewed(view, column, type.name === 'utf8view')),
      );
    default:
      return valid(column, column.DATA.map(plain(type)));
  }
}

function distinct(names) {
  if (new Set(names).size === names.length) return names;
  const seen = new Map();
  return names.map((name, i) => {
    const base = name === '' ? `column_${i + 1}` : name;
    seen.set(base, (seen.get(base) ?? 0) + 1);
    return seen.get(base) === 1 ? base : `${base}_${seen.get(base)}`;
  });
}

function valid(column, all) {
  return all.map((value, row) =>
    column.VALIDITY === undefined || column.VALIDITY[row] === 1 ? value : null,
  );
}

function entries(list) {
  return Object.fromEntries(
    list.map((entry) => {
      const [key, value] = Object.values(entry);
      return [typeof key === 'string' ? key : JSON.stringify(key), value];
    }),
  );
}

function viewed({ SIZE, INLINED, BUFFER_INDEX, OFFSET }, column, isText) {
  if (INLINED !== undefined) return isText ? INLINED : base64(INLINED);
  const hex = column.VARIADIC_DATA_BUFFERS[BUFFER_INDEX].slice(2 * OFFSET, 2 * (OFFSET + SIZE));
  return isText ? Buffer.from(hex, 'hex').toString() : base64(hex);
}

const base64 = (hex) => Buffer.from(hex, 'hex').toString('base64');
const whole = (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value));

function plain(type) {
  switch (type.name) {
    case 'bool':
      return (value) => value === true || value === 1;
    case 'int':
    case 'duration':
      return whole;
    case 'floatingpoint':
      return (value) =>
        Number.isFinite(value) ? (type.precision === 'SINGLE' ? Math.fround(value) : value) : null;
    case 'utf8':
    case 'largeutf8':
      return (value) => value;
    case 'binary':
    case 'largebinary':
    case 'fixedsizebinary':
      return base64;
    case 'decimal':
      return (value) => decimal(String(value), type.scale);
    case 'date':
      return (value) => day(type.unit === 'DAY' ? BigInt(value) : daysOf(BigInt(value), 86_400_000n));
    case 'time':
      return (value) => clock(BigInt(value), PER_SECOND[type.unit]);
    case 'timestamp':
      return (value) => instant(BigInt(value), PER_SECOND[type.unit]);
    case 'interval':
      return interval(type.unit);
    default:
      throw new Error(`the JSON has the type ${type.name}`);
  }
}

function decimal(digits, scale) {
  const sign = digits.startsWith('-') ? '-' : '';
  const padded = digits.replace('-', '').padStart(scale + 1, '0');
  const text = scale === 0 ? `${sign}${padded}` : `${sign}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
  const value = Number(text);
  const size = BigInt(padded);
  // A number where it has the same digits.
  const shown = BigInt(toUnscaled(value, scale));
  return shown === (sign === '-' ? -size : size) && (scale > 0 || Number.isSafeInteger(value)) ? value : text;
}

function toUnscaled(value, scale) {
  const [mantissa, exponent] = value.toExponential().split('e');
  const [whole, fraction = ''] = mantissa.split('.');
  const shift = Number(exponent) - fraction.length + scale;
  return shift < 0 ? `${2n ** 400n}` : `${whole}${fraction}${'0'.repeat(shift)}`;
}

/** Years of four digits by the calendar of JavaScript, others shifted by whole cycles of it. */
function day(days) {
  const CYCLE = 146_097n;
  let cycles = 0n;
  let rest = days;
  const low = -719_528n;
  if (rest < low || rest >= low + 25n * CYCLE) {
    cycles = (rest - low) / CYCLE;
    if ((rest - low) % CYCLE < 0n) cycles -= 1n;
    rest -= cycles * CYCLE;
  }
  const date = new Date(Number(rest) * 86_400_000).toISOString().slice(0, 10);
  if (cycles === 0n) return date;
  const year = BigInt(date.slice(0, 4)) + cycles * 400n;
  if (year >= 0n && year <= 9999n) return `${String(year).padStart(4, '0')}${date.slice(4)}`;
  return `${year < 0n ? '-' : '+'}${String(year < 0n ? -year : year).padStart(6, '0')}${date.slice(4)}`;
}

function clock(units, perSecond) {
  const two = (value) => String(value).padStart(2, '0');
  const seconds = units / perSecond;
  const digits = String(perSecond).length - 1;
  const fraction = digits === 0 ? '' : `.${String(units % perSecond).padStart(digits, '0')}`;
  return `${two(seconds / 3600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}${fraction}`;
}

function daysOf(units, perDay) {
  return units / perDay - (units % perDay < 0n ? 1n : 0n);
}

function instant(units, perSecond) {
  const perDay = perSecond * 86_400n;
  const days = daysOf(units, perDay);
  return `${day(days)}T${clock(units - days * perDay, perSecond)}Z`;
}

function interval(unit) {
  const text = (months, days, nanos) => {
    const seconds = Number(nanos) / 1e9;
    const fraction = `${nanos < 0n ? '-' : ''}${abs(nanos) / 1_000_000_000n}${`.${String(abs(nanos) % 1_000_000_000n).padStart(9, '0')}`.replace(/\.?0+$/, '')}`;
    const all = `${months === 0 ? '' : `${months}M`}${days === 0 ? '' : `${days}D`}${seconds === 0 ? '' : `T${fraction}S`}`;
    return all === '' ? 'PT0S' : `P${all}`;
  };
  switch (unit) {
    case 'YEAR_MONTH':
      return (months) => text(months, 0, 0n);
    case 'DAY_TIME':
      return ({ days, milliseconds }) => text(0, days, BigInt(milliseconds) * 1_000_000n);
    default:
      return ({ months, days, nanoseconds }) => text(months, days, BigInt(nanoseconds));
  }
}

const abs = (value) => (value < 0n ? -value : value);
