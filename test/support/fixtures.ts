/** Figures that tests check against: those of the repository, and real traces beside it. */

import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, type TestContext } from 'vitest';

const DATA = resolve(import.meta.dirname, '../data');
const TRACES = resolve(import.meta.dirname, '../../../shared/data/traces');

/** A file or folder of test/data. */
export const fixturePath = (name: string) => resolve(DATA, name);

/** A file of the real traces. */
export const tracePath = (name: string) => resolve(TRACES, name);

/** For `beforeEach`: without the traces each test of the suite is skipped, or fails where they are required. */
export function needsTraces(context: TestContext): void {
  if (existsSync(TRACES)) return;
  const message = `needs the traces in ${TRACES}, which are not here`;
  expect(process.env.CRUCIBLE_TRACES, message).not.toBe('required');
  context.skip(message);
}

/** Runs `define` with the parsed file. */
export function describeWithFixture<T>(file: string, define: (data: T) => void): void {
  describe(file, () => define(parse(readFileSync(fixturePath(file), 'utf8')) as T));
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
