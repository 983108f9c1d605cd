import { describe, expect, it } from 'vitest';
import { groupLines, metricsLines, outcomeLines } from '../../../src/cli/report/metrics.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { metricsOf } from '../support/fake-library.js';
import { plausibleMetrics } from '../support/plausible-metrics.js';

const options = { style: NO_STYLE, width: 80 };
const nothing = metricsOf([]);

describe('metricsLines', () => {
  it('sets experiments side by side, units said once, decimals alike', () => {
    const lines = metricsLines(
      [
        { name: 'control', metrics: plausibleMetrics(516.52, 0.25, 193) },
        { name: 'hedged', metrics: plausibleMetrics(98.2, 0.4, 199) },
      ],
      options,
    );
    expect(lines.join('\n')).toBe(
      [
        '                              control     hedged',
        '  events        all               400        400',
        '                span, s          12.3       12.3',
        '  requests      decided           200        200',
        '                failed              7          1',
        '                success, %      96.50      99.50',
        '  latency, ms   mean            516.5       98.2',
        '                std dev         258.3       49.1',
        '                p50             413.2       78.6',
        '                p90             774.8      147.3',
        '                p95           1,033.0      196.4',
        '                p99           2,066.1      392.8',
        '                max           3,099.1      589.2',
        '  cost, USD     total          0.2500     0.4000',
        '                a request    0.001250   0.002000',
        '  tokens        prompt        204,000    204,000',
        '                completion     42,200     42,200',
      ].join('\n'),
    );
  });

  it('leaves out what nobody measured, and marks what one did not', () => {
    const empty = metricsLines([{ name: 'empty', metrics: nothing }], options).join('\n');
    expect(empty).toBe(
      [
        '                       empty',
        '  events     all           0',
        '             span, s     0.0',
        '  requests   decided       0',
      ].join('\n'),
    );
    const mixed = metricsLines(
      [
        { name: 'some', metrics: plausibleMetrics(10, 1, 200) },
        { name: 'none', metrics: nothing },
      ],
      options,
    );
    expect(mixed.find((line) => line.includes('mean'))).toMatch(/ 10\.00 +-$/);
  });

  it('gives every metric where details are asked for', () => {
    const lines = metricsLines([{ name: '', metrics: plausibleMetrics(98.2, 0.4, 199) }], options, true);
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "  requests      decided           200
                      succeeded         199
                      failed              1
                      success, %      99.50
                      95 % low        97.22
                      95 % high       99.91
                      SLA met, %         99
        latency, ms   count             200
                      mean            98.20
                      std dev         49.10
                      min             24.55
                      p50             78.56
                      p90            147.30
                      p95            196.40
                      p99            392.80
                      p99.9          491.00
                      max            589.20
        cost, USD     count             199
                      total          0.4000
                      mean         0.002010
                      median       0.002010
                      a request    0.002000
        tokens        count             199
                      prompt        204,000
                      completion     42,200
                      total         246,200
        mean tokens   prompt        1,020.0
                      completion      211.0
                      total         1,231.0"
    `);
  });
});

describe('groupLines', () => {
  const groups = [
    { key: 'demo-70b', metrics: plausibleMetrics(516.52, 0.25, 193) },
    { key: 'a\u0007b', metrics: plausibleMetrics(98.2, 0.4, 200) },
    { key: null, metrics: nothing },
  ];

  it('has a line for each group, with intervals of the rates', () => {
    expect(groupLines('model', groups, { ...options, width: 120 }).join('\n')).toMatchInlineSnapshot(`
      "  model     events  mean, ms    p50      p95      p99  cost, USD  success, %    95 % interval   tokens
        demo-70b     400     516.5  413.2  1,033.0  2,066.1     0.2500       96.50   92.95 to 98.29  246,200
        a\\u0007b     400      98.2   78.6    196.4    392.8     0.4000      100.00  98.12 to 100.00  246,200
        (none)         0         -      -        -        -          -           -                -        -"
    `);
  });

  it('leaves columns out where there is no room, and where no group has anything', () => {
    expect(groupLines('model', groups, { ...options, width: 60 })[0]).toMatchInlineSnapshot(
      `"  model     events  mean, ms      p95  cost, USD  success, %"`,
    );
    expect(groupLines('model', groups, { ...options, width: 40 })[0]).toMatchInlineSnapshot(
      `"  model     events  mean, ms      p95"`,
    );
    expect(groupLines('model', groups.slice(2), options)).toEqual(['  model   events', '  (none)       0']);
  });
});

describe('outcomeLines', () => {
  const outcomes = {
    score: {
      of: 'score',
      kind: 'mean',
      n: 500,
      estimate: 0.50293,
      confidenceInterval: [0.4782, 0.5276],
      mean: 0.50293,
      stdDev: 0.2812,
      p50: 0.5055,
      p95: 0.9449,
    },
    good: {
      of: 'good',
      kind: 'rate',
      n: 500,
      estimate: 0.7,
      confidenceInterval: [0.6584, 0.7385],
      successes: 350,
    },
    none: { of: 'none', kind: 'mean', n: 0, estimate: null, confidenceInterval: null },
  } as const;
  const metrics = { ...nothing, outcomes: { ...outcomes } } as unknown as typeof nothing;

  it('has a line for each, rates in percent', () => {
    expect(outcomeLines([{ key: null, metrics }], null, options)).toEqual([
      '',
      '  outcome   events   estimate      95 % interval   std dev      p50      p95',
      '  score        500     0.5029   0.4782 to 0.5276    0.2812   0.5055   0.9449',
      '  good, %      500      70.00     65.84 to 73.85         -        -        -',
      '  none           0          -                  -         -        -        -',
    ]);
  });

  it('has one for each group, and nothing where nothing was asked for', () => {
    const lines = outcomeLines(
      [
        { key: 'm1', metrics },
        { key: null, metrics },
      ],
      'model',
      { ...options, width: 120 },
    );
    expect(lines).toHaveLength(8);
    expect(lines[1]).toContain('model');
    expect(lines[2]).toMatch(/^ {2}score +m1 /);
    expect(outcomeLines([{ key: 'm1', metrics: nothing }], 'model', options)).toEqual([]);
  });
});
