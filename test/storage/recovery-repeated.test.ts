/** A damaged experiment is found the same however often it is recovered. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { scanSegment } from '../../src/storage/segment/scan.js';
import { killedExperiment } from '../support/killed.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-repeated-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

async function recover() {
  await using crucible = new Crucible();
  const { experiments } = await crucible.recover(dir, { resume: false });
  const { id, rows, damage, changed } = experiments[0]!;
  return { rows, damage, changed, counts: crucible.experiment(id).counts };
}

describe('a segment that was damaged before anybody finished it', () => {
  it.each([
    ['the body of a batch', (offset: number, bytes: number) => offset + bytes - 9, 1024],
    ['the metadata of a batch', (offset: number) => offset + 100, null],
  ])('%s: the same rows and the same damage the second time', async (_, place, rowsLost) => {
    const path = join(dir, killedExperiment(dir, { rows: 3000 }), '000001.arrows');
    const { entries } = scanSegment(nodeFileSystem, path);
    const bytes = readFileSync(path);
    bytes[place(entries[1]!.offset, entries[1]!.bytes)]! ^= 1;
    writeFileSync(path, bytes);

    const first = await recover();
    expect(first.damage).toMatchObject([{ file: '000001.arrows', offset: entries[1]!.offset, rowsLost }]);
    expect(first.rows).toBe(rowsLost === null ? 1024 : 3000 - rowsLost);
    expect(await recover()).toEqual({ ...first, changed: false });
  });

  it('does not count as written what it has lost', async () => {
    const path = join(dir, killedExperiment(dir, { rows: 3000 }), '000001.arrows');
    const { offset, bytes: length } = scanSegment(nodeFileSystem, path).entries[1]!;
    const bytes = readFileSync(path);
    bytes[offset + length - 9]! ^= 1;
    writeFileSync(path, bytes);

    await using crucible = new Crucible();
    await crucible.recover(dir);
    const [experiment] = crucible.experiments();
    experiment!.capture('e', {});
    await experiment!.flush();
    expect(experiment!.storage).toMatchObject({ written: 3000 - 1024 + 1, durable: 3000 - 1024 + 1 });
    expect(experiment!.counts).toMatchObject({ captured: 3001, retained: 3000 - 1024 + 1, dropped: 1024 });
  });
});
