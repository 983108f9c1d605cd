/** What can be read of an object whose getters may throw. */
import { setOwn } from '../formats/msgpack/stored-value.js';

/** An object's own properties; null for those whose getter throws, of which `unread` is told. Never throws. */
export function readable(source: unknown, unread: (key: string) => void): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  if (typeof source !== 'object' || source === null) return copy;
  try {
    for (const key of Object.keys(source)) {
      try {
        setOwn(copy, key, (source as Record<string, unknown>)[key]);
      } catch {
        setOwn(copy, key, null);
        unread(key);
      }
    }
  } catch {
    // A proxy that does not even tell its keys.
  }
  return copy;
}

/** What of an object may be kept where all of it is too large. */
export function trimmed(
  source: Readonly<Record<string, unknown>>,
  onCut: (key: string) => void,
): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(readable(source, () => {}))) {
    const isLeft = typeof value !== 'object';
    if (!isLeft && value !== null) onCut(key);
    setOwn(copy, key, isLeft ? value : null);
  }
  return copy;
}
