/**
 * The library as the command line uses it: the only place that names its modules. The shapes are those of the
 * public API, cut down to what the commands need, so that tests can bring a library of their own.
 */

import type { Comparison, Metrics, StreamingMetrics } from '../analysis/types.js';
import type { Emit } from '../demo/clients.js';
import type { Interval, Intervals, Moments, Proportion } from './report/comparison.js';

export interface ExportFile {
  path: string;
  rows: number;
  bytes: number;
}

export const EXPORT_FORMATS = ['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ImportResult {
  /** Rows of the file that became events. */
  rows: number;
  /** Rows, or parts of them, that could not be understood. */
  malformed?: number;
}

export interface ImportProgress {
  bytes: number;
  totalBytes: number;
}

export interface LibraryExperiment {
  readonly id: string;
  readonly name: string;
  run<T>(fn: () => T): T;
  streamingMetrics(): StreamingMetrics;
  metrics(): Promise<Metrics>;
  stop(): Promise<void>;
  importFile(
    path: string,
    options: {
      map: Record<string, string>;
      event?: string;
      signal?: AbortSignal;
      onProgress?: (progress: ImportProgress) => void;
    },
  ): Promise<ImportResult>;
}

export interface LibraryCrucible {
  startExperiment(options: {
    name: string;
    condition?: string;
    hypothesis?: string;
    tags?: string[];
    metadata?: Record<string, string | number | null>;
  }): LibraryExperiment;
  compare(ids: readonly string[]): Promise<Comparison>;
  exportMultiple(
    ids: readonly string[],
    format: ExportFormat,
    options: { path: string },
  ): Promise<ExportFile>;
  close(): Promise<void>;
}

export interface Library extends Intervals {
  /** `dir` makes every experiment durable beneath it. */
  open(options: { dir: string }): LibraryCrucible;
  emit: Emit;
}

interface IndexModule {
  Crucible: new (options: { dir: string }) => LibraryCrucible;
  telemetry: { execute: Emit };
}

interface TestResult {
  confidenceInterval: Interval | null;
}

interface StatsModule {
  welchTTest(x: Moments, y: Moments): TestResult;
  twoProportionZ(x: Proportion, y: Proportion): TestResult;
}

export async function loadLibrary(): Promise<Library> {
  const { Crucible, telemetry } = await load<IndexModule>('../index.js');
  const stats = await load<StatsModule>('../stats/index.js');
  return {
    open: (options) => new Crucible(options),
    emit: (event, measurements, metadata) => telemetry.execute(event, measurements, metadata),
    meanInterval: (x, y) => stats.welchTTest(x, y).confidenceInterval,
    proportionInterval: (x, y) => stats.twoProportionZ(x, y).confidenceInterval,
  };
}

/** Imports a sibling module as the shape declared here. */
async function load<T>(specifier: string): Promise<T> {
  return (await import(specifier)) as T;
}
