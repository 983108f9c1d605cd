/** Reference data beside the repository; suites that need it say so and skip where it is absent. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it } from 'vitest';

const DATA_DIR = '../shared/data';

/** Runs `define` with the parsed file, or reports one skipped test that names the missing file. */
export function describeWithFixture<T>(file: string, define: (data: T) => void): void {
  const path = resolve(DATA_DIR, file);
  describe(file, () => {
    if (!existsSync(path)) it.skip(`needs ${DATA_DIR}/${file}, which is not here`, () => {});
    else define(parse(readFileSync(path, 'utf8')) as T);
  });
}

/** JSON in which NaN and the infinities are written as strings. */
function parse(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) =>
    value === 'NaN' || value === 'Infinity' || value === '-Infinity' ? Number(value) : value,
  );
}
