import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LayoutError, NotFoundError, StorageError } from '../../../src/errors.js';
import {
  DOCUMENT_BYTES_MAX,
  type ExperimentDocument,
  readDocument,
  writeDocument,
} from '../../../src/storage/disk/document.js';
import { type FileSystem, writeFully } from '../../../src/storage/disk/file-system.js';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import { createFileSystem as createFaultyDisk, type Fault } from '../../support/disks/faulty-disk.mjs';
import { crashStates, everyCrashState, PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';

const FOLDER = '/experiments/e';
const PATH = `${FOLDER}/experiment.json`;

function documentOf(change: Partial<ExperimentDocument> = {}): ExperimentDocument {
  return {
    format: 'crucible-telemetry',
    formatVersion: 1,
    libraryVersion: '1.2.3',
    experiment: {
      id: 'e',
      name: 'Größe — 測定',
      startedAt: 1,
      stoppedAt: null,
      tags: ['a'],
      metadata: { 10: 1, 9: 2 },
    },
    segments: [
      {
        segment: 1,
        form: 'arrow',
        bytes: 1000,
        rows: 10,
        timeMinUs: 5,
        timeMaxUs: 2 ** 52,
        lastChunk: 7,
        ended: true,
      },
    ],
    current: 2,
    expired: { throughSegment: 0, lastChunk: null, segments: 0, rows: 0, bytes: 0 },
    losses: NO_LOSSES,
    updatedAtUs: 1_700_000_000_000_000,
    ...change,
  };
}

function emptyDisk(): PowerLossDisk {
  return new PowerLossDisk(new Map([[FOLDER, null]]));
}

/** A disk on which a document was written long ago. */
function diskWith(document: ExperimentDocument): PowerLossDisk {
  const disk = emptyDisk();
  writeDocument(disk, FOLDER, document);
  return new PowerLossDisk(disk.content());
}

/** A disk on which experiment.json holds this. */
function diskHolding(content: string | Uint8Array): PowerLossDisk {
  return new PowerLossDisk(new Map([[PATH, Buffer.from(content)]]));
}

describe('the document', () => {
  it('is read as it was written', () => {
    expect(readDocument(diskWith(documentOf()), FOLDER)).toEqual(documentOf());
  });

  it('is read as it was written, whatever an experiment has', () => {
    const name = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('__proto__', 'constructor', 'checksum', '0'),
    );
    const { json } = fc.letrec<{ json: unknown }>((tie) => ({
      json: fc.oneof(
        { depthSize: 'small' },
        fc.oneof(fc.double(), fc.string({ unit: 'binary' }), fc.boolean(), fc.constant(null)),
        fc.array(tie('json')),
        fc.dictionary(name, tie('json')),
      ),
    }));
    fc.assert(
      fc.property(json, (value) => {
        const document = documentOf({ experiment: { value: value as never } });
        // As JSON has it: -0 is 0, and what is not finite is null.
        expect(readDocument(diskWith(document), FOLDER)).toEqual(JSON.parse(JSON.stringify(document)));
      }),
    );
  });

  it('can be read by a person, in any tool', () => {
    const text = new TextDecoder().decode(diskWith(documentOf()).readFile(PATH, 1e9));
    expect(text).toContain('\n  "formatVersion": 1,\n');
    expect(text).toContain('Größe — 測定');
    expect(text.endsWith('}\n')).toBe(true);
    expect(JSON.parse(text)).toMatchObject(documentOf());
  });

  it('has the same bytes when the same is written again', () => {
    const disk = diskWith(documentOf());
    const before = disk.content();
    writeDocument(disk, FOLDER, readDocument(disk, FOLDER));
    expect(disk.content()).toEqual(before);
  });

  it('is missing with a NotFoundError that names the experiment', () => {
    expect(() => readDocument(emptyDisk(), FOLDER)).toThrow(NotFoundError);
    expect(() => readDocument(emptyDisk(), FOLDER)).toThrow('no experiment with id "e"');
  });

  it('of another version is refused with both versions, whatever else is in it', () => {
    const disk = diskHolding('{"format":"crucible-telemetry","formatVersion":2,"unheardOf":true}');
    expect(() => readDocument(disk, FOLDER)).toThrow(LayoutError);
    expect(() => readDocument(disk, FOLDER)).toThrow(`${PATH} formatVersion: expected 1, got 2`);
  });

  it.each<[string, object]>([
    ['experiment', { experiment: undefined }],
    ['experiment', { experiment: ['a'] }],
    ['formatVersion', { formatVersion: '1' }],
    ['libraryVersion', { libraryVersion: 1 }],
    ['segments', { segments: undefined }],
    ['segments.0', { segments: [5] }],
    ['segments.0.form', { segments: [{ ...documentOf().segments[0], form: undefined }] }],
    ['segments.0.lastChunk', { segments: [{ ...documentOf().segments[0], lastChunk: '7' }] }],
    ['current', { current: '2' }],
    ['expired', { expired: null }],
    ['expired.lastChunk', { expired: { throughSegment: 0, segments: 0, rows: 0, bytes: 0 } }],
    ['losses.refused', { losses: { ...NO_LOSSES, refused: null } }],
    ['updatedAtUs', { updatedAtUs: null }],
  ])('with something else as its %s is what another version wrote', (where, change) => {
    const read = () => readDocument(diskWith({ ...documentOf(), ...change } as ExperimentDocument), FOLDER);
    expect(read).toThrow(StorageError);
    expect(read).toThrow(
      expect.objectContaining({ code: 'ERR_SEGMENT_VERSION', context: { path: PATH, where } }),
    );
  });

  it.each([
    '',
    'nonsense',
    'null',
    '5',
    '[]',
    '{}',
    '{"format":"other","formatVersion":1}',
    '{"format":"crucible',
  ])('is not %j', (content) => {
    const read = () => readDocument(diskHolding(content), FOLDER);
    expect(read).toThrow(StorageError);
    expect(read).toThrow(expect.objectContaining({ code: 'ERR_SEGMENT_CORRUPT', context: { path: PATH } }));
  });

  it('is never taken for whole with a bit flipped or the end missing', () => {
    const whole = diskWith(documentOf()).readFile(PATH, 1e9);
    const read = (bytes: Uint8Array) => {
      try {
        return readDocument(diskHolding(bytes), FOLDER);
      } catch (error) {
        // The version is looked at before the checksum, so a flipped version is another version.
        expect(error instanceof LayoutError || (error as StorageError).code === 'ERR_SEGMENT_CORRUPT').toBe(
          true,
        );
        return undefined;
      }
    };
    for (let bit = 0; bit < whole.byteLength * 8; bit++) {
      const flipped = whole.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(read(flipped), `bit ${bit}`).toBeUndefined();
    }
    // Without its last line break it is whole.
    for (let length = 0; length < whole.byteLength - 1; length++) {
      expect(read(whole.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
  });

  it('says so when the disk cannot be read', () => {
    const faults: Fault[] = [{ operation: 'readFile', code: 'EIO' }];
    const read = () => readDocument(createFaultyDisk({ faults }, diskWith(documentOf())), FOLDER);
    expect(read).toThrow(expect.objectContaining({ code: 'ERR_STORAGE_IO' }));
  });
});

const OLD = documentOf();
// Longer, so that its sectors are more than those of the old one.
const NEW = documentOf({ experiment: { name: 'new', text: 'x'.repeat(600) }, current: 3 });

type Write = typeof writeDocument;

/** Throws unless each state that a power cut may leave has the old or the new document. */
function checkCrashes(write: Write, states: 'every' | { seed: number }): Set<string> {
  const disk = diskWith(OLD);
  write(disk, FOLDER, NEW);
  const all =
    states === 'every'
      ? everyCrashState(disk.initial, disk.journal)
      : crashStates(disk.initial, disk.journal, { ...states, statesPerPoint: 50 });
  const found = new Set<string>();
  for (const { point, choices, content } of all) {
    const which = whichOf(new PowerLossDisk(content));
    if (which === undefined) throw new Error(`neither old nor new at point ${point}, choices ${choices}`);
    if (which === 'old' && point === disk.journal.length) throw new Error('written, and lost all the same');
    found.add(which);
  }
  return found;
}

function whichOf(files: FileSystem): 'old' | 'new' | undefined {
  try {
    return readDocument(files, FOLDER).current === NEW.current ? 'new' : 'old';
  } catch {
    return undefined;
  }
}

/** Writing the document without one of its steps. */
function writeWithout(missing: 'sync' | 'temporary' | 'syncFolder'): Write {
  return (files, folder, document) => {
    const skipping = createFaultyDisk({ faults: [] }, files);
    if (missing === 'sync') skipping.sync = () => {};
    if (missing === 'syncFolder') skipping.syncFolder = () => {};
    if (missing === 'temporary') {
      const scratch = emptyDisk();
      writeDocument(scratch, folder, document);
      const fd = files.open(PATH, 'r+');
      const end = writeFully(files, fd, [scratch.readFile(PATH, 1e9)], 0);
      files.truncate(fd, end);
      files.sync(fd);
      files.close(fd);
      return;
    }
    writeDocument(skipping, folder, document);
  };
}

describe('writing the document', () => {
  it('leaves the old one or the new one at every point where the power may go', () => {
    expect(checkCrashes(writeDocument, 'every')).toEqual(new Set(['old', 'new']));
    expect(checkCrashes(writeDocument, { seed: 11 })).toEqual(new Set(['old', 'new']));
  });

  it.each(['sync', 'temporary', 'syncFolder'] as const)(
    'is caught at it when it is done without %s',
    (missing) => {
      expect(() => checkCrashes(writeWithout(missing), 'every')).toThrow(
        /neither old nor new|lost all the same/,
      );
      expect(() => checkCrashes(writeWithout(missing), { seed: 11 })).toThrow(/neither old nor new|lost/);
    },
  );

  it('succeeds after any power cut, and then leaves nothing but the document', () => {
    const disk = diskWith(OLD);
    writeDocument(disk, FOLDER, NEW);
    for (const { content } of everyCrashState(disk.initial, disk.journal)) {
      const after = new PowerLossDisk(content);
      writeDocument(after, FOLDER, NEW);
      expect(after.list(FOLDER)).toEqual(['experiment.json']);
      expect(readDocument(after, FOLDER)).toEqual(NEW);
    }
  });

  it('leaves the temporary files of others alone', () => {
    const disk = emptyDisk();
    const other = `${FOLDER}/.tmp-0123456789abcdef-writer-1.lock`;
    disk.close(disk.open(other, 'wx'));
    writeDocument(disk, FOLDER, OLD);
    expect(disk.list(FOLDER)).toHaveLength(2);
  });

  it.each(['list', 'open', 'write', 'sync', 'close', 'rename', 'syncFolder'] as const)(
    'that fails in %s says so, leaves a whole document and nothing else, and can be repeated',
    (operation) => {
      for (const [code, expected] of [
        ['EIO', 'ERR_STORAGE_IO'],
        ['ENOSPC', 'ERR_STORAGE_FULL'],
      ] as const) {
        for (const takesEffect of [false, true]) {
          const disk = diskWith(OLD);
          const faults: Fault[] = [{ operation, code, until: 2, takesEffect }];
          const files = createFaultyDisk({ faults }, disk);
          expect(() => writeDocument(files, FOLDER, NEW)).toThrow(
            expect.objectContaining({ name: 'StorageError', code: expected }),
          );
          expect(whichOf(disk)).toBeDefined();
          expect(disk.list(FOLDER)).toEqual(['experiment.json']);
          writeDocument(files, FOLDER, NEW);
          expect(whichOf(disk)).toBe('new');
          expect(disk.list(FOLDER)).toEqual(['experiment.json']);
        }
      }
    },
  );

  it('takes short writes', () => {
    const disk = diskWith(OLD);
    writeDocument(createFaultyDisk({ faults: [{ operation: 'write', bytes: 'random' }] }, disk), FOLDER, NEW);
    expect(readDocument(disk, FOLDER)).toEqual(NEW);
  });

  it('is refused where it would be larger than can be read again', () => {
    const disk = diskWith(OLD);
    const large = { ...NEW, experiment: { text: 'x'.repeat(DOCUMENT_BYTES_MAX) } };
    expect(() => writeDocument(disk, FOLDER, large)).toThrow(
      expect.objectContaining({ code: 'ERR_STORAGE_FULL', message: expect.stringContaining('segmentBytes') }),
    );
    expect(whichOf(disk)).toBe('old');
  });

  it('keeps the first error when clearing up fails too', () => {
    const faults: Fault[] = [
      { operation: 'sync', code: 'ENOSPC' },
      { operation: ['close', 'unlink'], code: 'EIO' },
    ];
    const disk = diskWith(OLD);
    expect(() => writeDocument(createFaultyDisk({ faults }, disk), FOLDER, NEW)).toThrow(
      expect.objectContaining({ code: 'ERR_STORAGE_FULL' }),
    );
    expect(whichOf(disk)).toBe('old');
  });
});
