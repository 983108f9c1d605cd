import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readArguments } from '../../src/cli/args.js';
import { UsageError } from '../../src/cli/errors.js';
import { FILTER_OPTIONS, filterText, readFilter } from '../../src/cli/filters.js';

function filterOf(...argv: string[]) {
  const { values } = readArguments(argv, FILTER_OPTIONS, 'metrics');
  return readFilter(values as Parameters<typeof readFilter>[0], 'metrics');
}

describe('readFilter', () => {
  it('is none without options', () => expect(filterOf()).toBeNull());

  it('reads every option', () => {
    expect(
      filterOf(
        ...[
          '--event',
          'req_llm.request.stop',
          '--model',
          'm',
          '--provider',
          'p',
          '--condition',
          'c',
          '--failed',
        ],
        ...['--from', '2026-11-25', '--to', '2026-11-25', '--where', 'seed=7', '--where', 'a b=c=d'],
      ),
    ).toEqual({
      eventName: 'req_llm.request.stop',
      model: 'm',
      provider: 'p',
      condition: 'c',
      success: false,
      timeRange: [1_795_564_800_000_000, 1_795_651_199_999_999],
      where: { seed: 7, 'a b': 'c=d' },
    });
    expect(filterOf('--success')).toEqual({ success: true });
  });

  it('leaves the other end of time open', () => {
    expect(filterOf('--from', '5')).toEqual({ timeRange: [5, Number.MAX_SAFE_INTEGER] });
    expect(filterOf('--to', '5')).toEqual({ timeRange: [Number.MIN_SAFE_INTEGER, 5] });
  });

  it('reads any JSON value as it is, and anything else as text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(filterOf('--where', `k=${JSON.stringify(value)}`)?.where).toEqual({
          k: JSON.parse(JSON.stringify(value)),
        });
      }),
    );
    for (const text of ['', 'demo-70b', '007', 'NaN', 'True', "it's", 'a=b']) {
      expect(filterOf('--where', `k=${text}`)?.where).toEqual({ k: text });
    }
  });

  it.each([
    [['--success', '--failed'], '--success and --failed exclude each other'],
    [['--from', '2', '--to', '1'], '--from 2 is after --to 1'],
    [['--from', 'noon'], '--from expects a time'],
    [['--to', 'noon'], '--to expects a time'],
    [['--where', 'x'], '--where expects KEY=VALUE, got "x"'],
    [['--where', '=1'], '--where expects KEY=VALUE, got "=1"'],
    [['--where', 'x=1', '--where', 'x=2'], '--where names x twice'],
  ])('refuses %j', (argv, message) => {
    expect(() => filterOf(...argv)).toThrow(UsageError);
    expect(() => filterOf(...argv)).toThrow(message);
  });
});

describe('filterText', () => {
  it('says what was chosen, without the ends that were left open', () => {
    const filter = filterOf(
      ...['--event', 'e', '--model', 'm', '--provider', 'p', '--condition', 'c', '--failed'],
      ...['--from', '2026-11-25T09:30Z', '--where', 'code=429', '--where', 'why=full'],
    );
    expect(filterText(filter!)).toBe(
      'event e, model m, provider p, condition c, failed, from 2026-11-25T09:30:00Z, code = 429, why = "full"',
    );
    expect(filterText(filterOf('--to', '2026-11-25', '--success')!)).toBe(
      'succeeded, to 2026-11-25T23:59:59.999999Z',
    );
  });

  it('takes no control characters from the command line', () =>
    expect(filterText(filterOf('--event', 'a\u001b[2J')!)).toBe('event a [2J'));
});
