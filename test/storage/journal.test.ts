/** Journals: what was appended is read, each record once, whatever stands around it. */
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../../src/schema/event.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { JournalReader, JournalWriter } from '../../src/storage/journal.js';

describe('a journal', () => {
  let dir: string;
  let writers: JournalWriter[];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'journal-'));
    writers = [];
  });
  afterEach(async () => {
    for (const writer of writers) await writer.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const writerOf = (folder = dir, files = nodeFileSystem) => {
    const writer = new JournalWriter(files, folder);
    writers.push(writer);
    return writer;
  };
  const files = () => readdirSync(dir).map((name) => join(dir, name));

  it('gives every record once, to each reader, in the order of its writer', () => {
    const value = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue() as fc.Arbitrary<Json>);
    fc.assert(
      fc.property(fc.array(value), fc.array(value), (first, second) => {
        const folder = mkdtempSync(join(dir, 'each-'));
        const reader = new JournalReader(nodeFileSystem, folder);
        const writer = writerOf(folder);
        for (const record of first) writer.append(record);
        // As JSON has them: -0 is 0.
        expect(reader.read()).toEqual(JSON.parse(JSON.stringify(first)));
        writer.appendAll(second);
        expect(reader.read()).toEqual(JSON.parse(JSON.stringify(second)));
        expect(reader.read()).toEqual([]);
        expect(new JournalReader(nodeFileSystem, folder).read()).toHaveLength(first.length + second.length);
        expect(reader.damaged).toBe(0);
      }),
      { numRuns: 30 },
    );
  });

  it('makes nothing before there is a record, and then what only its owner may read', () => {
    const writer = writerOf(join(dir, 'a', 'b'));
    expect(readdirSync(dir)).toEqual([]);
    expect(new JournalReader(nodeFileSystem, join(dir, 'a', 'b')).read()).toEqual([]);
    writer.append({ a: 1 });
    const [name] = readdirSync(join(dir, 'a', 'b'));
    expect(name).toMatch(/^\d+-[0-9a-f]{16}\.journal$/);
    expect(statSync(join(dir, 'a', 'b', name!)).mode & 0o777).toBe(0o600);
  });

  it('loses the line that was torn or changed, and no other', () => {
    const writer = writerOf();
    for (let i = 0; i < 5; i++) writer.append({ i, text: 'é'.repeat(20) });
    const [path] = files();
    const bytes = readFileSync(path!);
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x20;
      writeFileSync(path!, changed);
      const reader = new JournalReader(nodeFileSystem, dir);
      const found = reader.read();
      // A newline that is none any more joins two lines.
      expect(found.length).toBeGreaterThanOrEqual(3);
      expect(reader.damaged).toBeGreaterThanOrEqual(bytes[at] === 10 && found.length === 4 ? 0 : 1);
      for (const record of found) expect(record.text).toBe('é'.repeat(20));
    }
    for (let end = 0; end < bytes.length; end += 5) {
      writeFileSync(path!, bytes.subarray(0, end));
      const reader = new JournalReader(nodeFileSystem, dir);
      const whole = reader.read().length;
      expect(whole).toBe(bytes.subarray(0, end).toString().split('\n').length - 1);
      // Its writer was only interrupted.
      appendFileSync(path!, bytes.subarray(end));
      expect(reader.read()).toHaveLength(5 - whole);
      expect(reader.damaged).toBe(0);
    }
  });

  it('takes back what it could not write whole', () => {
    let room = 60;
    const full = {
      ...nodeFileSystem,
      write(fd: number, buffers: readonly Uint8Array[], position: number) {
        if (room <= 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
        const part = buffers[0]!.subarray(0, room);
        room -= part.length;
        return nodeFileSystem.write(fd, [part], position);
      },
    };
    const writer = writerOf(dir, full);
    writer.append({ i: 1 });
    expect(() => writer.append({ text: 'x'.repeat(100) })).toThrow(
      expect.objectContaining({ code: 'ERR_STORAGE_FULL' }),
    );
    room = 1000;
    writer.append({ i: 2 });
    const reader = new JournalReader(nodeFileSystem, dir);
    expect(reader.read()).toEqual([{ i: 1 }, { i: 2 }]);
    expect(reader.damaged).toBe(0);
  });

  it('is synced when it says so', async () => {
    const syncs: number[] = [];
    const writer = writerOf(dir, {
      ...nodeFileSystem,
      sync(fd) {
        syncs.push(fd);
        nodeFileSystem.sync(fd);
      },
    });
    writer.sync();
    writer.append({ i: 1 });
    writer.sync();
    writer.sync();
    expect(syncs).toHaveLength(1);
    writer.append({ i: 2 });
    await writer.synced();
    writer.sync();
    expect(syncs).toHaveLength(1);
  });
});
