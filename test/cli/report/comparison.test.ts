import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { ArmSamples } from '../../../src/analysis/compare/samples.js';
import type { CompareOptions } from '../../../src/analysis/types.js';
import { comparisonLines } from '../../../src/cli/report/comparison.js';
import { NO_STYLE, styleFor } from '../../../src/cli/terminal/style.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';
import { metricsOf } from '../support/fake-library.js';
import { CollectedStream } from '../support/streams.js';

const EMPTY = new Float64Array(0);

/** An arm of 100 requests whose latencies and costs lie evenly around their means, `failed` of which failed. */
function arm(name: string, meanMs: number, meanUsd: number, failed: number): ArmSamples {
  const around = (mean: number) =>
    Float64Array.from({ length: 100 }, (_, i) => mean * (0.505 + ((i * 43) % 100) / 100));
  const [latencyMs, costUsd] = [around(meanMs), around(meanUsd)];
  const rows = Array.from(latencyMs, (ms, i) => ({
    event: 'e',
    latencyMs: ms,
    costUsd: costUsd[i]!,
    success: i >= failed,
  }));
  return {
    id: `id-${name}`,
    name,
    condition: name,
    metrics: metricsOf(rows),
    latencyMs,
    costUsd,
    tokens: EMPTY,
    successes: 100 - failed,
    decided: 100,
    timeRange: [0, 1e6],
    events: 100,
  };
}

function emptyArm(name: string): ArmSamples {
  return {
    ...arm(name, 1, 1, 0),
    ...{ metrics: metricsOf([]), latencyMs: EMPTY, costUsd: EMPTY, successes: 0, decided: 0, events: 0 },
    timeRange: null,
  };
}

const control = arm('control', 500, 0.002, 3);
const hedged = arm('hedged', 320, 0.003, 2);

const lines = (
  arms: ArmSamples[],
  { width = 120, detailed = true, ...options }: CompareOptions & { width?: number; detailed?: boolean } = {},
) => comparisonLines(compareArms(arms, options), { style: NO_STYLE, width }, detailed);

describe('comparisonLines', () => {
  it('tells what differs and by how much, how it was tested, and what it amounts to', () => {
    expect(lines([control, hedged]).join('\n')).toMatchInlineSnapshot(`
      "hedged against control
        events of all kinds; not in pairs: fewer than two samples are in both arms
                           control    hedged  difference           95 % interval  change, %  result
        mean latency, ms     500.0     320.0      -180.0        -214.0 to -146.0      -36.0  better
        p95 latency, ms      722.7     462.6      -260.2        -284.4 to -229.7      -36.0  better
        mean cost, USD    0.002000  0.003000   +0.001000  +0.000794 to +0.001206      +50.0  worse
        success, %           97.00     98.00       +1.00          -4.38 to +6.64             unclear
        total cost, USD     0.2000    0.3000     +0.1000                              +50.0
        events                 100       100           0                                0.0

                      values     effect size                p  adjusted  test
        mean latency  100 / 100  Hedges' g -1.47      < 0.001   < 0.001  Welch two-sample t-test
                                 Cliff's delta -0.67  < 0.001            Mann-Whitney U test
        p95 latency   100 / 100                       < 0.001   < 0.001  percentile bootstrap of order statistics
        mean cost     100 / 100  Hedges' g +1.35      < 0.001   < 0.001  Welch two-sample t-test
                                 Cliff's delta +0.63  < 0.001            Mann-Whitney U test
        success       100 / 100  Cohen's h +0.06        1.000     1.000  Fisher exact test
                                 Cohen's h +0.06        0.651            two-proportion z-test
        mean tokens: neither arm has token counts

      → Compared with control, hedged had a lower mean latency (-180 ms, -36 %; 95 % interval -214 to
        -146 ms), a lower p95 latency (-260 ms, -36 %; 95 % interval -284 to -230 ms) and a higher mean
        cost (+$0.00100, +50 %; 95 % interval +$0.00079 to +$0.00121). No difference is shown in success
        rate (+1.00 percentage points; 95 % interval -4.38 to +6.64 percentage points).

      Intervals of 95 %, for each metric alone; significance at 5 %, 4 p-values adjusted together by Holm.
      Bootstrap of 10,000 resamples, seed 1."
    `);
  });

  it('is short where nobody asked for details', () => {
    expect(
      lines([control, hedged], { detailed: false, metrics: ['latencyMean'], width: 80 }).join('\n'),
    ).toMatchInlineSnapshot(`
      "hedged against control
        events of all kinds; not in pairs: fewer than two samples are in both arms
                          control  hedged  difference     95 % interval  result
        mean latency, ms    500.0   320.0      -180.0  -214.0 to -146.0  better
        total cost, USD    0.2000  0.3000     +0.1000
        events                100     100           0
        no room for: change, %; a wider terminal, a pipe or --json shows more

      → Compared with control, hedged had a lower mean latency (-180 ms, -36 %; 95 %
        interval -214 to -146 ms).

      Intervals of 95 %, for each metric alone; significance at 5 %, p-values not
      adjusted. Bootstrap of 10,000 resamples, seed 1."
    `);
  });

  it('gives the reason for what is not there, and no test of nothing', () => {
    expect(lines([control, emptyArm('nothing')], { width: 80 }).join('\n')).toMatchInlineSnapshot(`
      "nothing against control
        events of all kinds; not in pairs: fewer than two samples are in both arms
                         control  nothing  difference  95 % interval  change, %
        total cost, USD   0.2000        -           -                         -
        events               100        0        -100                    -100.0
        mean latency: the treatment has no latencies
        p95 latency: the treatment has no latencies
        mean cost: the treatment has no costs
        success: the treatment has no events whose success is known
        mean tokens: neither arm has token counts

      → Not tested: mean latency, p95 latency, mean cost and success rate.
      ! no events in nothing

      Intervals of 95 %, for each metric alone; significance at 5 %, p-values not
      adjusted. Bootstrap of 10,000 resamples, seed 1."
    `);
  });

  it('says what holds at every look, and what is not bounded yet', () => {
    const text = lines([control, hedged], { sequential: { tuning: 2000 } }).join('\n');
    expect(text).toContain('Valid at every look; tightest at 2,000 observations.');
    expect(text).toContain('p95 latency: too early for an interval');
    expect(text).toMatch(/p95 latency, ms +722\.7 +462\.6 .* unclear\n/);
  });

  it('says how p-values were adjusted, and has no column where they were not', () => {
    expect(lines([control, hedged], { adjust: 'bh' }).join('\n')).toMatch(/by\s+Benjamini-Hochberg/);
    const plain = lines([control, hedged], { adjust: 'none' }).join('\n');
    expect(plain).toContain('p-values not adjusted');
    expect(plain).not.toContain('adjusted  test');
  });

  it('says why a finding is unclear beside an interval without 0', () => {
    const nearly = lines([control, arm('hedged', 460, 0.002, 3)]).join('\n');
    expect(nearly).toMatch(/mean latency, ms .* -\d+\.\d to -\d+\.\d .*unclear\n/);
    expect(nearly).toContain('\n  mean latency: significant if asked alone, but not as one of 4 questions\n');
    expect(lines([control, hedged]).join('\n')).not.toContain('asked alone');
  });

  it('compares each treatment, and says the settings once', () => {
    const text = lines([control, hedged, arm('slow', 900, 0.002, 3)]).join('\n');
    expect(text.match(/ against control$/gm)).toEqual([' against control', ' against control']);
    expect(text.match(/Bootstrap of/g)).toHaveLength(1);
    expect(text).toMatch(/mean latency, ms .* worse\n/);
  });

  it('has room for figures where names are long, and tells equal names apart', () => {
    const long = { ...hedged, name: 'a name that is too long' };
    const [title, , header] = lines([control, long]);
    expect(title).toBe('a name that is too long against control');
    expect(header).toMatch(/^ +baseline +treatment +difference/);
    expect(lines([control, { ...hedged, name: 'control' }])[0]).toBe(
      'control (hedged) against control (control)',
    );
  });

  it.each([40, 80, 120])('fits %i columns, and keeps the names of metrics whole', (width) => {
    const shown = lines([control, hedged], { width });
    expect(shown.filter((line) => displayWidth(line) > width)).toEqual([]);
    expect(shown.join('\n')).toContain('  mean latency, ms ');
  });

  it('does not break a line between a number and its unit', () => {
    for (let width = 40; width <= 100; width++) {
      const broken = lines([control, hedged], { width }).filter((line) => /^ *(%|ms)\b/.test(line));
      expect(broken).toEqual([]);
    }
  });

  it('takes no control characters from names, and colours what is better and worse', () => {
    const odd = { ...hedged, name: 'a\u001b[2Jb' };
    expect(lines([control, odd]).join('\n')).not.toContain('\u001b');
    const terminal = styleFor(new CollectedStream({ columns: 120, rows: 40 }), {});
    const coloured = comparisonLines(compareArms([control, hedged]), { style: terminal, width: 120 });
    expect(coloured.join('\n')).toContain('\u001b[32mbetter\u001b[39m');
    expect(coloured.join('\n')).toContain('\u001b[31mworse\u001b[39m');
  });
});
