import { describe, expect, it } from 'vitest';
import { DemoDisplay } from '../../../src/cli/commands/demo-display.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { fakeLibrary } from '../support/fake-library.js';
import { CollectedStream } from '../support/streams.js';

const counts = (finished: number) => ({
  finished,
  answered: finished,
  failed: 0,
  correct: 0,
  extraRequests: 0,
});

function makeDisplay(stderr: CollectedStream) {
  const library = fakeLibrary();
  const crucible = library.open();
  const control = crucible.startExperiment({ name: 'control' });
  const treatment = crucible.startExperiment({ name: 'hedged' });
  const time = { nowMs: 0 };
  const context = { stderr, style: NO_STYLE, live: stderr.isTTY, nowMs: () => time.nowMs };
  const display = new DemoDisplay(context, { control, treatment }, 10);
  control.run(() => library.emit('req_llm.request.stop', { duration: 40e6 }, { response: 'x' }));
  return { display, time };
}

describe('DemoDisplay', () => {
  it('redraws both arms in place and leaves nothing behind', () => {
    const stderr = new CollectedStream({ columns: 90, rows: 30 });
    const { display, time } = makeDisplay(stderr);
    display.start();
    display.redraw();
    expect(stderr.text).toContain('0/20');
    display.update({ control: counts(1), treatment: counts(0) });
    time.nowMs = 1000;
    display.redraw();
    expect(stderr.text).toContain('1/20');
    expect(stderr.text).toMatch(/mean +40\.00 +-/);
    display.close();
    expect(stderr.text.endsWith('\u001b[J\u001b[?25h')).toBe(true);
  });

  it('logs a line where nothing can be redrawn', () => {
    const stderr = new CollectedStream();
    const { display, time } = makeDisplay(stderr);
    display.start();
    display.update({ control: counts(1), treatment: counts(0) });
    time.nowMs = 4000;
    display.log();
    display.close();
    expect(stderr.text).toBe('4.0 s: control 1/10, mean 40.00 ms · hedged 0/10\n');
  });
});
