import { defineCommand } from '../command.js';
import { withWritable } from '../stored-experiments.js';
import { formatBytes, formatCount } from '../terminal/numbers.js';
import { waitFor } from '../waiting.js';

export const archive = defineCommand({
  name: 'archive',
  summary: 'keep an experiment in one file, which is read again and compared',
  usage: 'ID --dir DIR [--out FILE] [options]',
  details: [
    'Writes all events and what is known of the experiment to one file, reads that again, and sets the status to archived. An experiment that was interrupted is ended first; one that a process is capturing is left alone. The folder stays: crucible delete removes it. Without --out the file is exports/NAME_archive.jsonl, with a number where that is taken.',
  ],
  json: ['{ id, path, format, rows, bytes, sha256, manifest or null, unreadable, verified: true }'],
  positionals: { min: 1, max: 1 },
  options: {
    format: { type: 'choice', choices: ['jsonl', 'parquet'], description: 'jsonl if not given' },
    out: { type: 'string', value: 'FILE', description: 'the file to write; one that is there is replaced' },
  },
  run(context) {
    const { options, print, printJson } = context;
    return withWritable(context, 'archive', async (experiment) => {
      const archiving = experiment.archive({
        destination: 'local',
        signal: context.signal,
        ...(options.format !== undefined && { format: options.format }),
        ...(options.out !== undefined && { path: options.out }),
      });
      const result = await waitFor(context, 'writing and reading again', archiving);
      if (options.json) {
        printJson({ id: experiment.id, ...result });
        return;
      }
      const { path, rows, bytes, sha256, unreadable } = result;
      print(
        `${formatCount(rows, 'event')} in ${path} (${formatBytes(bytes)}), read again and found whole.`,
        ...(unreadable > 0
          ? [`! ${formatCount(unreadable, 'event')} could not be read, and are not in it.`]
          : []),
        `SHA-256 ${sha256}`,
      );
    });
  },
});
