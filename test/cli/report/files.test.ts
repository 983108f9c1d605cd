import { describe, expect, it } from 'vitest';
import { filesLines } from '../../../src/cli/report/files.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';

const options = { style: NO_STYLE, width: 80 };

describe('filesLines', () => {
  it('gives path, rows and bytes', () => {
    expect(filesLines([{ path: 'exports/a.csv', rows: 1200, bytes: 34_567 }], options)).toEqual([
      '  path             rows    bytes',
      '  exports/a.csv   1,200   34,567',
    ]);
  });
});
