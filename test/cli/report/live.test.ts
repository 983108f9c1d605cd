import { describe, expect, it } from 'vitest';
import { LatencyTrend, type LiveArm, liveLines, progressLogLine } from '../../../src/cli/report/live.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { streamingOf } from '../support/fake-library.js';

const options = { style: NO_STYLE, width: 80 };

describe('the live view', () => {
  const row = (latencyMs: number, success = true) => ({
    event: 'req_llm.request.stop',
    latencyMs,
    costUsd: 0.001,
    success,
  });
  const arms: LiveArm[] = [
    {
      name: 'control',
      done: 3,
      target: 10,
      streaming: streamingOf([row(100), row(200), row(300, false)]),
      trend: [null, 100, 400],
      storage: null,
    },
    {
      name: 'hedged',
      done: 2,
      target: 10,
      streaming: streamingOf([row(90), row(110)]),
      trend: [100, 100],
      storage: null,
    },
  ];

  it('shows progress and both arms', () => {
    expect(liveLines(arms, 2000, options).join('\n')).toBe(
      [
        '  questions  ━━━━━━━━──────────────────────────   5/20   25 %  2.5/s  ETA 6.0 s',
        '',
        '                              control     hedged',
        '  requests      done             3/10       2/10',
        '                rate, 1/s         1.5        1.0',
        '                success, %      66.67     100.00',
        '  latency, ms   mean            200.0      100.0',
        '                p50             200.0      110.0',
        '                p95             300.0      110.0',
        '                p99             300.0      110.0',
        '                recent             ▃█         ▃▃',
        '  cost, USD     total        0.003000   0.002000',
      ].join('\n'),
    );
  });

  it('has something to show before anything happened', () => {
    const before: LiveArm = {
      name: 'control',
      done: 0,
      target: 10,
      streaming: streamingOf([]),
      trend: [],
      storage: null,
    };
    expect(liveLines([before], 0, options).join('\n')).toContain('0/10');
  });

  it('fits in one line for a log', () => {
    expect(progressLogLine(arms, 61_000)).toBe(
      '1 min 1 s: control 3/10, mean 200.0 ms · hedged 2/10, mean 100.0 ms',
    );
  });
});

describe('the live view of experiments on disk', () => {
  const arm = (name: string, error: Error | null): LiveArm => ({
    name,
    done: 1,
    target: 10,
    streaming: streamingOf([]),
    trend: [],
    storage: { captured: 1234, durable: 1200, error },
  });

  it('shows how many events are durable, and what is in the way', () => {
    const lines = liveLines([arm('control', null), arm('hedged', new Error('disk full'))], 1000, options);
    expect(lines.filter((line) => /captured|durable/.test(line))).toEqual([
      '  events        captured       1,234    1,234',
      '                durable        1,200    1,200',
    ]);
    expect(lines.at(-1)).toBe('  ! hedged: disk full');
  });

  it('says so in the line for a log', () => {
    expect(progressLogLine([arm('control', null)], 4000)).toBe(
      '4.0 s: control 1/10, 1,200 of 1,234 events durable',
    );
  });
});

describe('LatencyTrend', () => {
  it('gives the mean of what came between two looks', () => {
    const trend = new LatencyTrend();
    trend.observe({ count: 0, sum: 0 });
    trend.observe({ count: 2, sum: 300 });
    trend.observe({ count: 2, sum: 300 });
    trend.observe({ count: 3, sum: 310 });
    expect(trend.means).toEqual([null, 150, null, 10]);
    for (let i = 0; i < 100; i++) trend.observe({ count: 4 + i, sum: 310 });
    expect(trend.means).toHaveLength(12);
  });
});
