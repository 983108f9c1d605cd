import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/errors.js';
import { formatTime } from '../../src/cli/terminal/numbers.js';
import { readDurationUs, readTimeUs } from '../../src/cli/times.js';

const duration = (text: string) => readDurationUs('size', text, 'windows');
const time = (text: string) => readTimeUs('from', text, 'metrics');

describe('readDurationUs', () => {
  it.each([
    ['1us', 1],
    ['500ms', 500_000],
    ['60s', 60e6],
    ['1.5s', 1.5e6],
    ['5m', 300e6],
    ['5min', 300e6],
    ['1h', 3600e6],
    ['1d', 86_400e6],
    ['10 s', 10e6],
  ])('reads %s', (text, us) => expect(duration(text)).toBe(us));

  it.each(['60', 's', '', '0s', '0.1us', '-5s', '5 parsecs', '1e3s', '5m30s', '1constructor'])(
    'refuses %j, and shows what it takes',
    (text) => {
      expect(() => duration(text)).toThrow(UsageError);
      expect(() => duration(text)).toThrow('--size expects a duration such as 500ms, 60s, 5m or 1h');
    },
  );
});

describe('readTimeUs', () => {
  const at = Date.UTC(2026, 10, 25, 9, 30, 15) * 1000;

  it.each([
    ['2026-11-25T09:30:15Z', at, 1e6],
    ['2026-11-25 09:30:15', at, 1e6],
    ['2026-11-25t09:30:15z', at, 1e6],
    ['2026-11-25T09:30:15.25', at + 250_000, 10_000],
    ['2026-11-25T09:30:15.000001Z', at + 1, 1],
    ['2026-11-25T09:30:15.0000019Z', at + 1, 1],
    ['2026-11-25T11:30:15+02:00', at, 1e6],
    ['2026-11-25T11:30:15+0200', at, 1e6],
    ['2026-11-25T11:30:15+02', at, 1e6],
    ['2026-11-25T09:30', at - 15e6, 60e6],
    ['2026-11-25', at - (9 * 3600 + 30 * 60 + 15) * 1e6, 86_400e6],
    ['1795599015000000', 1_795_599_015_000_000, 1],
    ['0', 0, 1],
    ['-1', -1, 1],
  ])('takes %s for all the time that it names', (text, first, lengthUs) =>
    expect(time(text)).toEqual([first, first + lengthUs - 1]),
  );

  it('reads what the reports write', () => {
    fc.assert(
      fc.property(fc.integer({ min: -6e13, max: 4e15 }), (us) => {
        expect(time(formatTime(us, 6))).toEqual([us, us]);
      }),
    );
  });

  it.each([
    'yesterday',
    '',
    '25.11.2026',
    '2026-13-01',
    '2026-02-30',
    '2026-11-25T25:00',
    '2026-11-25T09',
    '2026-11-25T09:30:15 CET',
    '1.5',
    '99999999999999999999',
  ])('refuses %j, and shows what it takes', (text) => {
    expect(() => time(text)).toThrow(UsageError);
    expect(() => time(text)).toThrow('--from expects a time as ISO 8601, such as 2026-11-25T09:30:00Z');
  });
});
