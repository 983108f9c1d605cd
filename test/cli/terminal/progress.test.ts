import { describe, expect, it } from 'vitest';
import { Progress, progressLine } from '../../../src/cli/terminal/progress.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { CollectedStream } from '../support/streams.js';

const terminal = (columns = 60, rows = 10) => new CollectedStream({ columns, rows });

describe('progressLine', () => {
  const state = { label: 'import', done: 250, total: 1000, elapsedMs: 2000 };

  it('shows bar, amount, share, rate and time left', () => {
    expect(progressLine(state, 70, NO_STYLE)).toBe(
      'import  ━━━━━━──────────────────    250/1,000   25 %  125/s  ETA 6.0 s',
    );
  });

  it('gives up the bar on a narrow terminal, and the rate before anything is done', () => {
    expect(progressLine(state, 40, NO_STYLE)).toBe('import    250/1,000   25 %  125/s  ETA 6.0 s');
    expect(progressLine({ ...state, done: 0 }, 40, NO_STYLE)).toBe(
      'import  ────────────      0/1,000    0 %',
    );
  });

  it('says what else there is to say before the rate', () => {
    const detailed = { ...state, detail: '1.5 MiB' };
    expect(progressLine(detailed, 40, NO_STYLE)).toBe(
      'import    250/1,000   25 %  1.5 MiB  125/s  ETA 6.0 s',
    );
    expect(progressLine({ ...detailed, total: null }, 40, NO_STYLE)).toBe('import  250  1.5 MiB  125/s');
  });

  it('has no bar for an unknown total, and no time left when done', () => {
    expect(progressLine({ ...state, total: null }, 80, NO_STYLE)).toBe('import  250  125/s');
    expect(progressLine({ ...state, done: 1000 }, 40, NO_STYLE)).toBe('import  1,000/1,000  100 %  500/s');
  });
});

describe('Progress', () => {
  it('shows the whole line, whatever the width', () => {
    for (const columns of [60, 61, 80, 120]) {
      const stream = terminal(columns);
      let nowMs = 0;
      const progress = new Progress(stream, NO_STYLE, true, () => nowMs);
      nowMs = 2000;
      progress.update({ label: 'x', done: 1, total: 4, detail: '1.5 MiB' });
      progress.close();
      expect(stream.text).toContain('ETA 6.0 s\u001b');
      expect(stream.text).not.toContain('…');
    }
  });

  it('draws at most ten times a second, and erases itself', () => {
    let nowMs = 0;
    const stream = terminal();
    const progress = new Progress(stream, NO_STYLE, true, () => nowMs);
    progress.update({ label: 'x', done: 1, total: 4 });
    const first = stream.text;
    nowMs = 50;
    progress.update({ label: 'x', done: 2, total: 4 });
    expect(stream.text).toBe(first);
    nowMs = 150;
    progress.update({ label: 'x', done: 3, total: 4 });
    expect(stream.text).toContain('3/4');
    progress.close();
    expect(stream.text.endsWith('\u001b[1A\r\u001b[J\u001b[?25h')).toBe(true);
  });

  it('writes nothing when nobody looks', () => {
    const stream = new CollectedStream();
    const progress = new Progress(stream, NO_STYLE, false, () => 0);
    progress.update({ label: 'x', done: 1, total: 4 });
    progress.close();
    expect(stream.text).toBe('');
  });
});
