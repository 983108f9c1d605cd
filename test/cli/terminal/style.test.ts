import { describe, expect, it } from 'vitest';
import { NO_STYLE, styleFor } from '../../../src/cli/terminal/style.js';
import { CollectedStream } from '../support/streams.js';

const terminal = (columns = 60, rows = 10) => new CollectedStream({ columns, rows });

describe('styleFor', () => {
  it('colours a terminal, and nothing else, unless the environment says so', () => {
    expect(styleFor(terminal(), {}).bold('x')).toBe('\u001b[1mx\u001b[22m');
    expect(styleFor(new CollectedStream(), {})).toBe(NO_STYLE);
    expect(styleFor(terminal(), { NO_COLOR: '1' })).toBe(NO_STYLE);
    expect(styleFor(terminal(), { NO_COLOR: '' })).not.toBe(NO_STYLE);
    expect(styleFor(terminal(), { TERM: 'dumb' })).toBe(NO_STYLE);
    expect(styleFor(new CollectedStream(), { FORCE_COLOR: '1' })).not.toBe(NO_STYLE);
    expect(styleFor(terminal(), { FORCE_COLOR: '0' })).toBe(NO_STYLE);
  });
});
