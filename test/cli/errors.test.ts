import { describe, expect, it } from 'vitest';
import { CommandError, errorText, UsageError } from '../../src/cli/errors.js';
import { LayoutError, NotFoundError, StorageError } from '../../src/errors.js';

describe('errorText', () => {
  it('is one line with the code', () => {
    expect(errorText(new NotFoundError('experiment', 'x1'), false)).toBe(
      'error: no experiment with id "x1" (ERR_NOT_FOUND)\n',
    );
    expect(errorText(new Error('first\n  second'), false)).toBe('error: first second\n');
    expect(errorText('thrown text', false)).toBe('error: thrown text\n');
    expect(errorText(new Error(''), false)).toBe('error: unknown error\n');
  });

  it('does not repeat a code that the message holds', () => {
    const error = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
    expect(errorText(error, false)).toBe('error: ENOENT: no such file\n');
  });

  it('adds what to do about it, where that is known', () => {
    expect(errorText(new CommandError('ERR_X', 'it is so', 'do this'), false)).toBe(
      'error: it is so (ERR_X)\nhint: do this\n',
    );
    expect(errorText(new CommandError('ERR_X', 'it is so'), false)).toBe('error: it is so (ERR_X)\n');
    expect(errorText(new StorageError('ERR_STORAGE_FULL', 'no room'), false)).toMatch(/\nhint: make room/);
    expect(errorText(new LayoutError('formatVersion', 1, 2, 'a/experiment.json'), false)).toMatch(
      /^error: a\/experiment.json formatVersion: expected 1, got 2 \(ERR_LAYOUT_VERSION\)\nhint: .*another version/,
    );
  });

  it('takes Ctrl-C for what it is', () => {
    expect(errorText(new DOMException('This operation was aborted', 'AbortError'), false)).toBe(
      'error: interrupted\n',
    );
  });

  it('adds the stack for debugging', () => {
    const [line, ...stack] = errorText(new UsageError('wrong'), true).split('\n');
    expect(line).toBe('error: wrong (ERR_USAGE)');
    expect(stack.join('\n')).toContain('errors.test.ts');
  });
});
