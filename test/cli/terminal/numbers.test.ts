import { describe, expect, it } from 'vitest';
import {
  decimalsFor,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatShare,
  formatSigned,
  formatTime,
  millisecondDecimals,
  usdDecimals,
} from '../../../src/cli/terminal/numbers.js';

describe('formatNumber', () => {
  it.each([
    [0, 0, '0'],
    [999, 0, '999'],
    [1234567.891, 2, '1,234,567.89'],
    [-1234.5, 1, '-1,234.5'],
    [-0.001, 2, '0.00'],
    [null, 2, '-'],
    [Number.NaN, 2, '-'],
    [Number.POSITIVE_INFINITY, 0, '-'],
  ] as const)('%d with %i decimals is %s', (value, decimals, text) => {
    expect(formatNumber(value, decimals)).toBe(text);
  });

  it('shows the sign of a difference, except of one that rounds to nothing', () => {
    expect(formatSigned(2.1, 1)).toBe('+2.1');
    expect(formatSigned(-2.1, 1)).toBe('-2.1');
    expect(formatSigned(0.01, 1)).toBe('0.0');
    expect(formatSigned(null, 1)).toBe('-');
  });
});

describe('decimals', () => {
  it('are chosen by the largest figure, for all of them', () => {
    expect(decimalsFor([0.0123, 12.3, null])).toBe(2);
    expect(decimalsFor([123_456])).toBe(0);
    expect(decimalsFor([0, null])).toBe(0);
    expect(decimalsFor([Number.POSITIVE_INFINITY, 1])).toBe(3);
    expect(millisecondDecimals([123_456])).toBe(1);
    expect(usdDecimals([0.00123])).toBe(6);
    expect(usdDecimals([12_345])).toBe(2);
  });
});

describe('formatShare', () => {
  it('never rounds to a whole that is not one, nor to a nothing that is something', () => {
    expect(formatShare(1)).toBe('100.00');
    expect(formatShare(0.999_999)).toBe('99.99');
    expect(formatShare(0)).toBe('0.00');
    expect(formatShare(0.000_001)).toBe('0.01');
    expect(formatShare(0.995, 0)).toBe('99');
    expect(formatShare(0.4567)).toBe('45.67');
    expect(formatShare(null)).toBe('-');
  });
});

describe('formatCount', () => {
  it('minds the singular', () => {
    expect(formatCount(1, 'row')).toBe('1 row');
    expect(formatCount(1200, 'row')).toBe('1,200 rows');
  });
});

describe('spans and sizes', () => {
  it.each([
    [0, '0.0 s'],
    [840, '0.8 s'],
    [9949, '9.9 s'],
    [9950, '10 s'],
    [59_400, '59 s'],
    [185_000, '3 min 5 s'],
    [7_790_000, '2 h 10 min'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it.each([
    [1023, '1,023 B'],
    [1536, '1.5 KiB'],
    [5 * 2 ** 40, '5.0 TiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('formatTime', () => {
  const us = Date.UTC(2026, 10, 25, 9, 30, 15) * 1000 + 123_456;

  it('cuts off what is finer than asked for', () => {
    expect(formatTime(us)).toBe('2026-11-25T09:30:15Z');
    expect(formatTime(us, 3)).toBe('2026-11-25T09:30:15.123Z');
    expect(formatTime(us, 6)).toBe('2026-11-25T09:30:15.123456Z');
    expect(formatTime(-1, 6)).toBe('1969-12-31T23:59:59.999999Z');
  });

  it('shows what is unknown, or no time, as a dash', () => {
    for (const none of [null, undefined, Number.NaN, 1e300]) expect(formatTime(none, 6)).toBe('-');
  });
});
