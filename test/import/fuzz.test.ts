/**
 * Files that lie: valid ones are made by chance, and one number that they state is made another one. Whatever it is, the
 * import ends in rows or in an error of its own.
 *
 * `npm run fuzz` does so for ten minutes. What fails tells its case: `CRUCIBLE_FUZZ=parquet/123` runs that alone.
 */
import { describe, expect, it } from 'vitest';
import { TelemetryError } from '../../src/errors.js';
import { importRecords } from '../../src/import/index.js';
import { arrow } from '../support/fuzz/arrow.js';
import { msgpack, snapshot } from '../support/fuzz/msgpack.js';
import { parquet } from '../support/fuzz/parquet.js';
import { Random, Stated } from '../support/fuzz/stated.js';
import { gzipStored, zstdFrame } from '../support/fuzz/wrappers.js';
import { SEED } from '../support/seed.js';
import { useScratch } from './support.js';

type Make = (random: Random, n: Stated['n']) => Uint8Array;
const lines: Make = (random, n) =>
  Buffer.from(`{"latency_ms":${n(random.below(100))}}\n`.repeat(1 + random.below(50)));

const FORMATS: Readonly<Record<string, Make>> = {
  parquet,
  arrow,
  msgpack,
  snapshot,
  gzip: (random, n) => gzipStored(lines(random, n), n),
  zstd: (random, n) => zstdFrame(lines(random, n), n),
};
const IMPORTED_AS: Readonly<Record<string, 'msgpack' | 'arrow' | 'parquet'>> = {
  parquet: 'parquet',
  arrow: 'arrow',
  msgpack: 'msgpack',
  snapshot: 'msgpack',
};

const MINUTES = process.env.CRUCIBLE_LONG === undefined ? 0 : Number(process.env.CRUCIBLE_FUZZ_MINUTES ?? 10);
const CASES = 250;
const ONE = process.env.CRUCIBLE_FUZZ;
/** What a file of some kB may need, above what the process has; a page or batch may have 64 MiB, and be copied. */
const RSS_BYTES_MAX = 1024 * 1024 * 1024;
const CASE_MS_MAX = 60_000;
const ROWS_ENOUGH = 2 ** 17;
const ENOUGH = new Error('enough rows');

const write = useScratch();

/** @returns how it ends @throws what it should not end in */
async function run(format: string, bytes: Uint8Array): Promise<'rows' | string> {
  const path = await write(
    `case.${format === 'gzip' ? 'jsonl.gz' : format === 'zstd' ? 'jsonl.zst' : format}`,
    bytes,
  );
  let rows = 0;
  const started = performance.now();
  try {
    const as = IMPORTED_AS[format];
    await importRecords(path, { time: 'now', ...(as !== undefined && { format: as }) }, () => {
      if (++rows > ROWS_ENOUGH) throw ENOUGH;
    });
    return 'rows';
  } catch (error) {
    if (error === ENOUGH) return 'rows';
    if (!(error instanceof TelemetryError)) throw error;
    return error.code;
  } finally {
    expect(performance.now() - started).toBeLessThan(CASE_MS_MAX);
    expect(process.memoryUsage.rss()).toBeLessThan(RSS_BYTES_MAX);
  }
}

/** The file of a case, valid or with a lie. */
function make(format: string, seed: number, lie: boolean): Uint8Array {
  const honest = new Stated();
  const valid = FORMATS[format]!(new Random(seed), honest.n);
  if (!lie) return valid;
  const choice = new Random(seed + 1);
  // Some of the numbers stand where only the bytes tell, as in the tables of FlatBuffers.
  if (choice.below(8) === 0) {
    const changed = Buffer.from(valid);
    changed.writeInt32LE(choice.of([0, -1, 1, 7, 2 ** 24, 2 ** 31 - 1]), choice.below(changed.length - 4));
    return changed;
  }
  return FORMATS[format]!(new Random(seed), new Stated(choice.below(honest.count), choice).n);
}

async function check(format: string, seed: number): Promise<string> {
  try {
    return await run(format, make(format, seed, true));
  } catch (cause) {
    throw new Error(`CRUCIBLE_FUZZ=${format}/${seed} npx vitest run test/import/fuzz.test.ts`, { cause });
  }
}

if (ONE !== undefined) {
  it(`the case ${ONE}`, async () => {
    const [format, seed] = ONE.split('/') as [string, string];
    expect(await check(format, Number(seed))).toMatch(/^rows$|^ERR_/);
  });
} else {
  describe.each(Object.keys(FORMATS))('%s', (format) => {
    it('is read where it is valid', async () => {
      const outcomes = new Set<string>();
      for (let i = 0; i < 40; i++) outcomes.add(await run(format, make(format, SEED + i, false)));
      // Node 20 cannot read Zstandard around a file.
      expect(
        [...outcomes].filter((outcome) => format !== 'zstd' || outcome !== 'ERR_UNSUPPORTED_FORMAT'),
      ).toEqual(format === 'zstd' && outcomes.has('ERR_UNSUPPORTED_FORMAT') ? [] : ['rows']);
    });

    it(
      'with one number changed ends in rows or an error of its own',
      async () => {
        const outcomes = new Map<string, number>();
        const until = performance.now() + (MINUTES * 60_000) / Object.keys(FORMATS).length;
        let seed = SEED;
        for (; seed < SEED + CASES || performance.now() < until; seed++) {
          const outcome = await check(format, seed);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }
        if (MINUTES > 0) console.log(format, seed - SEED, 'cases from', SEED, Object.fromEntries(outcomes));
        expect(outcomes.size).toBeGreaterThan(format === 'zstd' ? 0 : 1);
      },
      MINUTES * 60_000 + 120_000,
    );
  });
}
