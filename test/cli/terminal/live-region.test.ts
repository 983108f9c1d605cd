import { describe, expect, it } from 'vitest';
import { LiveRegion } from '../../../src/cli/terminal/live-region.js';
import { CollectedStream } from '../support/streams.js';

const terminal = (columns = 60, rows = 10) => new CollectedStream({ columns, rows });

describe('LiveRegion', () => {
  it('redraws in place, hides the cursor meanwhile and gives it back', () => {
    const stream = terminal();
    const region = new LiveRegion(stream);
    region.draw(['one', 'two']);
    expect(stream.text).toBe('\u001b[?25lone\u001b[K\ntwo\u001b[K\n\u001b[J');
    stream.text = '';
    region.draw(['three']);
    expect(stream.text).toBe('\u001b[2A\rthree\u001b[K\n\u001b[J');
    stream.text = '';
    region.close();
    expect(stream.text).toBe('\u001b[1A\r\u001b[J\u001b[?25h');
    stream.text = '';
    region.close();
    expect(stream.text).toBe('');
  });

  it('cuts lines and rows that would scroll the screen', () => {
    const stream = terminal(40, 3);
    new LiveRegion(stream).draw(['x'.repeat(50), 'two', 'three']);
    expect(stream.text).toContain(`${'x'.repeat(38)}…`);
    expect(stream.text).not.toContain('three');
  });

  it('gives the cursor back when the process exits without closing', () => {
    const before = process.listenerCount('exit');
    const stream = terminal();
    const region = new LiveRegion(stream);
    region.draw(['one']);
    expect(process.listenerCount('exit')).toBe(before + 1);
    stream.text = '';
    process.listeners('exit').at(-1)!(0);
    expect(stream.text).toBe('\u001b[?25h');
    region.close();
    expect(process.listenerCount('exit')).toBe(before);
  });
});
