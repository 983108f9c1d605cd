/** Rows on disk and in memory as one. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeRefs } from '../../src/readers/merge-refs.js';
import { decodeRow } from '../../src/readers/rows.js';
import type { Batch, BatchRef } from '../../src/ring/batch.js';
import { refTo, rowValue, SOURCE } from '../support/rows.js';

const CHUNK_ROWS = 1024;

/** A part of a chunk, and which store has it. */
const part = fc.record({
  chunk: fc.nat({ max: 3 }),
  first: fc.nat({ max: 40 }),
  rows: fc.integer({ min: 1, max: 40 }),
  isOnDisk: fc.boolean(),
});
const base = fc.constantFrom(0, 5, 2 ** 40, Math.floor((2 ** 53 - 5 * CHUNK_ROWS) / CHUNK_ROWS));

function refOf(firstSequence: number, rows: number, isAsync: boolean): BatchRef {
  const timesUs = Array.from({ length: rows }, (_, i) => rowValue(firstSequence + i));
  return refTo({ firstSequence, timesUs, padBytes: 5 }, (batch) =>
    isAsync ? Promise.resolve(batch) : batch,
  );
}

const sequencesOf = (refs: readonly BatchRef[]) =>
  refs.flatMap(({ firstSequence, rows }) => Array.from({ length: rows }, (_, i) => firstSequence + i));

/** What is wrong with refs that should cover `expected`, each sequence once and ascending; undefined if nothing. */
function flawIn(refs: readonly BatchRef[], expected: ReadonlySet<number>): string | undefined {
  const covered = sequencesOf(refs);
  if (covered.some((sequence, i) => i > 0 && sequence <= covered[i - 1]!)) return 'not ascending';
  if (covered.length !== expected.size) return `${covered.length} sequences, not ${expected.size}`;
  return covered.every((sequence) => expected.has(sequence)) ? undefined : 'others';
}

describe('mergeRefs', () => {
  it('covers every sequence once, ascending, with the rows that belong there', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 12 }), base, async (parts, firstChunk) => {
        const refs = parts.map(({ chunk, first, rows, isOnDisk }) =>
          refOf((firstChunk + chunk) * CHUNK_ROWS + first, rows, isOnDisk),
        );
        const disk = refs.filter((_, i) => parts[i]!.isOnDisk);
        const memory = refs.filter((_, i) => !parts[i]!.isOnDisk);
        const merged = mergeRefs(disk, memory);
        expect(flawIn(merged, new Set(sequencesOf(refs)))).toBeUndefined();
        for (const ref of merged) {
          const batch = (await ref.read()) as Batch;
          expect([batch.firstSequence, batch.rows]).toEqual([ref.firstSequence, ref.rows]);
          for (let row = 0; row < batch.rows; row++) {
            const value = rowValue(ref.firstSequence + row);
            const event = decodeRow(SOURCE, batch, row);
            expect(event).toMatchObject({
              sequence: ref.firstSequence + row,
              latencyMs: value,
              timestamp: value,
            });
            if ('value' in event.metadata) expect(event.metadata.value).toBe(value);
            expect(batch.declared[0]![row]).toBe(value);
            expect(value >= ref.timeMinUs && value <= ref.timeMaxUs).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  it('would be found out if it gave a row twice, or lost one', () => {
    const refs = [refOf(0, 10, false), refOf(5, 10, false)];
    const expected = new Set(sequencesOf(refs));
    expect(flawIn(refs, expected)).toBe('not ascending');
    expect(flawIn(refs.slice(0, 1), expected)).toBe('10 sequences, not 15');
    expect(flawIn([refOf(1, 15, false)], expected)).toBe('others');
  });

  it('reads from disk what is there, and from memory the rest', () => {
    const disk = [refOf(10, 10, true), refOf(12, 20, true)];
    const memory = [refOf(0, 40, false)];
    const merged = mergeRefs(disk, memory);
    expect(merged.map(({ firstSequence, rows }) => [firstSequence, rows])).toEqual([
      [0, 10],
      [10, 10],
      [20, 12],
      [32, 8],
    ]);
    expect(merged.map((ref) => ref.read() instanceof Promise)).toEqual([false, true, true, false]);
    expect(merged[1]).toBe(disk[0]);
  });

  it('hands on that rows are gone', async () => {
    const gone = (result: undefined | Promise<undefined>) =>
      refTo({ firstSequence: 0, timesUs: [1, 2, 3] }, () => result);
    const cut = refOf(0, 1, false);
    for (const ref of [gone(undefined), gone(Promise.resolve(undefined))]) {
      const [, rest] = mergeRefs([cut], [ref]);
      expect(rest).toMatchObject({ firstSequence: 1, rows: 2 });
      expect(await rest!.read()).toBeUndefined();
    }
  });
});
