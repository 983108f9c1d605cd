/**
 * `node --import crucible-telemetry/register app.js`: the calls of models that a program makes, captured without a line
 * of its code. Loaded twice, it works once. Whatever goes wrong here is said and ends nothing: the program runs.
 */
import { basename } from 'node:path';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { attachExperiment, type ExperimentHandle } from '../capture/share.js';
import { Crucible } from '../experiment/crucible.js';
import { LLM_COLUMNS } from '../schema/llm-columns.js';
import { sayAtExit } from '../storage/disk/at-exit.js';
import { type RegisterConfig, readConfig } from './config.js';
import { instrument, instrumentWorker } from './instrument.js';
import { summaryOf } from './summary.js';

/** Where a process, or a thread of it, is marked as registered, whichever copy of this file was loaded. */
const REGISTERED = Symbol.for('crucible-telemetry.registered');
/** How a thread gets the experiment of the process. */
const HANDLE = 'crucible-telemetry.experiment';

function register(): void {
  if (REGISTERED in globalThis) return;
  Object.defineProperty(globalThis, REGISTERED, { value: true });
  const config = readConfig();
  if (isMainThread) registerProcess(config);
  else registerThread(config);
}

function registerProcess(config: RegisterConfig): void {
  const { condition, tags, dir } = config;
  const crucible = new Crucible({ ...(dir === undefined ? {} : { dir }) });
  const experiment = crucible.startExperiment({
    name: config.experiment ?? programName(),
    ...(condition === undefined ? {} : { condition }),
    ...(tags === undefined ? {} : { tags: [...tags] }),
    columns: LLM_COLUMNS,
  });
  instrument(experiment, optionsOf(config));
  if (config.serve !== undefined) serve(crucible, config.serve);
  setEnvironmentData(HANDLE, experiment.share() as never);
  // Before storage sees to its own end, which keeps what is said of the experiment here.
  process.prependListener('exit', () => {
    if (config.summary === true) sayAtExit(summaryOf(experiment));
    experiment.stop().catch(() => {});
  });
}

/** The page is said on stderr, where it is not taken for what the program prints. */
function serve(crucible: Crucible, port: number): void {
  crucible.serve({ port }).then(
    ({ url }) => process.stderr.write(`crucible: ${url}\n`),
    (error: unknown) => warn(`the page is not served: ${String(error)}`),
  );
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'CrucibleWarning', code: 'CRUCIBLE_INSTRUMENTATION' });
}

/** Threads capture for the experiment of the process, where they have its handle. */
function registerThread(config: RegisterConfig): void {
  const handle = getEnvironmentData(HANDLE) as unknown as ExperimentHandle | undefined;
  if (handle === undefined) return;
  attachExperiment(handle);
  instrumentWorker(optionsOf(config));
}

function optionsOf({ hosts, sources, content }: RegisterConfig) {
  return { hosts, sources, content };
}

/** Its main script, without the folder. */
function programName(): string {
  const [, script] = process.argv;
  return script === undefined ? 'node' : basename(script);
}

try {
  register();
} catch (error) {
  warn(`nothing is captured: ${String(error)}`);
}
