import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseOrigin, parseTimestamp, unitOfName } from '../../src/formats/timestamps.js';

describe('parseTimestamp', () => {
  it.each([
    ['2023-11-16 18:17:03.9799600', Date.UTC(2023, 10, 16, 18, 17, 3) * 1000 + 979_960],
    ['2023-11-16T18:17:03.123456Z', Date.UTC(2023, 10, 16, 18, 17, 3) * 1000 + 123_456],
    ['2023-11-16T18:17:03,5+02:30', Date.UTC(2023, 10, 16, 15, 47, 3) * 1000 + 500_000],
    ['2023-11-16 18:17:03 -0800', Date.UTC(2023, 10, 17, 2, 17, 3) * 1000],
    ['2023-11-16 18:17:03+01', Date.UTC(2023, 10, 16, 17, 17, 3) * 1000],
    ['2023-11-16T18:17Z', Date.UTC(2023, 10, 16, 18, 17) * 1000],
    ['2024-02-29', Date.UTC(2024, 1, 29) * 1000],
    ['1969-12-31 23:59:59.999999', -1],
    // Finer than a microsecond: to the nearest.
    ['1970-01-01 00:00:00.000000499', 0],
    ['1970-01-01 00:00:00.0000005', 1],
    ['1970-01-01 23:59:59.9999999', 86_400_000_000],
  ])('reads %s', (text, micros) => {
    expect(parseTimestamp(text)).toBe(micros);
    expect(parseTimestamp(text, { unit: 'iso' })).toBe(micros);
  });

  it.each([
    '2023-02-29',
    '2023-13-01',
    '2023-01-01 24:00:01',
    '2023-01-01 10:60',
    'now',
    '',
    '9999-01-01',
    '1e99',
  ])('refuses %j', (text) => {
    expect(parseTimestamp(text)).toBeNull();
  });

  it.each([
    ['20240301T120000Z', Date.UTC(2024, 2, 1, 12) * 1000],
    ['20240301T120000.123456789+0530', Date.UTC(2024, 2, 1, 6, 30) * 1000 + 123_457],
    ['20240301', Date.UTC(2024, 2, 1) * 1000],
    ['2024/03/01', Date.UTC(2024, 2, 1) * 1000],
    ['2024/3/1 9:05', null],
    ['2024/3/1 09:05 PM', Date.UTC(2024, 2, 1, 21, 5) * 1000],
    ['2024-03-01 12:00:00 UTC', Date.UTC(2024, 2, 1, 12) * 1000],
    ['2024-03-01 12:00:00.5 GMT', Date.UTC(2024, 2, 1, 12) * 1000 + 500_000],
    ['2024-03-01T24:00:00Z', Date.UTC(2024, 2, 2) * 1000],
    ['2024-W09-5', Date.UTC(2024, 2, 1) * 1000],
    ['2020W537T10', Date.UTC(2021, 0, 3, 10) * 1000],
    ['2021-W53-1', null],
    ['2024-061', Date.UTC(2024, 2, 1) * 1000],
    ['2023-366', null],
    ['1/3/2024', null],
    ['20241301', null],
  ])('of the forms of ISO 8601 and its neighbours, reads %s', (text, micros) => {
    expect(parseTimestamp(text)).toBe(micros);
  });

  it('reads days and months in the order that is stated, and not otherwise', () => {
    const march = Date.UTC(2024, 2, 1) * 1000;
    expect(parseTimestamp('1/3/2024', { dateOrder: 'dmy' })).toBe(march);
    expect(parseTimestamp('03/01/2024', { dateOrder: 'mdy' })).toBe(march);
    expect(parseTimestamp('01.03.2024 06:30', { dateOrder: 'dmy' })).toBe(march + 6.5 * 3600e6);
    expect(parseTimestamp('2024-03-01', { dateOrder: 'mdy' })).toBe(march);
    expect(parseTimestamp('31/12/2024', { dateOrder: 'mdy' })).toBeNull();
  });

  it('takes a number for a serial of Excel only when told so', () => {
    expect(parseTimestamp('45352.5', { unit: 'excel' })).toBe(Date.UTC(2024, 2, 1, 12) * 1000);
    expect(parseTimestamp('45352.5')).toBeNull();
    expect(parseTimestamp('60', { unit: 'excel' })).toBeNull();
  });

  it('takes no small number for a time in 1970, unless its unit or origin is stated', () => {
    for (const value of [0, 1.5, '12', 3600, -5]) expect(parseTimestamp(value)).toBeNull();
    expect(parseTimestamp('12', { namedUnit: 's' })).toBeNull();
    expect(parseTimestamp('12', { unit: 's' })).toBe(12e6);
    expect(parseTimestamp('12', { namedUnit: 's', originUs: 5e15 })).toBe(5e15 + 12e6);
  });

  it('refuses long text at once', () => {
    expect(parseTimestamp('1'.repeat(1_000_000))).toBeNull();
    expect(parseTimestamp(`2024-03-01T${'0'.repeat(100_000)}`)).toBeNull();
  });

  it('reads epochs in every unit, exactly', () => {
    expect(parseTimestamp('1700000000.123456', { unit: 's' })).toBe(1_700_000_000_123_456);
    expect(parseTimestamp(1700000000.123456, { unit: 's' })).toBe(1_700_000_000_123_456);
    expect(parseTimestamp('1700000000123.4567', { unit: 'ms' })).toBe(1_700_000_000_123_457);
    expect(parseTimestamp(1_700_000_000_123_456, { unit: 'us' })).toBe(1_700_000_000_123_456);
    expect(parseTimestamp('1700000000123456789', { unit: 'ns' })).toBe(1_700_000_000_123_457);
    expect(parseTimestamp('-1500', { unit: 'ns' })).toBe(-1);
    expect(parseTimestamp('1.7e9', { unit: 's' })).toBe(1_700_000_000_000_000);
  });

  it('tells the unit of an absolute epoch by its size', () => {
    for (const text of ['1700000000', '1700000000000', '1700000000000000', '1700000000000000000']) {
      expect(parseTimestamp(text)).toBe(1_700_000_000_000_000);
    }
  });

  it('adds the origin to relative times', () => {
    const originUs = parseOrigin('2024-01-01T00:00:00Z');
    expect(originUs).toBe(Date.UTC(2024, 0, 1) * 1000);
    expect(parseTimestamp('3000', { unit: 'ms', originUs })).toBe(originUs + 3_000_000);
    expect(() => parseOrigin('yesterday')).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    expect(() => parseOrigin(1.5)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });

  it('agrees with Date on every millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: -2_000_000_000_000, max: 7_000_000_000_000 }), (ms) => {
        expect(parseTimestamp(new Date(ms).toISOString())).toBe(ms * 1000);
        expect(parseTimestamp(ms, { unit: 'ms' })).toBe(ms * 1000);
      }),
    );
  });

  it('rounds nanoseconds to the nearest microsecond', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 18n }), (nanos) => {
        const micros = parseTimestamp(String(nanos), { unit: 'ns' })!;
        const error = BigInt(micros) * 1000n - nanos;
        expect(error > -500n && error <= 500n).toBe(true);
      }),
    );
  });
});

describe('unitOfName', () => {
  it.each([
    ['timestamp_ms', 'ms'],
    ['startTimeNs', 'ns'],
    ['time_s', 's'],
    ['sent_seconds', 's'],
    ['timestamps', undefined],
    ['status', undefined],
    ['TIMESTAMP', undefined],
  ])('%s → %s', (name, unit) => {
    expect(unitOfName(name)).toBe(unit);
  });
});
