import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from '../../serve/follower.js';
import type { Descriptor } from '../../serve/protocol.js';
import { defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import { experimentFolder, openDir } from '../folder.js';
import { watchLines, watchLogLine } from '../report/watched.js';
import { studyMeant } from '../studies.js';
import { LiveRegion } from '../terminal/live-region.js';
import { widthOf } from '../terminal/stream.js';
import { readDurationUs } from '../times.js';
import { watchStudy } from '../watched-study.js';

export interface Watched {
  readonly descriptor: Descriptor;
  readonly figures: Figures;
  /** p50 of each interval, and events of it, the newest last. */
  readonly p50: readonly (number | null)[];
  readonly events: readonly number[];
  readonly intervalUs: number;
}

const EVERY_MS = 1000;

export const watch = defineCommand({
  name: 'watch',
  summary: 'follow experiments, or a study, at the terminal, as they are captured',
  usage: 'ID...|STUDY --dir DIR [options]',
  details: [
    'Reads what is new and changes nothing; another process captures meanwhile. Ends when none of them runs any more, or with Ctrl-C. Into a pipe it writes a line for each look. crucible serve shows the same in a browser, and more.',
    'Of a study, by its name: the verdict so far, where its plan is sequential, and each look is written down; of any other how far it is, since its outcomes are looked at once.',
  ],
  json: [
    'one line for each look: { at, experiments: [{ descriptor, figures }] };',
    'of a study { at, verdict },',
    'or { at, study, arms: [{ arm, events, experiments, running, processes }] }',
  ],
  positionals: { min: 1, max: 6 },
  options: {
    every: {
      type: 'string',
      value: 'DURATION',
      description: 'between two looks; default 1s, of a sequential study 10s',
    },
    looks: { type: 'integer', min: 1, description: 'end after so many' },
    event: { type: 'string', value: 'NAME', description: 'only events of this kind, or all' },
  },
  async run(context) {
    const { options, positionals, signal, live, stderr, stdout, print, style } = context;
    const everyMs =
      options.every === undefined ? undefined : readDurationUs('every', options.every, 'watch') / 1000;
    const meant = positionals.length === 1 ? await studyMeant(context, 'watch', positionals[0]!) : null;
    if (meant !== null) {
      if (options.event !== undefined) {
        throw new UsageError('--event is of experiments: a study has it in its plan', 'watch');
      }
      await watchStudy(context, meant, { everyMs, looks: options.looks });
      return;
    }
    const library = await context.loadLibrary();
    const found = await openDir(context, 'watch');
    const folders = await Promise.all(
      positionals.map((id) => experimentFolder(found, id, () => library.listExperiments(found.dir))),
    );
    const watching = await Promise.all(
      folders.map(async (folder) => {
        const [stored] = await library.listExperiments(folder);
        if (stored === undefined) throw new CommandError('ERR_NOT_FOUND', `${folder} is no experiment`);
        return { id: stored.id, followed: await library.follow(folder) };
      }),
    );
    const region = new LiveRegion(stderr);
    let last: Watched[] = [];
    try {
      for (let look = 1; !signal.aborted; look++) {
        last = await Promise.all(
          watching.map(({ id, followed }) => lookAt(id, followed, options.event ?? null)),
        );
        const width = widthOf(stdout);
        if (options.json) {
          const experiments = last.map(({ descriptor, figures }) => ({ descriptor, figures }));
          print(JSON.stringify({ at: Date.now() * 1000, experiments }));
        } else if (live) region.draw(watchLines(last, { style, width, tableWidth: width }));
        else print(watchLogLine(last));
        const isOver = last.every(
          ({ descriptor: { status } }) => status !== 'running' && status !== 'paused',
        );
        if (isOver || look === options.looks) break;
        await sleep(everyMs ?? EVERY_MS, undefined, { signal }).catch(() => {});
      }
    } finally {
      region.close();
      for (const { followed } of watching) followed.close();
    }
    if (live && !options.json) {
      const width = widthOf(stdout);
      print(...watchLines(last, { style, width, tableWidth: width }));
    }
  },
});

async function lookAt(
  id: string,
  followed: Awaited<
    ReturnType<Awaited<ReturnType<import('../command.js').CommandContext['loadLibrary']>>['follow']>
  >,
  kind: string | null,
): Promise<Watched> {
  const descriptor = await followed.describe(id);
  if (descriptor === null) throw new CommandError('ERR_NOT_FOUND', `${id} is gone`);
  const follower = followed.follower(id);
  await follower.advance();
  const figures = follower.figures(kind);
  const { intervalUs, points } = follower.series(figures.kind, 0);
  const p50: (number | null)[] = [];
  const events: number[] = [];
  let before: number | undefined;
  for (const point of points) {
    // Intervals without an event are intervals, too.
    for (let gap = before === undefined ? 0 : Math.min(point[0] - before - 1, 60); gap > 0; gap--) {
      p50.push(null);
      events.push(0);
    }
    p50.push(point[6]);
    events.push(point[1]);
    [before] = point;
  }
  return { descriptor, figures, p50, events, intervalUs };
}
