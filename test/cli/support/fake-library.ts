/** A library in memory: exact, slow, and with nothing behind it but arrays. */

import { AsyncLocalStorage } from 'node:async_hooks';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { ArmSamples } from '../../../src/analysis/compare/samples.js';
import type {
  LatencyStats,
  Metrics,
  ReliabilityStats,
  StreamingDistribution,
  StreamingMetrics,
} from '../../../src/analysis/types.js';
import type { Library, LibraryCrucible, LibraryExperiment } from '../../../src/cli/library.js';
import type { ExportResult } from '../../../src/index.js';
import { studySize } from '../../../src/study/size.js';
import { countsOf } from '../../support/counts.js';

interface Row {
  event: string;
  latencyMs: number | null;
  costUsd: number | null;
  success: boolean | null;
}

export interface FakeLibrary extends Library {
  calls: string[];
  rows: Map<string, Row[]>;
  /** What experiments were started with. */
  started: object[];
}

export function fakeLibrary(onEmit: (event: string) => void = () => {}): FakeLibrary {
  const current = new AsyncLocalStorage<string>();
  const rows = new Map<string, Row[]>();
  const names = new Map<string, string>();
  const calls: string[] = [];
  const started: object[] = [];

  const experiment = (id: string, name: string, dir: string | undefined): LibraryExperiment => ({
    id,
    name,
    condition: name,
    get counts() {
      const captured = rows.get(id)!.length;
      return countsOf({ captured });
    },
    get storage() {
      if (dir === undefined) return null;
      return { folder: `${dir}/${id}`, durable: rows.get(id)!.length, error: null };
    },
    cleanup: async () => void calls.push(`cleanup ${name}`),
    toJSON: () => ({ id, name }),
    run: (fn) => current.run(id, fn),
    streamingMetrics: () => streamingOf(rows.get(id)!),
    metrics: async () => metricsOf(rows.get(id)!),
    metricsBy: async (key) => {
      calls.push(`metricsBy ${key}`);
      return [{ key: null, metrics: metricsOf(rows.get(id)!) }];
    },
    windowedMetrics: async () => [],
    events: async function* () {},
    scores: () => [],
    scoreFile: () => Promise.reject(new Error('not here')),
    judges: () => {
      throw new Error('not here');
    },
    attempts: () => Promise.reject(new Error('not here')),
    stop: async () => void calls.push(`stop ${name}`),
    archive: () => Promise.reject(new Error('not here')),
    reprice: async () => {
      throw new Error('no prices here');
    },
    compact: async () => ({ segments: 0, skipped: [], bytesBefore: 0, bytesAfter: 0 }),
    export: async (format, { path = `exports/${name}.${format}` }) => {
      calls.push(`export ${format}`);
      return exported(path, rows.get(id)!.length, 100);
    },
    exportStream: async function* (format) {
      calls.push(`exportStream ${format}`);
      yield Buffer.from(`${rows.get(id)!.length} rows`);
    },
  });
  const start = (options: { name: string }, dir: string | undefined) => {
    const { name } = options;
    started.push(options);
    const id = `id-${name}`;
    rows.set(id, []);
    names.set(id, name);
    return experiment(id, name, dir);
  };
  const crucible = (dir: string | undefined): LibraryCrucible => ({
    startExperiment: (options) => start(options, dir),
    experiments: () => [...names].map(([id, name]) => experiment(id, name, dir)),
    importFiles: async (
      sources,
      { onProgress, signal, name = '', id, condition, tags, metadata, ...options },
    ) => {
      const paths = sources.map((source) => (typeof source === 'string' ? source : 'a stream'));
      calls.push(`import ${paths} ${JSON.stringify(options)}`);
      const about = { name, ...(id && { id }), ...(condition && { condition }), tags, metadata };
      const arms =
        options.splitBy === undefined
          ? [about]
          : ['a', 'b'].map((arm) => ({ ...about, name: `${name} ${arm}` }));
      const experiments = arms.map((arm) => start(arm, dir));
      onProgress?.({ path: paths[0]!, bytes: 10, totalBytes: 10, rows: 3 });
      for (const { id } of experiments) {
        for (const latencyMs of [10, 20, 30]) {
          rows.get(id)!.push({ event: 'row', latencyMs, costUsd: null, success: true });
        }
      }
      signal?.throwIfAborted();
      return {
        experiments,
        result: { rows: 3 * arms.length, malformed: 1, reasons: { value: 1 }, bytes: 23 },
      };
    },
    experiment: (id) => experiment(id, names.get(id)!, dir),
    recover: async () => ({ dir: '', experiments: [], rows: 0, bytes: 0 }),
    compare: async (ids, options) =>
      compareArms(
        ids.map((id) => armOf(id, names.get(id)!, rows.get(id)!)),
        options,
      ),
    exportMultiple: async (
      ids,
      format,
      { dir = 'exports', name = 'experiments', path = `${dir}/${name}.${format}` },
    ) => {
      calls.push(`export ${format}`);
      return exported(
        path,
        ids.reduce((sum, id) => sum + rows.get(id)!.length, 0),
        1000,
      );
    },
    serve: async () => ({ url: 'http://127.0.0.1:4747/' }),
    study: () => ({ verdict: () => Promise.reject(new Error('not here')) }),
    close: async () => void calls.push('close'),
  });
  return {
    calls,
    rows,
    started,
    open: (dir) => {
      calls.push(dir === undefined ? 'open' : `open ${dir}`);
      return crucible(dir);
    },
    listExperiments: async () => [],
    follow: () => Promise.reject(new Error('not here')),
    deleteExperiment: async (folder) => void calls.push(`delete ${folder}`),
    listStudies: () => [],
    studySize,
    pilotOf: () => Promise.reject(new Error('not here')),
    emit: (event, measurements, metadata) => {
      const duration = measurements.duration as number | undefined;
      rows.get(current.getStore()!)!.push({
        event,
        latencyMs: duration === undefined ? null : duration / 1e6,
        costUsd: (metadata.cost ?? metadata.duplicationCost ?? metadata.totalCost ?? null) as number | null,
        success: event.endsWith('.exception') ? false : metadata.response === undefined ? null : true,
      });
      onEmit(event);
    },
  };
}

function exported(path: string, rows: number, bytes: number): ExportResult {
  return {
    path,
    rows,
    cut: 0,
    damaged: 0,
    bytes,
    sha256: 'ab'.repeat(32),
    manifest: `${path}.manifest.json`,
  };
}

function armOf(id: string, name: string, rows: readonly Row[]): ArmSamples {
  const values = (pick: (row: Row) => number | null) => Float64Array.from(known(rows.map(pick)));
  return {
    id,
    name,
    condition: name,
    metrics: metricsOf(rows),
    latencyMs: values(({ latencyMs }) => latencyMs),
    costUsd: values(({ costUsd }) => costUsd),
    tokens: new Float64Array(0),
    successes: rows.filter(({ success }) => success === true).length,
    decided: rows.filter(({ success }) => success !== null).length,
    timeRange: null,
    events: rows.length,
  };
}

export function metricsOf(rows: readonly Row[]): Metrics {
  const latencies = known(rows.map(({ latencyMs }) => latencyMs));
  const costs = known(rows.map(({ costUsd }) => costUsd));
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const spread = distribution(latencies);
  return {
    summary: {
      totalEvents: rows.length,
      timeRange: { start: null, end: null },
      durationSeconds: 0,
      eventTypes: {},
      wallClockSeconds: 0,
      activeSeconds: 0,
      pausedSeconds: 0,
    },
    latency:
      spread.count === 0
        ? { count: 0 }
        : ({ ...spread, median: spread.p50, stdDevPopulation: spread.stdDev } as LatencyStats),
    cost:
      costs.length === 0
        ? { count: 0, total: 0 }
        : {
            total,
            count: costs.length,
            meanPerRequest: total / costs.length,
            medianPerRequest: distribution(costs).p50!,
            costPer1kRequests: (total / costs.length) * 1e3,
            costPer1mRequests: (total / costs.length) * 1e6,
          },
    reliability: reliabilityOf(rows),
    tokens: { count: 0 },
    events: {},
  };
}

export function streamingOf(rows: readonly Row[]): StreamingMetrics {
  const costs = known(rows.map(({ costUsd }) => costUsd));
  const reliability = reliabilityOf(rows);
  return {
    count: rows.length,
    latency: distribution(known(rows.map(({ latencyMs }) => latencyMs))),
    cost: {
      ...distribution(costs),
      total: costs.reduce((sum, cost) => sum + cost, 0),
      meanPerRequest: null,
      costPer1kRequests: null,
      costPer1mRequests: null,
    },
    reliability:
      reliability.successRate === null ? { ...reliability, successful: 0, failed: 0 } : reliability,
    tokens: { count: 0 },
    columns: {},
    eventCounts: {},
    byEvent: {},
    recorders: [],
  };
}

function reliabilityOf(rows: readonly Row[]): Metrics['reliability'] {
  const decided = rows.filter(({ success }) => success !== null);
  if (decided.length === 0) return { totalRequests: rows.length, decidedRequests: 0, successRate: null };
  const successful = decided.filter(({ success }) => success).length;
  const successRate = successful / decided.length;
  return {
    totalRequests: rows.length,
    decidedRequests: decided.length,
    successful,
    failed: decided.length - successful,
    successRate,
    failureRate: 1 - successRate,
    sla99: successRate >= 0.99,
    sla999: successRate >= 0.999,
    sla9999: successRate >= 0.9999,
  } satisfies ReliabilityStats;
}

function distribution(values: readonly number[]): StreamingDistribution {
  const sorted = [...values].sort((a, b) => a - b);
  const n = sorted.length;
  const sum = sorted.reduce((total, v) => total + v, 0);
  const q = (p: number) => sorted[Math.round(p * (n - 1))] ?? null;
  return {
    count: n,
    sum,
    mean: n === 0 ? null : sum / n,
    stdDev: n < 2 ? null : Math.sqrt(sorted.reduce((s, v) => s + (v - sum / n) ** 2, 0) / (n - 1)),
    min: q(0),
    max: q(1),
    p50: q(0.5),
    p90: q(0.9),
    p95: q(0.95),
    p99: q(0.99),
    p999: q(0.999),
  };
}

function known(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null);
}
