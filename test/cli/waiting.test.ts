import { describe, expect, it } from 'vitest';
import { NO_STYLE } from '../../src/cli/terminal/style.js';
import { waitFor } from '../../src/cli/waiting.js';
import { CollectedStream } from './support/streams.js';

const contextOf = (live: boolean, signal = new AbortController().signal) => ({
  stderr: new CollectedStream({ columns: 80, rows: 24 }),
  style: NO_STYLE,
  live,
  signal,
});

describe('waitFor', () => {
  it('gives what the work gives, and shows a line meanwhile at a terminal only', async () => {
    const terminal = contextOf(true);
    expect(await waitFor(terminal, 'comparing', Promise.resolve(7))).toBe(7);
    expect(terminal.stderr.text).toContain('comparing …');
    expect(terminal.stderr.text.endsWith('\u001b[?25h')).toBe(true);
    const pipe = contextOf(false);
    await waitFor(pipe, 'comparing', Promise.resolve());
    expect(pipe.stderr.text).toBe('');
  });

  it('throws what the work throws, and takes the line away', async () => {
    const terminal = contextOf(true);
    await expect(waitFor(terminal, 'comparing', Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(terminal.stderr.text.endsWith('\u001b[?25h')).toBe(true);
  });

  it('does not wait for work that somebody interrupts, nor begin to', async () => {
    const stop = new AbortController();
    const never = new Promise<never>(() => {});
    const waiting = waitFor(contextOf(true, stop.signal), 'comparing', never);
    stop.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await expect(waitFor(contextOf(true, stop.signal), 'comparing', never)).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});
