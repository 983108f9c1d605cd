/**
 * A study as it runs. One whose plan is sequential may be looked at any time: its verdict so far. Any other is looked at once,
 * at its end, so of that only how far it is.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredStudy, StudyVerdict } from '../index.js';
import type { CommandContext } from './command.js';
import { CommandError } from './errors.js';
import {
  type ArmProgress,
  progressLines,
  progressLogLine,
  verdictLines,
  verdictLogLine,
} from './report/study.js';
import { LiveRegion } from './terminal/live-region.js';
import { widthOf } from './terminal/stream.js';
import { visible } from './terminal/text.js';

export interface StudyWatchOptions {
  /** Undefined: of a sequential study 10 s, since each look reads all events, else 1 s. */
  readonly everyMs: number | undefined;
  /** Looks before it ends; undefined: as long as the study runs. */
  readonly looks: number | undefined;
}

/** What one look at it shows. */
interface Look {
  readonly json: object;
  readonly logLine: string;
  readonly isOver: boolean;
  lines(width: number): string[];
}

export async function watchStudy(
  context: CommandContext,
  { dir, found }: { readonly dir: string; readonly found: StoredStudy },
  { everyMs, looks }: StudyWatchOptions,
): Promise<void> {
  const { live, print, signal, stderr, stdout, loadLibrary } = context;
  const { name, plan, error, folder } = found;
  if (name === null || plan === null) {
    throw new CommandError(
      error?.code ?? 'ERR_NOT_FOUND',
      `${visible(name ?? folder)} cannot be opened: ${error?.message ?? 'it has no plan'}`,
    );
  }
  const library = await loadLibrary();
  const crucible = library.open(dir);
  const region = new LiveRegion(stderr);
  const isSequential = plan.analysis !== null && plan.analysis.sequential !== null;
  const lookAt = async () =>
    isSequential
      ? verdictLook(await crucible.study(name).verdict(), context)
      : progressLook({ ...found, name, plan }, await armsOf(context, dir, name), context);
  let last: Look | undefined;
  try {
    for (let count = 1; !signal.aborted; count++) {
      last = await lookAt();
      if (context.options.json) print(JSON.stringify({ at: Date.now() * 1000, ...last.json }));
      else if (live) region.draw(last.lines(widthOf(stdout)));
      else print(last.logLine);
      if (last.isOver || count === looks) break;
      await sleep(everyMs ?? (isSequential ? 10_000 : 1000), undefined, { signal }).catch(() => {});
    }
  } finally {
    region.close();
    await crucible.close();
  }
  if (live && !context.options.json && last !== undefined) print(...last.lines(widthOf(stdout)));
}

function verdictLook(verdict: StudyVerdict, { report }: CommandContext): Look {
  return {
    json: { verdict },
    logLine: verdictLogLine(verdict),
    isOver: verdict.ended,
    lines: (width) => verdictLines(verdict, { ...report, width, tableWidth: width }),
  };
}

function progressLook(
  { plan, name }: { readonly plan: NonNullable<StoredStudy['plan']>; readonly name: string },
  arms: readonly ArmProgress[],
  { report }: CommandContext,
): Look {
  return {
    json: { study: name, arms },
    logLine: progressLogLine(name, arms),
    isOver: arms.some(({ experiments }) => experiments > 0) && arms.every(({ running }) => running === 0),
    lines: (width) => progressLines(plan, arms, { ...report, width, tableWidth: width }),
  };
}

/** Who has joined so far, and what they have captured: what another process writes is seen at the next look. */
async function armsOf({ loadLibrary }: CommandContext, dir: string, name: string): Promise<ArmProgress[]> {
  const library = await loadLibrary();
  const study = library.listStudies(dir).find((each) => each.name === name);
  const stored = new Map((await library.listExperiments(dir)).map((each) => [each.id, each]));
  return (study?.plan?.arms ?? []).map(({ name: arm }) => {
    const own = study!.contributions.filter((each) => each.arm === arm);
    const there = own.flatMap(({ experiment }) => stored.get(experiment) ?? []);
    return {
      arm,
      experiments: own.length,
      processes: new Set(own.map(({ process }) => process)).size,
      running: there.filter(({ heldBy }) => heldBy !== null).length,
      events: there.reduce((sum, { rows }) => sum + rows, 0),
    };
  });
}
