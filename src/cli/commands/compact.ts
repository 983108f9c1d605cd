import { defineCommand } from '../command.js';
import { withWritable } from '../stored-experiments.js';
import { formatBytes, formatCount } from '../terminal/numbers.js';

export const compact = defineCommand({
  name: 'compact',
  summary: "turn an experiment's finished segments into smaller Parquet files",
  usage: 'ID --dir DIR [options]',
  details: [
    'Each file is read again and compared before the segment that it stands for is deleted. Events are read as before, and by whatever reads Parquet. An experiment that a process is capturing is left alone: it compacts by itself with compact: "parquet".',
  ],
  json: ['{ id, segments, bytesBefore, bytesAfter, skipped: [{ file, reason }] }'],
  positionals: { min: 1, max: 1 },
  options: {},
  run(context) {
    const { options, print, printJson, signal } = context;
    return withWritable(context, 'compact', async (experiment) => {
      // Ctrl-C waits for the segment that is at work; those that are done stay so.
      const report = await experiment.compact({ signal });
      if (options.json) {
        printJson({ id: experiment.id, ...report });
        return;
      }
      const { segments, bytesBefore, bytesAfter, skipped } = report;
      print(
        ...(segments === 0 && !signal.aborted ? ['There was nothing to compact.'] : []),
        ...(segments > 0
          ? [
              `${formatCount(segments, 'segment')} compacted: ${formatBytes(bytesBefore)} are ${formatBytes(bytesAfter)} now.`,
            ]
          : []),
        ...(signal.aborted ? ['! Stopped early: what is left can be compacted another time.'] : []),
        ...skipped.map(({ file, reason }) => `! ${file} stays as it is: ${reason}`),
      );
    });
  },
});
