import { describe, expect, it } from 'vitest';
import { displayWidth, padEnd, padStart, truncate, wrap } from '../../../src/cli/terminal/width.js';

const RED = '\u001b[31m';
const DEFAULT = '\u001b[39m';

describe('displayWidth', () => {
  it.each([
    ['', 0],
    ['latency', 7],
    ['é', 1],
    ['e\u0301', 1],
    ['延迟', 4],
    ['ﾊﾝ', 2],
    ['한국', 4],
    ['🚀', 2],
    ['👩‍🔬', 2],
    ['🇪🇺', 2],
    ['▁█', 2],
    ['zero\u200bwidth', 9],
    [`${RED}red${DEFAULT}`, 3],
  ])('of %j is %i', (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });
});

describe('padding', () => {
  it('fills to a number of columns, not of characters', () => {
    expect(padStart('延迟', 6)).toBe('  延迟');
    expect(padEnd(`${RED}x${DEFAULT}`, 3)).toBe(`${RED}x${DEFAULT}  `);
    expect(padEnd('longer', 3)).toBe('longer');
  });
});

describe('truncate', () => {
  it('keeps what fits, and marks a cut', () => {
    expect(truncate('latency', 7)).toBe('latency');
    expect(truncate('latency', 4)).toBe('lat…');
    expect(truncate('latency', 0)).toBe('');
  });

  it('never shows half of a wide character', () => {
    expect(truncate('延迟延迟', 4)).toBe('延…');
    expect(displayWidth(truncate('延迟延迟', 5))).toBe(5);
  });

  it('keeps escape sequences, so that a style still ends', () => {
    expect(truncate(`${RED}latency${DEFAULT} of`, 4)).toBe(`${RED}lat…${DEFAULT}`);
  });
});

describe('wrap', () => {
  it('breaks at spaces and begins first and later lines as told', () => {
    expect(wrap('one two three four', 9, '→ ', '  ')).toEqual(['→ one two', '  three', '  four']);
    expect(wrap('unbreakable', 4)).toEqual(['unbreakable']);
    expect(wrap('', 10, '> ')).toEqual(['> ']);
  });
});
