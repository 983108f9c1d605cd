/** Instrumentation of a process: what is patched, by whom, and how it is taken back. */
import { activeRun } from '../capture/context.js';
import type { Crucible } from '../capture/crucible.js';
import { Experiment } from '../capture/experiment.js';
import { ConfigError } from '../errors.js';
import { type FetchTapOptions, isTapped, tapFetch } from './fetch-tap.js';

/** What can be instrumented. */
export const SOURCES = ['fetch'] as const;
export type Source = (typeof SOURCES)[number];

export interface InstrumentOptions extends FetchTapOptions {
  /** Default: all. */
  readonly sources?: readonly Source[];
}

/**
 * Captures the calls of models that this process makes, by whatever SDK: those inside of an experiment's `run` go to that
 * experiment; others to every running experiment of this process, or to the one that is given.
 *
 * SDKs take the global fetch when a client is made, so this comes before that. Clients that were made earlier are given
 * `crucibleFetch()` as their `fetch`. Instrumenting again while it is instrumented changes nothing.
 * @returns what ends it
 * @throws ConfigError for an option that is not understood
 */
export function instrument(target: Crucible | Experiment, options: InstrumentOptions = {}): Disposable {
  return patch({ ...options, ...runOf(target) });
}

/** The same for a thread that captures for the experiments that are attached to it. */
export function instrumentWorker(options: InstrumentOptions): Disposable {
  return patch(options);
}

function patch(options: InstrumentOptions): Disposable {
  const { sources = SOURCES } = options;
  for (const source of sources) {
    if (!SOURCES.includes(source)) throw new ConfigError('sources', `any of ${SOURCES.join(', ')}`, source);
  }
  const restore = sources.includes('fetch') ? patchFetch(options) : () => {};
  return { [Symbol.dispose]: restore };
}

function patchFetch(options: FetchTapOptions): () => void {
  const before = globalThis.fetch;
  if (isTapped(before)) return () => {};
  const tapped = tapFetch(before, options);
  globalThis.fetch = tapped;
  return () => {
    // Somebody may have wrapped it since; then it stays, and is silent.
    if (globalThis.fetch === tapped) globalThis.fetch = before;
  };
}

/** Where calls belong that are made outside of any run. */
function runOf(target: Crucible | Experiment): Pick<FetchTapOptions, 'run'> {
  return target instanceof Experiment ? { run: target.run(() => activeRun.getStore()) } : {};
}
