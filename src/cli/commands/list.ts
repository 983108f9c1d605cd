import { defineCommand } from '../command.js';
import { errorDocument } from '../errors.js';
import { openDir } from '../folder.js';
import { listLines, listNotes } from '../report/stored.js';
import { formatCount } from '../terminal/numbers.js';

export const list = defineCommand({
  name: 'list',
  summary: 'list the experiments in a folder, newest first',
  usage: '[DIR] [options]',
  details: [
    'Only looks, and not at every event: experiments may be being captured meanwhile. The status says by which process; interrupted means that its process ended without stopping it, unreadable that it cannot be opened, for the reason told below. Times are UTC. Without DIR and --dir, the folder that CRUCIBLE_DIR names.',
  ],
  json: [
    '{ dir, experiments: [{',
    '    id, folder, experiment: { name, condition, status, startedAt, stoppedAt, options, … } or null,',
    '    status, error: { code, message } or null, libraryVersion, heldBy: { pid, host } or null,',
    '    interrupted, lastSeenAt, rows, bytes, segments, missingSegments,',
    '    timeRange: [first, last] or null, dropped }] }',
    'Times in microseconds since 1970.',
  ],
  positionals: { min: 0, max: 1 },
  options: {},
  async run(context) {
    const { options, positionals, print, printJson, style, width, report } = context;
    const { dir } = await openDir(context, 'list', positionals[0]);
    const library = await context.loadLibrary();
    const startedAt = ({ experiment }: { experiment: { startedAt: number } | null }) =>
      experiment?.startedAt ?? Number.NEGATIVE_INFINITY;
    const found = await library.listExperiments(dir);
    const experiments = found.sort((a, b) => startedAt(b) - startedAt(a) || 0);
    if (options.json) {
      const documents = experiments.map((stored) => ({ ...stored, error: errorDocument(stored.error) }));
      printJson({ dir, experiments: documents });
    } else if (experiments.length === 0) {
      print(`There are no experiments in ${dir}.`);
    } else {
      print(
        style.bold(`${formatCount(experiments.length, 'experiment')} in ${dir}`),
        ...listLines(experiments, Date.now() * 1000, report),
        ...listNotes(experiments, dir, width).map(style.yellow),
      );
    }
  },
});
