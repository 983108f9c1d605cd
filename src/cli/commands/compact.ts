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
    const { options, print, printJson } = context;
    return withWritable(context, 'compact', async (experiment) => {
      const report = await experiment.compact();
      if (options.json) {
        printJson({ id: experiment.id, ...report });
        return;
      }
      const { segments, bytesBefore, bytesAfter, skipped } = report;
      print(
        segments === 0
          ? 'There was nothing to compact.'
          : `${formatCount(segments, 'segment')} compacted: ${formatBytes(bytesBefore)} are ${formatBytes(bytesAfter)} now.`,
        ...skipped.map(({ file, reason }) => `! ${file} stays as it is: ${reason}`),
      );
    });
  },
});
