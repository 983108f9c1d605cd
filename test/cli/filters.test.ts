import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readArguments } from '../../src/cli/args.js';
import { UsageError } from '../../src/cli/errors.js';
import { FILTER_OPTIONS, filterText, readFilter, slipText } from '../../src/cli/filters.js';

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

  it.each<[string, Record<string, unknown>]>([
    ['latencyMs>500', { latencyMs: { gt: 500 } }],
    ['latencyMs >= 500', { latencyMs: { gte: 500 } }],
    ['  latencyMs<5e2 ', { latencyMs: { lt: 500 } }],
    ['latencyMs<=-0.5', { latencyMs: { lte: -0.5 } }],
    ['latencyMs!=null', { latencyMs: { ne: null } }],
    ['latencyMs=500', { latencyMs: 500 }],
    ['latencyMs == 500', { latencyMs: 500 }],
    ['model != gpt-4', { model: { ne: 'gpt-4' } }],
    ['code = "7"', { code: '7' }],
    ['why = " x "', { why: ' x ' }],
    ["model!='gpt-4'", { model: { ne: 'gpt-4' } }],
    ["model='claude 3, opus'", { model: 'claude 3, opus' }],
    ["code='7'", { code: '7' }],
    ["why='it''s >= 5'", { why: "it's >= 5" }],
    ["why=it's", { why: "it's" }],
    ['user.tier=pro', { 'user.tier': 'pro' }],
    ['a b = c = d', { 'a b': 'c = d' }],
    ['a!b=1', { 'a!b': 1 }],
    ['"a<=b" > 1', { 'a<=b': { gt: 1 } }],
    ['"a\\"b"=x', { 'a"b': 'x' }],
    ['x={"gt":5}', { x: { eq: { gt: 5 } } }],
    ['x={"a":5}', { x: { a: 5 } }],
    ['__proto__=1', JSON.parse('{"__proto__": 1}')],
  ])('reads --where %j', (test, where) => expect(filterOf('--where', test)).toEqual({ where }));

  it('puts what is asked of one key together', () =>
    expect(filterOf('--where', 'latencyMs>100', '--where', 'n=1', '--where', 'latencyMs<=200')).toEqual({
      where: { latencyMs: { gt: 100, lte: 200 }, n: 1 },
    }));

  it.each([
    [['--success', '--failed'], '--success and --failed exclude each other'],
    [['--from', '2', '--to', '1'], '--from 2 is after --to 1'],
    [['--from', 'noon'], '--from expects a time'],
    [['--to', 'noon'], '--to expects a time'],
    [['--where', 'x'], '--where expects KEY=VALUE, or >, >=, <, <=, !=, got "x"'],
    [['--where', '=1'], '--where expects KEY=VALUE, or >, >=, <, <=, !=, got "=1"'],
    [['--where', '""=1'], '--where expects KEY=VALUE'],
    [['--where', '>5'], '--where expects KEY=VALUE'],
    [['--where', 'x=1', '--where', 'x=2'], '--where names "x=" twice, and an event has one value'],
    [['--where', 'x>1', '--where', 'x>2'], '--where names "x>" twice'],
    [['--where', 'latencyMs>fast'], '--where latencyMs> expects a number, got "fast"'],
    [['--where', 'latencyMs>"5"'], '--where latencyMs> expects a number'],
    [['--where', 'latencyMs<='], '--where latencyMs<= expects a number, got ""'],
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
      ...['--where', 'latencyMs>100', '--where', 'latencyMs<=200', '--where', 'x!=null'],
    );
    expect(filterText(filter!)).toBe(
      'event e, model m, provider p, condition c, failed, from 2026-11-25T09:30:00Z, code = 429, why = "full", latencyMs > 100, latencyMs <= 200, x != null',
    );
    expect(filterText(filterOf('--to', '2026-11-25', '--success')!)).toBe(
      'succeeded, to 2026-11-25T23:59:59.999999Z',
    );
  });

  it('shows control characters of the command line', () =>
    expect(filterText(filterOf('--event', 'a\u001b[2J')!)).toBe('event a\\u001b[2J'));
});

describe('slipText', () => {
  it('names the number that was probably meant by a key of the metadata', () => {
    expect(slipText(filterOf('--where', 'latency_ms>5')!)).toBe(
      'latency_ms is looked for in metadata and measurements; did you mean latencyMs?',
    );
    expect(slipText(filterOf('--where', 'modle=gpt-4')!)).toContain('did you mean model?');
    expect(slipText(filterOf('--where', 'cost>5')!)).toContain('did you mean costUsd?');
    expect(slipText(filterOf('--where', 'latencyMs>5', '--where', 'region=eu')!)).toBeNull();
  });
});
