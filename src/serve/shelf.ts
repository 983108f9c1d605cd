/** The shelf: all experiments there are to look at, those of the process and those of the folder, and what is new of them. */
import { join } from 'node:path';
import { Pace } from '../pace.js';
import type { ColumnType } from '../schema/columns.js';
import { lookAt, type StoredExperiment } from '../storage/catalogue.js';
import { ifThere } from '../storage/disk/errors.js';
import { nodeFileSystem as files } from '../storage/disk/file-system.js';
import { DOCUMENT } from '../storage/disk/paths.js';
import { experimentFolders } from '../storage/folders.js';
import type { ExperimentAccess } from '../workers/access.js';
import type { Descriptor, ToServer } from './protocol.js';

/** Between two looks at the folder, and how much longer than a look took, ms. */
const LOOK_MS = 1_000;
const LOOK_SHARE = 20;
/** How long the folder is looked at before the server may do something else. */
const WORK_MS = 8;

interface Shelved {
  readonly descriptor: Descriptor;
  readonly access?: ExperimentAccess | undefined;
  /** What the document's file looked like; only of those that have ended. */
  readonly seen?: string | undefined;
  /** The shelf's version in which it became what it is. */
  readonly version: number;
}

export class Shelf {
  readonly dir: string | null;
  readonly #process = new Map<string, Shelved>();
  readonly #folder = new Map<string, Shelved>();
  readonly #goneIn = new Map<string, number>();
  #version = 0;
  #looking: Promise<void> | undefined;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  /** Why the folder cannot be looked into. */
  error: string | null = null;

  constructor(dir: string | null) {
    this.dir = dir;
  }

  get version(): number {
    return this.#version;
  }

  /** What the capturing thread tells. */
  take({ experiments, gone }: Extract<ToServer, { gone: unknown }>): void {
    for (const { descriptor, access } of experiments) {
      const known = this.#process.get(descriptor.id);
      this.#process.set(descriptor.id, {
        descriptor,
        // Keys of another thread's memories are not those of this one's.
        access: access === undefined ? known?.access : { ...access, key: -access.key },
        version: ++this.#version,
      });
      this.#goneIn.delete(descriptor.id);
    }
    for (const id of gone) {
      this.#process.delete(id);
      this.#goneIn.set(id, ++this.#version);
    }
  }

  /** Looks at the folder, unless that was done just now. */
  async look(): Promise<void> {
    if (this.dir === null) return;
    if (this.#looking === undefined && performance.now() >= this.#nextLookMs) {
      this.#looking = this.#look(this.dir).finally(() => {
        this.#looking = undefined;
      });
    }
    await this.#looking;
  }

  async #look(dir: string): Promise<void> {
    const beganMs = performance.now();
    try {
      const found = new Set<string>();
      const pace = new Pace(WORK_MS);
      for (const folder of experimentFolders(dir)) {
        if (pace.isDue) await pace.rest();
        const id = this.#lookAt(folder);
        found.add(id);
      }
      for (const id of this.#folder.keys()) {
        if (found.has(id)) continue;
        this.#folder.delete(id);
        this.#goneIn.set(id, ++this.#version);
      }
      this.error = null;
    } catch (error) {
      this.error = error instanceof Error ? error.message : String(error);
    }
    const tookMs = performance.now() - beganMs;
    this.#nextLookMs = performance.now() + Math.max(LOOK_MS, LOOK_SHARE * tookMs);
  }

  #lookAt(folder: string): string {
    const name = folder.split(/[\\/]/).at(-1) as string;
    const known = this.#folder.get(name);
    if (known?.seen !== undefined && known.seen === seenAs(folder)) return name;
    const seen = seenAs(folder);
    const descriptor = descriptorOf(lookAt(folder));
    const { status, id } = descriptor;
    const hasEnded = status === 'stopped' || status === 'archived';
    const entry = { descriptor, ...(hasEnded && { seen }) };
    const isNew = known === undefined || JSON.stringify(known.descriptor) !== JSON.stringify(descriptor);
    this.#folder.set(id, { ...entry, version: isNew ? ++this.#version : known.version });
    if (isNew) this.#goneIn.delete(id);
    return id;
  }

  /** The process's own where both have one. */
  #find(id: string): Shelved | undefined {
    return this.#process.get(id) ?? this.#folder.get(id);
  }

  get(id: string): { descriptor: Descriptor; access: ExperimentAccess | undefined } | null {
    const found = this.#find(id);
    return found === undefined ? null : { descriptor: found.descriptor, access: found.access };
  }

  /** What has changed after a version: all there is after 0. */
  since(version: number): { changed: Descriptor[]; gone: string[] } {
    const changed: Descriptor[] = [];
    for (const id of new Set([...this.#process.keys(), ...this.#folder.keys()])) {
      const found = this.#find(id) as Shelved;
      if (found.version > version) changed.push(found.descriptor);
    }
    const gone = [...this.#goneIn].flatMap(([id, at]) =>
      at > version && this.#find(id) === undefined ? [id] : [],
    );
    return { changed, gone };
  }
}

function seenAs(folder: string): string | undefined {
  const stat = ifThere(() => files.stat(join(folder, DOCUMENT)));
  return stat && `${stat.id} ${stat.modifiedMs} ${stat.bytes}`;
}

function descriptorOf(stored: StoredExperiment): Descriptor {
  const { id, folder, experiment: fields, error, heldBy, interrupted, rows, bytes, dropped } = stored;
  const common = {
    id,
    source: 'folder',
    folder,
    heldBy,
    libraryVersion: stored.libraryVersion,
    counts: {
      captured: rows + dropped,
      retained: rows,
      dropped,
      damaged: 0,
      malformed: 0,
      cut: 0,
      durable: rows,
      bytes,
    },
  } as const;
  if (fields === null) {
    return {
      ...common,
      name: id,
      condition: '',
      hypothesis: null,
      tags: [],
      metadata: {},
      status: stored.status,
      startedAt: 0,
      stoppedAt: null,
      pausedAt: null,
      pausedUs: 0,
      sampleSize: null,
      declared: [],
      error: error && { code: error.code, message: error.message },
    };
  }
  const { name, condition, hypothesis, tags, metadata, startedAt, stoppedAt, pausedAt, pausedUs } = fields;
  return {
    ...common,
    name,
    condition,
    hypothesis,
    tags,
    metadata,
    status: stored.status,
    startedAt,
    // Nobody has said when it ended.
    stoppedAt: interrupted ? stored.lastSeenAt : stoppedAt,
    pausedAt,
    pausedUs,
    sampleSize: fields.sampleSize,
    declared: fields.options.columns as unknown as readonly { name: string; type: ColumnType }[],
    error:
      stored.missingSegments === 0
        ? null
        : { code: 'ERR_SEGMENT_CORRUPT', message: `${stored.missingSegments} of its files are missing` },
  };
}
