/** A folder and a ring for a spooler, without an experiment round them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/clock.js';
import { createFolder } from '../../../src/experiment/durability.js';
import { type ExperimentOptions, resolveOptions, storedOptions } from '../../../src/experiment/options.js';
import { Stores } from '../../../src/experiment/stores.js';
import { SpoolWords } from '../../../src/ring/spool.js';
import { REFERENCE_PRICES } from '../../../src/schema/prices.js';
import { FORMAT_VERSION } from '../../../src/storage/disk/document.js';
import type { ExperimentFields, SpoolerOptions } from '../../../src/storage/spooler/spooler.js';
import { COLUMNS, Source } from '../../faults/rows.mjs';

export interface Bench {
  readonly dir: string;
  readonly folder: string;
  readonly fields: ExperimentFields;
  readonly options: Omit<SpoolerOptions, 'epoch'>;
  readonly words: SpoolWords;
  /** Captures rows that test/faults/kill.mjs can check. */
  readonly source: Source;
  publish(): void;
  close(): void;
}

export function openBench(wanted: Partial<ExperimentOptions> = {}): Bench {
  const dir = mkdtempSync(join(tmpdir(), 'crucible-bench-'));
  const resolved = resolveOptions({ name: 'bench', id: 'bench', dir, columns: COLUMNS, ...wanted });
  const { durable } = resolved;
  if (durable === null) throw new Error('a bench has a folder');
  const stores = new Stores(resolved, { clock: systemClock, prices: REFERENCE_PRICES });
  const { name, id, condition, metadata } = resolved;
  const times = { startedAt: 0, stoppedAt: 0, pausedAt: null, pausedUs: 0, pauseCount: 0 };
  const fields: ExperimentFields = {
    ...{ id, name, condition, metadata, hypothesis: null, tags: [], sampleSize: null },
    ...{ ...times, status: 'stopped', options: storedOptions(resolved) },
  };
  const { folder, lock } = createFolder(durable, id, fields, 0);
  const { memory, geometry, writer } = stores;
  const { fsync, flushIntervalMs, segmentBytes, retention } = durable;
  return {
    dir,
    folder,
    fields,
    options: {
      memory,
      geometry,
      folder,
      lock: null,
      identity: {
        formatVersion: FORMAT_VERSION,
        libraryVersion: 'test',
        experimentId: id,
        columns: resolved.columns,
        priceVersion: REFERENCE_PRICES.version,
      },
      overflow: resolved.overflow,
      ...{ fsync, flushIntervalMs, segmentBytes, retention },
      losses: { overwritten: 0, refused: 0, malformed: 0, overflowed: 0, cut: 0 },
      rowsBefore: 0,
      expiredBefore: 0,
    },
    words: new SpoolWords(memory),
    source: new Source(
      {
        recorder: (event, bound) => writer.recorder(event, bound),
        capture: (event, measurements, metadata) => writer.capture(event, measurements, metadata),
        captureAt: (timestampUs, event, measurements, metadata) =>
          writer.capture(event, measurements, metadata, undefined, timestampUs),
      },
      0,
    ),
    publish: () => writer.ring.publish(),
    close() {
      lock.release();
      rmSync(dir, { recursive: true });
    },
  };
}
