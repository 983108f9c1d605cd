import { describe, expect, it } from 'vitest';
import {
  addFacts,
  CommandError,
  errorJson,
  errorText,
  InterruptedError,
  UsageError,
} from '../../src/cli/errors.js';
import { LayoutError, NotFoundError, StorageError } from '../../src/errors.js';

describe('errorText', () => {
  it('is one line with the code, and where that is explained', () => {
    expect(errorText(new NotFoundError('experiment', 'x1'), false)).toBe(
      'error: no experiment with id "x1" (ERR_NOT_FOUND)\nhint: crucible help ERR_NOT_FOUND says what helps\n',
    );
    expect(errorText(new Error('first\n\u001b[2J second'), false)).toBe(
      'error: first\\u000a\\u001b[2J second\n',
    );
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
    expect(stack[0]).toBe('See: crucible help');
    expect(stack.join('\n')).toContain('errors.test.ts');
  });
});

describe('errorJson', () => {
  const told = (error: unknown, debug = false) => {
    const text = errorJson(error, 1, debug);
    expect(text.split('\n')).toHaveLength(2);
    return JSON.parse(text).error;
  };

  it('is a document of one line, with code, message, hint and exit status', () => {
    expect(told(new NotFoundError('experiment', 'x\n1'))).toEqual({
      code: 'ERR_NOT_FOUND',
      message: 'no experiment with id "x\\n1"',
      hint: 'crucible help ERR_NOT_FOUND says what helps',
      exitStatus: 1,
    });
    expect(told(new UsageError('wrong', 'list'))).toMatchObject({
      code: 'ERR_USAGE',
      hint: 'crucible help list',
    });
    expect(told(new StorageError('ERR_STORAGE_FULL', 'no room')).hint).toMatch(/^make room/);
    expect(told('thrown')).toMatchObject({ code: 'ERR_INTERNAL', message: 'thrown' });
    expect(told(new InterruptedError('SIGINT'))).toMatchObject({ code: 'ERR_INTERRUPTED' });
  });

  it('shows what cannot be seen, says more where more is known, and has the stack for debugging', () => {
    expect(errorJson(new Error('\u202ex'), 1, false)).toContain('"\\u202ex"');
    const error = new Error('failed');
    addFacts(error, { kept: { rows: 3 } });
    expect(told(error)).toMatchObject({ message: 'failed', kept: { rows: 3 } });
    expect(told(error, true).stack).toContain('errors.test.ts');
  });
});
