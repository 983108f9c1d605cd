/** Texts that are handed out and not there yet: rows that need them wait, and no row ever shows a wrong one. */
import { describe, expect, it } from 'vitest';
import {
  BINDINGS,
  DICTIONARY_ENTRIES_OFFSET,
  DICTIONARY_ENTRY_BYTES,
  STRINGS,
  TAG_BINDING_MASK,
} from '../../../assembly/layout.js';
import type { Batch } from '../../../src/ring/batch.js';
import { segmentName } from '../../../src/storage/disk/paths.js';
import { openFolder } from '../../../src/storage/recovery.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import { Segments } from '../../../src/storage/segment/segments.js';
import { ReadyIds } from '../../../src/storage/spooler/ready-ids.js';
import { FOLDER, SpoolRig } from '../../support/spooling.js';

const ALL = { everything: true, sync: true };

describe('ready ids', () => {
  /** A dictionary of so many ids, of which some have no text yet. */
  function dictionary(size: number, unready: Set<number>) {
    const isReady = (id: number) => id < size && !unready.has(id);
    return {
      isReady,
      firstUnready: (id: number) => {
        while (isReady(id)) id++;
        return id;
      },
    };
  }

  it('cover what is ready, at once', () => {
    const ids = new ReadyIds(dictionary(5, new Set()), { nowMs: () => 0 });
    expect(ids.count).toBe(1);
    expect(ids.covers(0)).toBe(true);
    expect(ids.count).toBe(1);
    expect(ids.covers(3)).toBe(true);
    expect(ids.count).toBe(5);
    expect(ids.takeLate()).toBe(false);
  });

  it('make a row wait for a text, and give it up after a second', () => {
    const unready = new Set([2]);
    let nowMs = 0;
    const ids = new ReadyIds(dictionary(5, unready), { nowMs: () => nowMs });
    expect(ids.covers(1)).toBe(true);
    expect(ids.covers(3)).toBe(false);
    nowMs = 999;
    expect(ids.covers(3)).toBe(false);
    expect(ids.count).toBe(2);
    nowMs = 1000;
    expect(ids.covers(3)).toBe(true);
    expect(ids.count).toBe(5);
    expect(ids.takeLate()).toBe(false);
    unready.clear();
    expect(ids.takeLate()).toBe(true);
    expect(ids.takeLate()).toBe(false);
  });

  it('wait for each text of its own', () => {
    const unready = new Set([2, 3]);
    let nowMs = 0;
    const ids = new ReadyIds(dictionary(5, unready), { nowMs: () => nowMs });
    expect(ids.covers(4)).toBe(false);
    nowMs = 1000;
    expect(ids.covers(4)).toBe(false);
    nowMs = 1500;
    unready.delete(3);
    expect(ids.covers(4)).toBe(true);
  });
});

/** The length word of a dictionary's entry, which makes it ready; taking it away is a thread that was interrupted. */
function hideText(rig: SpoolRig, dictionary: number, id: number): () => void {
  const words = new Int32Array(rig.ring.memory.buffer);
  const index = (dictionary + DICTIONARY_ENTRIES_OFFSET + id * DICTIONARY_ENTRY_BYTES + 4) >> 2;
  const length = words[index]!;
  Atomics.store(words, index, 0);
  return () => Atomics.store(words, index, length);
}

/** Event and label of every row on the disk, by what its own segment says. */
function shown(rig: SpoolRig): [serial: number, event: string, label: string | undefined][] {
  const rows: [number, string, string | undefined][] = [];
  const { columns } = rig.options.identity;
  const names = rig.disk.list(FOLDER).filter((name) => name.endsWith('.arrows'));
  for (const name of names.sort()) {
    const { bindings, strings } = scanSegment(rig.disk, `${FOLDER}/${name}`);
    const segments = new Segments(rig.disk, FOLDER, columns, 'exp-1');
    for (const ref of segments.refs()) {
      if (segmentName((ref as unknown as { segment: number }).segment) !== name) continue;
      const batch = ref.read() as Batch;
      for (let i = 0; i < batch.rows; i++) {
        const [event] = JSON.parse(bindings[batch.tags[i]! & TAG_BINDING_MASK]!) as [string];
        const code = batch.declared[0]?.[i] ?? 0;
        rows.push([batch.latencyMs[i]!, event, code === 0 ? undefined : strings[code]]);
      }
    }
    segments.close();
  }
  return rows;
}

describe('a row whose text is not there yet', () => {
  it('waits, with all later rows of its producer, and is written when the text comes', async () => {
    const rig = new SpoolRig({ producers: 2, chunks: 8 });
    // Binding 1 is producer 0's, binding 2 producer 1's.
    const restore = hideText(rig, BINDINGS, 2);
    rig.capture(0, 100);
    rig.capture(1, 1500);
    expect(rig.step(ALL)).toBe(false);
    expect(rig.words.written).toBe(100);
    rig.clock.ms = 900;
    expect(rig.step(ALL)).toBe(false);
    expect(rig.words.durable).toBe(100);
    restore();
    expect(rig.step(ALL)).toBe(true);
    expect(rig.words.durable).toBe(1600);
    await rig.check({ quiet: true });
    expect(shown(rig).filter(([, event]) => event === 'event 1').length).toBe(1500);
  });

  it('is written without its text when that does not come, and with it in another segment when it comes after all', async () => {
    const rig = new SpoolRig({ producers: 2, chunks: 8 });
    const restore = hideText(rig, BINDINGS, 2);
    rig.capture(1, 100);
    expect(rig.step(ALL)).toBe(false);
    rig.clock.ms = 1000;
    expect(rig.step(ALL)).toBe(true);
    expect(rig.words.durable).toBe(100);
    rig.capture(1, 50);
    expect(rig.step(ALL)).toBe(true);
    restore();
    rig.capture(1, 200);
    rig.capture(0, 200);
    expect(rig.step(ALL)).toBe(true);
    await rig.check({ quiet: true });
    const seen = shown(rig);
    expect(seen.slice(0, 150).map(([, event]) => event)).toEqual(Array(150).fill('(overflow)'));
    for (const [serial, event] of seen.slice(150)) {
      expect(event).toBe(`event ${rig.captured[0]!.some((row) => row.serial === serial) ? 0 : 1}`);
    }
    expect(rig.disk.list(FOLDER).filter((name) => name.endsWith('.arrows')).length).toBe(2);
    // Who recovers it has the text for all of them.
    const contents = await openFolder(rig.disk, FOLDER, [], { repair: false });
    expect(contents.bindings.slice(1, 3).map((text) => (JSON.parse(text) as [string])[0])).toEqual([
      'event 0',
      'event 1',
    ]);
  });

  it('waits for the text of a declared column, too', async () => {
    const columns = [{ name: 'label', type: 'dict' }] as const;
    const rig = new SpoolRig({ producers: 1, chunks: 8, columns });
    rig.captureLabelled(0, 'first');
    const restore = hideText(rig, STRINGS, 1);
    rig.captureLabelled(0, 'second');
    expect(rig.step(ALL)).toBe(false);
    expect(rig.words.written).toBe(0);
    restore();
    expect(rig.step(ALL)).toBe(true);
    expect(shown(rig).map(([, , label]) => label)).toEqual(['first', 'second']);
  });

  it('is written by the next spooler, which waits anew', async () => {
    const rig = new SpoolRig({ producers: 2, chunks: 8 });
    const restore = hideText(rig, BINDINGS, 2);
    rig.capture(1, 100);
    rig.step(ALL);
    rig.lose();
    rig.clock.ms = 5000;
    expect(rig.step(ALL)).toBe(false);
    restore();
    expect(rig.step(ALL)).toBe(true);
    await rig.check({ quiet: true });
  });
});
