/** Doing something as a user who is not root: what root may do anyway cannot be refused to it. */
import { chownSync } from 'node:fs';

/** Of nobody, on Linux. */
const UID = 65_534;

/**
 * Runs `fn` as a user without rights, who owns `folders`; as the one who runs the tests where that is not root.
 * @throws where a user cannot be chosen, as on Windows: the test must not pass then as if it had been
 */
export async function unprivileged<T>(folders: readonly string[], fn: () => T | Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return fn();
  for (const folder of folders) chownSync(folder, UID, UID);
  process.setegid!(UID);
  process.seteuid!(UID);
  try {
    return await fn();
  } finally {
    process.seteuid!(0);
    process.setegid!(0);
  }
}
