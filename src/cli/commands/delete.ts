import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { experimentFolder, openDir } from '../folder.js';
import { refuseHeld, storedExperiment } from '../stored-experiments.js';
import { formatBytes, formatCount } from '../terminal/numbers.js';
import { visible } from '../terminal/text.js';

export const deleteCommand = defineCommand({
  name: 'delete',
  summary: 'delete an experiment with all its events',
  usage: 'ID --dir DIR --yes [options]',
  details: [
    'Deletes the folder of one experiment: there is no way back. Without --yes it only says what would be deleted. One that a process is capturing is left alone. The beginning of an ID will do, or a name, where only one experiment has it.',
  ],
  json: ['{ id, name or null, folder, rows, bytes, deleted: true }'],
  positionals: { min: 1, max: 1 },
  options: { yes: { type: 'flag', description: 'delete it, and do not only say what would be deleted' } },
  async run(context) {
    const { options, positionals, print, printJson } = context;
    const found = await openDir(context, 'delete');
    const library = await context.loadLibrary();
    const folder = await experimentFolder(found, positionals[0]!, () => library.listExperiments(found.dir));
    const stored = await storedExperiment(library, folder);
    refuseHeld(stored, 'delete');
    const { id, rows, bytes } = stored;
    const name = stored.experiment?.name ?? null;
    const what = `${visible(name ?? id)} (${id}), ${formatCount(rows, 'event')}, ${formatBytes(bytes)}, in ${folder}`;
    if (!options.yes) throw new UsageError(`this would delete ${what}; with --yes it is deleted`, 'delete');
    await library.deleteExperiment(folder);
    if (options.json) printJson({ id, name, folder, rows, bytes, deleted: true });
    else print(`Deleted ${what}.`);
  },
});
