import { describe, expect, it } from 'vitest';
import { exportedLines } from '../../../src/cli/report/exported.js';
import type { OpenedExperiment } from '../../../src/cli/stored-experiments.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';

const options = { style: NO_STYLE, width: 60 };
const result = {
  path: '/data/with a long name that no terminal of this width could show/control.csv',
  rows: 1200,
  cut: 0,
  damaged: 0,
  bytes: 34_567,
  sha256: 'ab'.repeat(32),
  manifest: '/data/control.csv.manifest.json',
};

function opened(name: string, dropped = 0): OpenedExperiment {
  return {
    experiment: {
      id: '295d',
      name,
      condition: 'c',
      counts: { captured: 9, retained: 9, dropped, malformed: 0 },
    },
    report: { damage: [] },
  } as unknown as OpenedExperiment;
}

describe('exportedLines', () => {
  it('gives every fact in a line that can be copied', () => {
    expect(exportedLines(result, [opened('con\u0007trol')], {}, 400, options)).toEqual([
      '✓ 1,200 events of con\\u0007trol in 0.4 s, 3,000 events/s',
      '  path       /data/with a long name that no terminal of this width could show/control.csv',
      '  rows       1,200',
      '  bytes      34,567',
      `  sha256     ${'ab'.repeat(32)}`,
      '  manifest   /data/control.csv.manifest.json',
    ]);
  });

  it('says which events are in it, what was hidden, and what is missing, but never the key', () => {
    const anonymize = { key: 'secret', fields: ['cohort'] };
    const lines = exportedLines(
      result,
      [opened('a'), opened('b', 3)],
      { filter: { eventName: 'e', success: true }, anonymize },
      2000,
      { ...options, width: 120 },
    );
    expect(lines).toEqual([
      '✓ 1,200 events of a, b in 2.0 s, 600 events/s',
      '  only: event e, succeeded',
      '  path         /data/with a long name that no terminal of this width could show/control.csv',
      '  rows         1,200',
      '  bytes        34,567',
      `  sha256       ${'ab'.repeat(32)}`,
      '  manifest     /data/control.csv.manifest.json',
      '  anonymized   hashed: userId, sessionId, cohort',
      '! 3 events of b dropped or damaged, and not in this file; crucible show 295d says which',
    ]);
    expect(lines.join('\n')).not.toContain('secret');
    const cut = exportedLines({ ...result, cut: 2 }, [opened('a')], {}, 1, { ...options, width: 120 });
    expect(cut.at(-1)).toBe(
      '! 2 events too large to be kept whole: texts are cut at 16 MiB, and events at 32 MiB',
    );
    const dropped = exportedLines(
      result,
      [opened('a')],
      { anonymize: { key: '-', mode: 'drop' } },
      1,
      options,
    );
    expect(dropped.at(-1)).toBe('  anonymized   dropped: userId, sessionId');
  });
});
