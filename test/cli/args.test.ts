import { describe, expect, it } from 'vitest';
import { type OptionTable, readArguments } from '../../src/cli/args.js';
import { UsageError } from '../../src/cli/errors.js';

const table = {
  requests: { type: 'integer', default: 10, min: 1, max: 100, description: '' },
  seed: { type: 'integer', description: '' },
  out: { type: 'string', description: '' },
  treatment: { type: 'choice', choices: ['hedged', 'ensemble'], default: 'hedged', description: '' },
  format: { type: 'list', choices: ['csv', 'jsonl'], default: ['csv'], description: '' },
  map: { type: 'list', description: '' },
  metrics: { type: 'list', choices: ['mean', 'p95'], commas: true, description: '' },
  alpha: { type: 'number', default: 0.05, above: 0, below: 1, description: '' },
  ratio: { type: 'number', above: 0, below: Number.POSITIVE_INFINITY, description: '' },
  json: { type: 'flag', short: 'j', description: '' },
} as const satisfies OptionTable;

const read = (...argv: string[]) => readArguments(argv, table, 'demo');
const complaint = (...argv: string[]) => {
  try {
    read(...argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).command).toBe('demo');
    return (error as UsageError).message;
  }
  throw new Error('accepted');
};

describe('readArguments', () => {
  it('fills in defaults', () => {
    expect(read().values).toEqual({
      requests: 10,
      seed: undefined,
      out: undefined,
      treatment: 'hedged',
      format: ['csv'],
      map: [],
      metrics: [],
      alpha: 0.05,
      ratio: undefined,
      json: false,
    });
  });

  it('reads values by their type; a list adds up, the last of anything else wins', () => {
    const { values, positionals } = read(
      ...['a', '--requests', '20', '--requests=30', '--seed', '-3', '-j', '--out=--odd', 'b'],
      ...[
        '--map',
        'latencyMs=s * 1000',
        '--map',
        'ok=code == ""',
        '--format',
        'jsonl',
        '--',
        '--not-an-option',
      ],
    );
    expect(values).toMatchObject({
      requests: 30,
      seed: -3,
      out: '--odd',
      map: ['latencyMs=s * 1000', 'ok=code == ""'],
      format: ['jsonl'],
      json: true,
    });
    expect(positionals).toEqual(['a', 'b', '--not-an-option']);
  });

  it('reads numbers, and several values with commas where those are no part of one', () => {
    const { values } = read('--alpha', '1e-3', '--ratio=2', '--metrics', 'mean,p95', '--metrics', 'mean');
    expect(values).toMatchObject({ alpha: 0.001, ratio: 2, metrics: ['mean', 'p95', 'mean'] });
    expect(read('--map', 'a=b,c').values).toMatchObject({ map: ['a=b,c'] });
  });

  it.each([
    [['--alpha', '1'], '--alpha expects a number above 0 and below 1, got "1"'],
    [['--alpha', ' '], '--alpha expects a number above 0 and below 1, got " "'],
    [['--alpha', 'x'], '--alpha expects a number above 0 and below 1, got "x"'],
    [['--ratio', '0'], '--ratio expects a number above 0, got "0"'],
    [['--ratio', 'Infinity'], '--ratio expects a number above 0, got "Infinity"'],
    [['--metrics', 'mean,'], '--metrics expects mean or p95, got ""'],
    [['--metrics', 'mean,p59'], '--metrics expects mean or p95, got "p59"; did you mean p95?'],
    [['--reqests', '5'], 'unknown option --reqests; did you mean --requests?'],
    [['--xyzzy'], 'unknown option --xyzzy'],
    [['-q'], 'unknown option -q'],
    [['--toString'], 'unknown option --toString'],
    [['--out'], '--out needs a value'],
    [['--out', '--json'], '--out needs a value'],
    [['--json=yes'], '--json takes no value'],
    [['--requests', '0'], '--requests expects an integer of at least 1 and at most 100, got "0"'],
    [['--requests', '1e1'], '--requests expects an integer of at least 1 and at most 100, got "1e1"'],
    [['--seed', '1.5'], '--seed expects an integer, got "1.5"'],
    [['--treatment', 'hegded'], '--treatment expects hedged or ensemble, got "hegded"; did you mean hedged?'],
    [['--format', 'xml'], '--format expects csv or jsonl, got "xml"'],
  ])('refuses %j', (argv, message) => {
    expect(complaint(...argv)).toBe(message);
  });
});
