/** `crucible-telemetry/fetch`: the tap as the `fetch` option of a client. */

import { activeRun } from '../capture/context.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import type { Experiment } from '../experiment/experiment.js';
import type { ContentOptions } from './content.js';
import { tapFetch } from './fetch-tap.js';

export interface CrucibleFetchOptions {
  /** Hosts of models beside the known ones, each `host` or `host:port`. */
  readonly hosts?: readonly string[] | undefined;
  /** Whether what is said is stored, and how; default: nothing of it. */
  readonly content?: boolean | ContentOptions | undefined;
  /** Where calls belong that are made outside of any experiment's `run`; default: to every running experiment. */
  readonly experiment?: Experiment | undefined;
  /** What is called underneath; default: the global fetch as it is at each call. */
  readonly fetch?: typeof fetch | undefined;
}

const OPTIONS: OptionNames<CrucibleFetchOptions> = {
  hosts: true,
  content: true,
  experiment: true,
  fetch: true,
};

/**
 * A fetch that captures the calls of models that pass through it: `new OpenAI({ fetch: crucibleFetch() })`. Requests,
 * answers and errors are those of the fetch underneath.
 */
export function crucibleFetch(options: CrucibleFetchOptions = {}): typeof fetch {
  checkOptions(options, OPTIONS);
  const {
    hosts = [],
    content,
    experiment,
    fetch: underneath = (...args) => globalThis.fetch(...args),
  } = options;
  return tapFetch(underneath, { hosts, content, run: experiment?.run(() => activeRun.getStore()) });
}
