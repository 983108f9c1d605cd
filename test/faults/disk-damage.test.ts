/**
 * Damage to what is on the disk: a recorded experiment of several small segments, of which every part is cut, flipped,
 * swapped, removed or replaced. Recovery gives no wrong value and no row twice, keeps what is not concerned, and says
 * what is.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { LayoutError, NotFoundError, StorageError } from '../../src/index.js';
import { readDocument } from '../../src/storage/disk/document.js';
import { DOCUMENT, segmentName } from '../../src/storage/disk/paths.js';
import type { Damage } from '../../src/storage/recovery.js';
import { scanSegment } from '../../src/storage/segment/scan.js';
import { type DiskContent, PowerLossDisk } from '../support/disks/power-loss-disk.mjs';
import { rounds } from '../support/effort.js';
import { SEED } from '../support/seed.js';
import { FOLDER, hooked, type ModelRow, recovered, SpoolRig } from '../support/spooling.js';

const pathOf = (segment: number): string => `${FOLDER}/${segmentName(segment)}`;

interface Recorded {
  readonly content: DiskContent;
  readonly rows: readonly ModelRow[];
  /** Numbers of the segments, and rows in each. */
  readonly segments: ReadonlyMap<number, number>;
  /** The segment being written, if the experiment was not stopped. */
  readonly current: number | null;
}

/** Four or five segments; the last one is left open unless it is finished. */
function record(isFinished: boolean, scale = 1): Recorded {
  const rig = new SpoolRig({ producers: 2, chunks: 8, segmentBytes: 65_536 * scale });
  for (let round = 0; round < 10; round++) {
    rig.capture(0, 190 * scale);
    rig.capture(1, 110 * scale, true);
    rig.step({ everything: true, sync: true });
  }
  rig.capture(0, 50);
  rig.step({ everything: true, sync: true });
  if (isFinished) rig.attempt((spooler) => spooler.finish());
  const segments = new Map<number, number>();
  for (const name of rig.disk.list(FOLDER)) {
    const number = Number.parseInt(name, 10);
    if (!name.endsWith('.arrows')) continue;
    const { entries } = scanSegment(rig.disk, pathOf(number));
    segments.set(
      number,
      entries.reduce((sum, { rows }) => sum + rows, 0),
    );
  }
  const { current } = readDocument(rig.disk, FOLDER);
  return { content: rig.disk.content(), rows: rig.onDisk(), segments, current };
}

let open: Recorded;
let finished: Recorded;
beforeAll(() => {
  open = record(false);
  finished = record(true);
});

/** The same disk with some files changed; null takes one away. */
function changed(recorded: Recorded, files: Readonly<Record<string, Uint8Array | null>>): PowerLossDisk {
  const content = new Map(recorded.content);
  for (const [path, bytes] of Object.entries(files)) {
    if (bytes === null) content.delete(path);
    else content.set(path, bytes);
  }
  return new PowerLossDisk(content);
}

const bytesOf = (recorded: Recorded, segment: number): Uint8Array =>
  recorded.content.get(pathOf(segment)) as Uint8Array;

interface Outcome {
  readonly rows: readonly ModelRow[];
  readonly damage: readonly Damage[];
  readonly cutBytes: number;
}

/** Recovers, compares with what was recorded, and does it again: nothing may change. */
async function examine(recorded: Recorded, disk: PowerLossDisk, lossIsKnown = true): Promise<Outcome> {
  // Fails for a row that is there twice, or has a value that it was not given.
  const { contents, rows } = await recovered(disk, { repair: true });
  const known = new Set(recorded.rows.map(({ serial }) => serial));
  expect(rows.filter(({ serial }) => !known.has(serial))).toEqual([]);
  const lost = recorded.rows.length - rows.length;
  const { damage } = contents;
  const told = damage.reduce((sum, { rowsLost }) => sum + (rowsLost ?? 0), 0);
  const isKnown = damage.every(({ rowsLost }) => rowsLost !== null);
  const cutBytes = contents.cut.reduce((sum, { bytes }) => sum + bytes, 0);
  if (lost > 0 && lossIsKnown)
    expect(damage.length + contents.cut.length, 'rows are missing and nothing is said').toBeGreaterThan(0);
  if (isKnown && lossIsKnown && cutBytes === 0) expect(told, 'rows said to be lost').toBe(lost);
  else expect(told, 'rows said to be lost').toBeLessThanOrEqual(lost);
  const again = new PowerLossDisk(disk.content());
  const second = await recovered(again, { repair: true });
  expect(again.journal, 'what a second recovery changes').toEqual([]);
  expect(second.rows).toEqual(rows);
  return { rows, damage, cutBytes };
}

/** Rows that are not in a segment. */
function rowsWithout(recorded: Recorded, segment: number): number {
  return recorded.rows.length - (recorded.segments.get(segment) as number);
}

const kinds = [
  ['of an experiment that was stopped', () => finished],
  ['of an experiment whose process died', () => open],
] as const;

describe.each(kinds)('segments %s', (_, recordedOf) => {
  let recorded: Recorded;
  let numbers: number[];
  let last: number;
  beforeAll(() => {
    recorded = recordedOf();
    numbers = [...recorded.segments.keys()];
    last = numbers.at(-1) as number;
  });

  it('are several, and all there to begin with', async () => {
    expect(numbers.length).toBeGreaterThanOrEqual(3);
    expect(recorded.current).toBe(recorded === open ? last : null);
    const { rows, damage, cutBytes } = await examine(recorded, changed(recorded, {}));
    expect([rows, damage, cutBytes]).toEqual([recorded.rows, [], 0]);
  });

  it('that are cut off, anywhere, keep all batches before', async () => {
    const isOpen = recorded.current !== null;
    for (const segment of [numbers[1] as number, last]) {
      const bytes = bytesOf(recorded, segment);
      const { entries } = scanSegment(new PowerLossDisk(recorded.content), pathOf(segment));
      const ends = entries.map(({ offset, bytes }) => offset + bytes);
      const cuts = new Set([0, 1, 7, 8, 9, bytes.length - 1]);
      for (const end of ends) for (const near of [-1, 0, 1]) cuts.add(end + near);
      for (const cut of fc.sample(fc.nat(bytes.length - 1), { seed: SEED, numRuns: 150 })) cuts.add(cut);
      for (const cut of cuts) {
        const disk = changed(recorded, { [pathOf(segment)]: bytes.slice(0, cut) });
        // Of a segment that nobody finished nobody knows how long it was.
        const isLastOpen = isOpen && segment === last;
        const { rows, damage, cutBytes } = await examine(recorded, disk, !isLastOpen);
        const whole = entries.filter(({ offset, bytes }) => offset + bytes <= cut);
        const kept = whole.reduce((sum, entry) => sum + entry.rows, 0);
        expect(rows.length, `cut at ${cut}`).toBe(rowsWithout(recorded, segment) + kept);
        if (isLastOpen) expect(damage).toEqual([]);
        else
          expect(damage).toMatchObject([
            { file: segmentName(segment), rowsLost: recorded.segments.get(segment)! - kept },
          ]);
        if (!isLastOpen) expect(cutBytes).toBe(0);
      }
    }
  });

  it('whose body is damaged lose that batch only, and say how many rows', async () => {
    for (const segment of numbers) {
      const { entries } = scanSegment(new PowerLossDisk(recorded.content), pathOf(segment));
      for (const { offset, bytes: length, rows: inBatch } of entries) {
        const bytes = bytesOf(recorded, segment).slice();
        bytes[offset + length - 9]! ^= 0x40;
        const { rows, damage } = await examine(recorded, changed(recorded, { [pathOf(segment)]: bytes }));
        expect(damage).toMatchObject([
          { file: segmentName(segment), offset, bytes: length, rowsLost: inBatch },
        ]);
        expect(rows.length).toBe(recorded.rows.length - inBatch);
      }
    }
  });

  it('that are swapped lose nothing', async () => {
    const [first, second] = numbers as [number, number];
    const disk = changed(recorded, {
      [pathOf(first)]: bytesOf(recorded, second),
      [pathOf(second)]: bytesOf(recorded, first),
    });
    const { rows, damage } = await examine(recorded, disk);
    expect(rows).toEqual(recorded.rows);
    expect(damage).toMatchObject([
      { file: segmentName(first), rowsLost: 0, reason: `it was written as segment ${second}` },
      { file: segmentName(second), rowsLost: 0, reason: `it was written as segment ${first}` },
    ]);
  });

  it('that are copied under another number count once', async () => {
    const disk = changed(recorded, { [pathOf(99)]: bytesOf(recorded, numbers[0]!) });
    const { rows, damage } = await examine(recorded, disk);
    expect(rows).toEqual(recorded.rows);
    expect(damage).toMatchObject([{ file: segmentName(99), rowsLost: 0 }]);
    expect(readDocument(disk, FOLDER).segments.map(({ segment }) => segment)).not.toContain(99);
  });

  it('that are copied replace a damaged original', async () => {
    const segment = numbers[0]!;
    const broken = bytesOf(recorded, segment).slice();
    const { entries } = scanSegment(new PowerLossDisk(recorded.content), pathOf(segment));
    broken[entries[0]!.offset + entries[0]!.bytes - 9]! ^= 1;
    const disk = changed(recorded, { [pathOf(segment)]: broken, [pathOf(99)]: bytesOf(recorded, segment) });
    const { rows, damage } = await examine(recorded, disk);
    expect(rows).toEqual(recorded.rows);
    expect(damage).toMatchObject([
      { file: segmentName(segment), rowsLost: 0 },
      { file: segmentName(99), rowsLost: 0 },
    ]);
  });

  it('that are renamed are found, and those that are missing are told with their rows', async () => {
    const segment = numbers[1]!;
    const renamed = changed(recorded, { [pathOf(segment)]: null, [pathOf(99)]: bytesOf(recorded, segment) });
    expect((await examine(recorded, renamed)).rows).toEqual(recorded.rows);
    const missing = await examine(recorded, changed(recorded, { [pathOf(segment)]: null }));
    expect(missing.damage).toEqual([
      {
        file: segmentName(segment),
        offset: null,
        bytes: null,
        rowsLost: recorded.segments.get(segment),
        reason: 'the file is missing',
      },
    ]);
  });

  it('that are another one of their experiment in its place are missed', async () => {
    const [first, second] = numbers as [number, number];
    const { rows, damage } = await examine(
      recorded,
      changed(recorded, { [pathOf(first)]: bytesOf(recorded, second) }),
    );
    expect(rows.length).toBe(rowsWithout(recorded, first));
    expect(damage.reduce((sum, { rowsLost }) => sum + (rowsLost ?? 0), 0)).toBe(recorded.segments.get(first));
  });

  it('of another experiment, empty files and garbage are kept out', async () => {
    const text = Buffer.from(bytesOf(recorded, numbers[0]!)).toString('latin1');
    const stranger = strangerSegment();
    expect(text).toContain('exp-1');
    for (const [bytes, hasDamage] of [
      [stranger, true],
      [new Uint8Array(0), false],
      [Buffer.from('what is this? '.repeat(100)), true],
    ] as const) {
      const { rows, damage } = await examine(recorded, changed(recorded, { [pathOf(99)]: bytes }));
      expect(rows).toEqual(recorded.rows);
      expect(damage.length).toBe(hasDamage ? 1 : 0);
      const segment = numbers[0]!;
      const inPlace = await examine(recorded, changed(recorded, { [pathOf(segment)]: bytes }));
      expect(inPlace.rows.length).toBe(rowsWithout(recorded, segment));
      expect(inPlace.damage).toMatchObject([
        { file: segmentName(segment), rowsLost: recorded.segments.get(segment) },
      ]);
    }
  });

  it('are read with no more than a fraction of them in memory', async () => {
    let most = 0;
    const disk = new PowerLossDisk(recorded.content);
    const files = hooked(disk, (perform, operation, args) => {
      if (operation === 'read') most = Math.max(most, (args[1] as Uint8Array).byteLength);
      return perform();
    });
    await recovered(files);
    const largest = Math.max(...numbers.map((number) => bytesOf(recorded, number).length));
    expect(most).toBeLessThanOrEqual(largest);
  });
});

describe.each([
  ['of a small experiment that was stopped', true],
  ['of a small experiment whose process died', false],
])('segments %s', (_, isFinished) => {
  let recorded: Recorded;
  let numbers: number[];
  beforeAll(() => {
    recorded = record(isFinished, 0.1);
    numbers = [...recorded.segments.keys()];
  });

  it('with flipped bits give no wrong value, and say so', async () => {
    const flips = fc.sample(
      fc.record({
        segment: fc.nat(numbers.length - 1),
        at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        bit: fc.nat(7),
      }),
      { seed: SEED, numRuns: rounds(500, 10_000) },
    );
    for (const { segment: index, at, bit } of flips) {
      const segment = numbers[index] as number;
      const bytes = bytesOf(recorded, segment).slice();
      const place = Math.floor(at * bytes.length);
      bytes[place]! ^= 1 << bit;
      const { rows, damage } = await examine(recorded, changed(recorded, { [pathOf(segment)]: bytes }));
      expect(damage.length, `bit ${bit} of byte ${place} of ${segmentName(segment)}`).toBeGreaterThan(0);
      expect(damage.every(({ file }) => file === segmentName(segment))).toBe(true);
      expect(rows.length).toBeGreaterThanOrEqual(rowsWithout(recorded, segment));
    }
  }, 600_000);

  it('with a flipped bit in any byte of the first 2 KiB, and of any batch head, say so', async () => {
    const segment = numbers[1] as number;
    const { entries } = scanSegment(new PowerLossDisk(recorded.content), pathOf(segment));
    const places = new Set(Array.from({ length: 2048 }, (_, at) => at));
    for (const { offset } of entries) for (let at = offset; at < offset + 1024; at++) places.add(at);
    const every = rounds(8, 1);
    for (const at of places) {
      if (at % every !== SEED % every) continue;
      const bytes = bytesOf(recorded, segment).slice();
      bytes[at]! ^= 1 << (at % 8);
      const { damage } = await examine(recorded, changed(recorded, { [pathOf(segment)]: bytes }));
      expect(damage.length, `byte ${at}`).toBeGreaterThan(0);
    }
  }, 600_000);
});

/** A segment of an experiment of another name. */
function strangerSegment(): Uint8Array {
  const rig = new SpoolRig({ producers: 1, experimentId: 'exp-2' });
  rig.capture(0, 100);
  rig.settle();
  return rig.disk.readFile(pathOf(1), 1e9);
}

describe('the document of an experiment', () => {
  const change = (bytes: Uint8Array | null) => changed(finished, { [`${FOLDER}/${DOCUMENT}`]: bytes });
  const text = () => Buffer.from(finished.content.get(`${FOLDER}/${DOCUMENT}`) as Uint8Array).toString();

  it.each<[string, () => Uint8Array | null, new (...args: never[]) => Error]>([
    ['is missing', () => null, NotFoundError],
    ['is empty', () => new Uint8Array(0), StorageError],
    ['is no JSON', () => Buffer.from('{'), StorageError],
    ['is another one', () => Buffer.from('{"name":"package"}'), StorageError],
    ['was edited', () => Buffer.from(text().replace('"name": "test"', '"name": "best"')), StorageError],
    [
      'is of another format',
      () => Buffer.from(text().replace('crucible-telemetry', 'crucible-other')),
      StorageError,
    ],
    [
      'is of a later version',
      () => Buffer.from(text().replace('"formatVersion": 1', '"formatVersion": 2')),
      LayoutError,
    ],
  ])('is refused when it %s, and nothing is changed', async (_, bytes, kind) => {
    const disk = change(bytes());
    await expect(recovered(disk, { repair: true })).rejects.toBeInstanceOf(kind);
    expect(disk.journal).toEqual([]);
  });

  it('is refused with any bit flipped', async () => {
    const whole = finished.content.get(`${FOLDER}/${DOCUMENT}`) as Uint8Array;
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at]! ^= 1 << (at % 8);
      const outcome = await recovered(change(bytes), { repair: true }).then(
        ({ rows }) => rows,
        () => 'refused',
      );
      // A flip between blanks of JSON says the same.
      if (outcome !== 'refused') expect(outcome).toEqual(finished.rows);
    }
  });
});
