import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { openDir } from '../folder.js';
import { studyLines, studyListLines } from '../report/study.js';
import { findStudy } from '../studies.js';

export const study = defineCommand({
  name: 'study',
  summary: 'list the studies in a folder, or show the plan of one and who took part',
  usage: 'list | show STUDY --dir DIR [options]',
  details: [
    'A study has its plan written down before its first event. show tells the plan, the arms, the experiments that took part and who has looked at a verdict; it looks at no outcome, and so is no look itself: crucible gate is. STUDY is the name of a study, or its beginning, where only one has it. Without --dir, the folder that CRUCIBLE_DIR names.',
  ],
  json: [
    'list: { dir, studies: [{ name, folder, hash, plannedAt, plan, contributions, looks, error }] }',
    'show: one of these',
    'contributions: [{ arm, experiment, process, pid, host, started }];',
    'looks: [{ at, pid, host, events, units, decision, deviations }]. Times in microseconds since 1970.',
  ],
  positionals: { min: 1, max: 2 },
  options: {},
  async run(context) {
    const { options, positionals, print, printJson, report } = context;
    const [what, name] = positionals as [string, string?];
    if (what === 'list' && name === undefined) {
      const { dir } = await openDir(context, 'study');
      const studies = (await context.loadLibrary()).listStudies(dir);
      if (options.json) printJson({ dir, studies });
      else if (studies.length === 0) print(`There are no studies in ${dir}.`);
      else print(...studyListLines(studies, report));
      return;
    }
    if (what !== 'show' || name === undefined) {
      throw new UsageError(
        `study expects list, or show and a study, got ${JSON.stringify(positionals.join(' '))}`,
        'study',
      );
    }
    const { found } = await findStudy(context, 'study', name);
    if (options.json) printJson(found);
    else print(...studyLines(found, report));
  },
});
