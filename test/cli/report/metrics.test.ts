import { describe, expect, it } from 'vitest';
import { metricsLines } from '../../../src/cli/report/metrics.js';
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
});
