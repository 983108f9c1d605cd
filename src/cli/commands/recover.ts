import { StorageError } from '../../errors.js';
import type { RecoveredExperiment, RecoverOptions, RecoveryReport, StoredExperiment } from '../../index.js';
import { type CommandContext, defineCommand } from '../command.js';
import { CommandError, errorDocument } from '../errors.js';
import { openDir } from '../folder.js';
import type { Library } from '../library.js';
import { isDamaged, recoveryLines } from '../report/stored.js';
import { formatBytes, formatCount } from '../terminal/numbers.js';
import { Progress } from '../terminal/progress.js';

export const recover = defineCommand({
  name: 'recover',
  summary: 'repair the experiments in a folder after a crash, and say what is there',
  usage: '[DIR] [options]',
  details: [
    'Reads and verifies every event. What was just being written when a process ended is cut off; what is damaged stays as it is and is told, with its place and what it costs. An experiment that nobody stopped before its process ended can go on: the program that calls crucible.recover() captures it on. --stop ends it, as of its last sign of life. Experiments that a process is capturing are only looked at. A second time there is nothing to do, and nothing is changed. On a disk that is read-only or full everything is read, and nothing repaired. Without DIR and --dir, the folder that CRUCIBLE_DIR names; the folder of a single experiment will do, too.',
    'A lock is held by a process that is seen to run, or that wrote to its lock within the last minute. One that was written by a clock that was ahead is held until that time has come: --steal-locks watches such locks for 25 seconds, and takes those that nobody writes to. It does not take one from a process that is seen to run.',
    'The exit status is 0 when everything could be read, 1 when something is damaged or missing.',
  ],
  json: [
    '{ dir, rows, bytes, experiments: [{',
    '    id, name, folder, status, access: "read" or "none", heldBy: { pid, host } or null,',
    '    interrupted, resumable, changed, rows, bytes, segments, timeRange: [first, last] or null,',
    '    dropped,',
    '    cut: [{ file, bytes }], damage: [{ file, offset, bytes, rowsLost, reason }],',
    '    notice and error: { code, message } or null }] }',
    'resumable: it was interrupted and can go on. notice: why it was only read.',
    'Times in microseconds since 1970.',
  ],
  positionals: { min: 0, max: 1 },
  options: {
    stop: { type: 'flag', description: 'end what no process captures any more, as of its last sign of life' },
    'steal-locks': { type: 'flag', description: 'take locks that nobody has written to for 25 seconds' },
  },
  async run(context) {
    const { options, positionals, print, printJson, report: layout } = context;
    const { dir } = await openDir(context, 'recover', positionals[0]);
    const library = await context.loadLibrary();
    const stored = await library.listExperiments(dir);
    const report = await recoverAll(context, library, dir, stored, {
      resume: false,
      stop: options.stop,
      stealLocks: options['steal-locks'],
    });
    if (options.json) {
      const experiments = report.experiments.map((found) => ({
        ...found,
        status: found.resumable ? 'interrupted' : found.status,
        notice: errorDocument(found.notice),
        error: errorDocument(found.error),
      }));
      printJson({ ...report, experiments });
    } else if (stored.length === 0) {
      print(`There are no experiments in ${dir}.`);
    } else {
      print(...recoveryLines(report, layout));
    }
    const damaged = report.experiments.filter(isDamaged);
    if (damaged.length > 0) throw damagedError(damaged);
  },
});

/** One after the other, so that the memory is that of one. */
async function recoverAll(
  { stderr, style, live, nowMs, signal }: CommandContext,
  library: Library,
  dir: string,
  stored: readonly StoredExperiment[],
  how: RecoverOptions,
): Promise<RecoveryReport> {
  const crucible = library.open();
  const progress = new Progress(stderr, style, live, nowMs);
  const totalBytes = stored.reduce((sum, { bytes }) => sum + bytes, 0);
  const experiments: RecoveredExperiment[] = [];
  let doneBytes = 0;
  try {
    for (const one of stored) {
      const report = await crucible
        .recover(one.folder, {
          ...how,
          onProgress(state) {
            signal.throwIfAborted();
            const done = Math.min(totalBytes, doneBytes + state.bytes);
            progress.update({ label: 'recover', done, total: totalBytes, format: formatBytes });
          },
        })
        .catch((error: unknown) => {
          if (error instanceof StorageError && one.error !== null) return { experiments: [unopened(one)] };
          throw error;
        });
      doneBytes += one.bytes;
      for (const found of report.experiments) {
        experiments.push(found);
        if (found.access !== 'none') await crucible.experiment(found.id).cleanup();
      }
    }
  } finally {
    progress.close();
    await crucible.close();
  }
  const sum = (key: 'rows' | 'bytes') => experiments.reduce((total, found) => total + found[key], 0);
  return { dir, experiments, rows: sum('rows'), bytes: sum('bytes') };
}

/** What is to be said of a folder that may not even be looked into: what the list of experiments says. */
function unopened(stored: StoredExperiment): RecoveredExperiment {
  const { id, folder, heldBy, interrupted, rows, bytes, segments, timeRange, dropped, error } = stored;
  const found = { id, folder, heldBy, interrupted, rows, bytes, segments, timeRange, dropped, error };
  return {
    ...found,
    name: null,
    access: 'none',
    status: null,
    resumable: false,
    changed: false,
    cut: [],
    damage: [],
    notice: null,
  };
}

function damagedError(experiments: readonly RecoveredExperiment[]): CommandError {
  const damage = experiments.flatMap((found) => found.damage);
  const rowsLost = damage.reduce((sum, found) => sum + (found.rowsLost ?? 0), 0);
  const known = damage.every((found) => found.rowsLost !== null);
  const unopened = experiments.filter(({ access }) => access === 'none').length;
  const damaged = experiments.length - unopened;
  const cost = `${known ? '' : 'at least '}${formatCount(rowsLost, 'event')} lost`;
  return new CommandError(
    'ERR_DAMAGED',
    [
      ...(unopened === 0 ? [] : [`${formatCount(unopened, 'experiment')} could not be opened`]),
      ...(damaged === 0 ? [] : [`${formatCount(damaged, 'experiment')} damaged, ${cost}`]),
    ].join('; '),
  );
}
