/** What the capturing thread and the server's thread tell each other. */
import type { WireError } from '../errors.js';
import type { ColumnType } from '../schema/columns.js';
import type { Json } from '../schema/event.js';
import type { ExperimentStatus } from '../storage/stored-fields.js';
import type { Contribution, Look } from '../study/book.js';
import type { StudyPlan } from '../study/plan.js';
import type { ExperimentAccess } from '../workers/access.js';
import type { ResolvedServeOptions } from './options.js';

/** An experiment, as whoever captures it or its folder says. Times in µs since the Unix epoch. */
export interface Descriptor {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly hypothesis: string | null;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, Json>>;
  readonly status: ExperimentStatus | 'interrupted' | 'unreadable';
  readonly startedAt: number;
  readonly stoppedAt: number | null;
  readonly pausedAt: number | null;
  readonly pausedUs: number;
  readonly sampleSize: number | null;
  /** 'process': captured, or opened, by the process that serves; 'folder': read from files. */
  readonly source: 'process' | 'folder';
  readonly folder: string | null;
  /** Whoever writes its folder. */
  readonly heldBy: { readonly pid: number; readonly host: string | null } | null;
  readonly counts: DescriptorCounts;
  readonly declared: readonly { readonly name: string; readonly type: ColumnType }[];
  readonly libraryVersion: string | null;
  /** Why it cannot be read, or not be kept. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface DescriptorCounts {
  readonly captured: number;
  readonly retained: number;
  readonly dropped: number;
  readonly damaged: number;
  readonly malformed: number;
  readonly cut: number;
  /** Rows that are durable; null in memory. */
  readonly durable: number | null;
  readonly bytes: number | null;
}

export interface ServerStart {
  readonly options: ResolvedServeOptions;
  readonly version: string;
  /** Of the page, by their paths. */
  readonly files: Readonly<Record<string, PageFile>>;
}

export interface PageFile {
  readonly type: string;
  /** Changes with the content. */
  readonly tag: string;
  readonly content: string;
}

/** An experiment of the process, and how it can be read; without `access` what was told before holds. */
export interface ProcessExperiment {
  readonly descriptor: Descriptor;
  readonly access?: ExperimentAccess;
}

/** A study as its book tells it; looking at these is no look at its verdict. */
export interface StudyTold {
  readonly name: string;
  readonly plan: StudyPlan;
  readonly planHash: string;
  readonly folder: string | null;
  readonly plannedAt: number;
  readonly contributions: readonly Contribution[];
  readonly looks: readonly Look[];
}

/** What the server's thread asks the capturing one, which knows studies. */
export type Question =
  | { readonly what: 'studies' }
  | { readonly what: 'verdict'; readonly study: string }
  /** Of an experiment in memory only; those of folders are read there. */
  | { readonly what: 'scores'; readonly experiment: string };

export type ToServer =
  | { readonly experiments: readonly ProcessExperiment[]; readonly gone: readonly string[] }
  | { readonly number: number; readonly answer: unknown }
  | { readonly number: number; readonly error: WireError };

export type FromServer =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'asked'; readonly number: number; readonly question: Question }
  /** Whether anybody looks: otherwise nothing needs to be told. */
  | { readonly kind: 'watched'; readonly watched: boolean };
