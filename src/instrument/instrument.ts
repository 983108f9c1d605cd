/** Instrumentation of a process: what is patched, by whom, and how it is taken back. */

import { type ActiveRun, activeRun } from '../capture/context.js';
import { checkOptions } from '../check-options.js';
import { ConfigError } from '../errors.js';
import { Crucible } from '../experiment/crucible.js';
import { Experiment } from '../experiment/experiment.js';
import { registerIntegration } from './ai-sdk-global.js';
import { contentOf } from './content.js';
import { Endpoints } from './endpoints.js';
import { type FetchTapOptions, isTapped, tapFetch } from './fetch-tap.js';
import { listenToHttp } from './http-channels.js';
import { registerHook } from './langchain-hook.js';

/**
 * What can be instrumented: `fetch`; what the AI SDK and LangChain.js tell; and calls by `node:http` and `node:http2` (`http`) and by
 * npm's undici, of which the latency and the status are seen.
 */
export const SOURCES = ['fetch', 'ai-sdk', 'langchain', 'http', 'undici'] as const;
export type Source = (typeof SOURCES)[number];

export interface InstrumentOptions extends FetchTapOptions {
  /** Default: all. */
  readonly sources?: readonly Source[] | undefined;
}

/**
 * Captures the calls of models that this process makes, by whatever SDK: those inside of an experiment's `run` go to that
 * experiment; others to every running experiment of this process, or to the one that is given.
 *
 * SDKs take the global fetch when a client is made, so this comes before that. Clients that were made earlier are given
 * `crucibleFetch()` as their `fetch`. Instrumenting again while it is instrumented changes nothing.
 * @returns what ends it
 * @throws ConfigError for an invalid target or option
 */
export function instrument(target: Crucible | Experiment, options: InstrumentOptions = {}): Disposable {
  if (!(target instanceof Crucible || target instanceof Experiment)) {
    throw new ConfigError('target', 'a Crucible or an Experiment', target);
  }
  checkOptions(options, ['sources', 'hosts', 'content']);
  return patch({ ...options, ...runOf(target) });
}

/** The same for a thread that captures for the experiments that are attached to it. */
export function instrumentWorker(options: InstrumentOptions): Disposable {
  return patch(options);
}

/** Each begins, and returns what ends it. */
const PATCHES: Readonly<Record<Source, (options: InstrumentOptions) => () => void>> = {
  fetch: patchFetch,
  'ai-sdk': ({ run, content }) => registerIntegration(run, contentOf(content)),
  langchain: ({ run, content }) => registerHook(run, contentOf(content)),
  http: ({ hosts = [], run }) => listenToHttp('http', new Endpoints(hosts), run),
  undici: ({ hosts = [], run }) => listenToHttp('undici', new Endpoints(hosts), run),
};

function patch(options: InstrumentOptions): Disposable {
  const { sources = SOURCES } = options;
  for (const source of sources) {
    if (!SOURCES.includes(source)) throw new ConfigError('sources', `any of ${SOURCES.join(', ')}`, source);
  }
  const ends = [...new Set(sources)].map((source) => PATCHES[source](options));
  return {
    [Symbol.dispose]: () => {
      for (const end of ends.splice(0)) end();
    },
  };
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
function runOf(target: Crucible | Experiment): { readonly run?: ActiveRun | undefined } {
  return target instanceof Experiment ? { run: target.run(() => activeRun.getStore()) } : {};
}
