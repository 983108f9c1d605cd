/** An instrumented experiment, and what it has of each call. */
import { afterEach, beforeEach } from 'vitest';
import { Crucible, type EventRow, type Experiment, instrument, LLM_COLUMNS } from '../../src/index.js';
import { type ModelServer, startModelServer } from './model-server.js';

export interface CallsBench {
  readonly server: ModelServer;
  readonly crucible: Crucible;
  readonly experiment: Experiment;
  /** The fetch that is not tapped. */
  readonly fetch: typeof fetch;
  /** Ends the instrumentation. */
  stop(): void;
  /** Ends of calls, in order. */
  calls(): Promise<EventRow[]>;
}

/** A server, and an experiment that captures what this process asks of it. */
export function useCalls(): CallsBench {
  let server: ModelServer;
  let crucible: Crucible;
  let experiment: Experiment;
  let instrumented: Disposable;
  const untapped = globalThis.fetch;
  beforeEach(async () => {
    server = await startModelServer();
    crucible = new Crucible();
    experiment = crucible.startExperiment({ name: 'calls', columns: LLM_COLUMNS });
    instrumented = instrument(crucible, { hosts: [server.host] });
  });
  afterEach(async () => {
    instrumented[Symbol.dispose]();
    await crucible.close();
    await server.close();
  });
  return {
    fetch: untapped,
    stop() {
      instrumented[Symbol.dispose]();
    },
    get server() {
      return server;
    },
    get crucible() {
      return crucible;
    },
    get experiment() {
      return experiment;
    },
    async calls() {
      const rows = await experiment.query();
      return rows.filter(({ eventName }) => !eventName.endsWith('.start'));
    },
  };
}
