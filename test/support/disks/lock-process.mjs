/** A process that takes and releases locks as it is told, with the built library. Told by IPC; answers each message. */
import { closeSync, existsSync, openSync, unlinkSync } from 'node:fs';
import { nodeFileSystem } from '../../../dist/src/storage/disk/file-system.js';
import { acquireLock } from '../../../dist/src/storage/disk/lock.js';

/** @type {import('../../../src/storage/disk/lock.js').Lock | undefined} */
let lock;

/** The code of the refusal, or null when the lock is held now. @param {string} folder */
function tryToAcquire(folder) {
  try {
    lock = acquireLock(nodeFileSystem, folder);
    return null;
  } catch (error) {
    return /** @type {{ code: string }} */ (error).code;
  }
}

/** Takes the lock again and again; `witness` is a file that only a holder may create. */
function contend(
  /** @type {{ folder: string, witness: string, times: number }} */ { folder, witness, times },
) {
  const result = { held: 0, refused: 0, overlaps: 0, otherErrors: 0 };
  for (let i = 0; i < times; i++) {
    const refusal = tryToAcquire(folder);
    if (refusal !== null) {
      if (refusal === 'ERR_LOCKED') result.refused++;
      else result.otherErrors++;
      continue;
    }
    result.held++;
    try {
      closeSync(openSync(witness, 'wx'));
      unlinkSync(witness);
    } catch {
      result.overlaps++;
    }
    lock?.release();
  }
  return result;
}

process.on('message', (/** @type {any} */ message) => {
  switch (message.do) {
    case 'acquire':
      // Spins, so that all begin within microseconds.
      while (message.after !== undefined && !existsSync(message.after));
      process.send?.(tryToAcquire(message.folder));
      break;
    case 'release':
      lock?.release();
      process.send?.(null);
      break;
    case 'contend':
      process.send?.(contend(message));
      break;
    default:
      throw new Error(`no such order: ${message.do}`);
  }
});
process.send?.('ready');
