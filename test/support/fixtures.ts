/** Reference data beside the repository; suites that need it say so and skip where it is absent. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it, type TestContext } from 'vitest';

const DATA_DIR = '../shared/data';

/** A file or folder of the reference data. */
export const fixturePath = (name: string) => resolve(DATA_DIR, name);

/** For `beforeEach`: skips each test of the suite, with a message, where the file or folder is absent. */
export function skipWithout(name: string): (context: TestContext) => void {
  return (context) => {
    context.skip(!existsSync(fixturePath(name)), `needs ${DATA_DIR}/${name}, which is not here`);
  };
}

/** Runs `define` with the parsed file, or reports one skipped test that names the missing file. */
export function describeWithFixture<T>(file: string, define: (data: T) => void): void {
  const path = fixturePath(file);
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

/** A golden CSV cell as a value: the reference writes 8.0e-4 and 7.0 where JavaScript writes 0.0008 and 7. */
export function cellValue<T>(cell: T): T | number {
  return typeof cell === 'string' && /^-?\d+(\.\d+)?(e-?\d+)?$/.test(cell) ? Number(cell) : cell;
}
