import { describe, expect, it } from 'vitest';
import { NotFoundError, StorageError } from '../src/errors.js';
import { guarded, storageError } from '../src/system-errors.js';

const systemError = (code: string) => Object.assign(new Error(`${code}: something, write`), { code });

describe('storageError', () => {
  it.each([
    ['ENOSPC', 'the disk is full'],
    ['EDQUOT', "the user's quota on the disk is used up"],
    ['EFBIG', 'the file would be larger than allowed'],
  ])('says that %s means there is no room, and what helps', (code, reason) => {
    const cause = systemError(code);
    const error = storageError(cause, 'write a segment at', { path: 'd/000001.arrows', offset: 4096 });
    expect(error).toBeInstanceOf(StorageError);
    expect(error).toMatchObject({
      code: 'ERR_STORAGE_FULL',
      message: expect.stringMatching(
        `^cannot write a segment at d/000001.arrows: ${reason} \\(${code}\\); (make room|raise)`,
      ),
      context: { path: 'd/000001.arrows', offset: 4096, systemCode: code },
    });
    expect(error.cause).toBe(cause);
  });

  it.each(['EIO', 'EACCES', 'EROFS', 'EMFILE', 'ENOENT'])('says that %s is a failure of the disk', (code) => {
    expect(storageError(systemError(code), 'open', { path: 'p' }).code).toBe('ERR_STORAGE_IO');
  });

  it.each<[unknown, string]>([
    [systemError('EXDEV'), 'EXDEV'],
    [new Error('odd'), 'odd'],
    ['text', 'text'],
    [undefined, 'undefined'],
    [Object.assign(new Error('numbered'), { code: 5 }), 'numbered'],
  ])('takes anything that was thrown', (cause, reason) => {
    const error = storageError(cause, 'sync at', { path: 'p' });
    expect(error).toMatchObject({ code: 'ERR_STORAGE_IO', message: `cannot sync at p: ${reason}` });
    expect(error.cause).toBe(cause);
  });

  it('lets errors of ours through', () => {
    const error = new NotFoundError('experiment', 'x');
    expect(storageError(error, 'read at', { path: 'p' })).toBe(error);
    expect(() =>
      guarded('read at', 'p', () => {
        throw error;
      }),
    ).toThrow(error);
    expect(guarded('read at', 'p', () => 5)).toBe(5);
  });
});
