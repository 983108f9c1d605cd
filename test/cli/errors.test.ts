import { describe, expect, it } from 'vitest';
import { errorText, UsageError } from '../../src/cli/errors.js';
import { NotFoundError } from '../../src/errors.js';

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

  it('adds the stack for debugging', () => {
    const [line, ...stack] = errorText(new UsageError('wrong'), true).split('\n');
    expect(line).toBe('error: wrong (ERR_USAGE)');
    expect(stack.join('\n')).toContain('errors.test.ts');
  });
});
