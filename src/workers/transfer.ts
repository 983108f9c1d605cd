/** What of a value can go to another thread without being copied. */

/** The memory of all typed arrays in plain data, each once. None of it may be shared with anybody who stays behind. */
export function buffersIn(value: unknown): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>();
  collect(value, found);
  return [...found];
}

function collect(value: unknown, found: Set<ArrayBuffer>): void {
  if (typeof value !== 'object' || value === null) return;
  if (ArrayBuffer.isView(value)) {
    if (value.buffer instanceof ArrayBuffer) found.add(value.buffer);
  } else if (Array.isArray(value)) {
    // Lists of texts and numbers may be long, and hold nothing.
    if (typeof value[0] === 'object') for (const item of value) collect(item, found);
  } else {
    for (const item of Object.values(value)) collect(item, found);
  }
}
