/** What judges say of one experiment, or of all that take part in a study: their means, and how far they agree. */
import { type JudgesReport, reportOfJudges } from '../analysis/judges.js';
import { NotFoundError } from '../errors.js';
import { type Score, ScoreTable } from '../readers/score-table.js';
import type { Asker } from './asker.js';
import type { Shelf } from './shelf.js';

/** Scores of one name that are compared: agreement is found by resampling. The newest things first. */
const SCORES_MAX = 50_000;
/** Names of scores that are told of at once, and things that judges disagree most about. */
const NAMES_MAX = 20;
const DISAGREEMENTS_MAX = 50;

export interface ScoresTold {
  readonly names: readonly ScoreTold[];
  /** Names of scores that there are besides. */
  readonly otherNames: number;
}

export interface ScoreTold {
  readonly report: JudgesReport;
  /** Whether only the newest scores are in it. */
  readonly isCut: boolean;
  /** Of a study: by arm and judge. Without a judge, nobody is named. */
  readonly arms: readonly { arm: string; by: string | null; scores: number; mean: number }[];
  /** Where judges are furthest apart, the worst first. */
  readonly disagreements: readonly Disagreement[];
}

export interface Disagreement {
  readonly experiment: string;
  readonly key: string;
  readonly id: string;
  /** Largest less smallest. */
  readonly spread: number;
  readonly values: readonly { by: string | null; value: number | boolean; comment: string | null }[];
}

/** A score, and whose it is. */
interface Placed {
  readonly score: Score;
  readonly experiment: string;
  readonly arm: string | null;
}

/** @throws NotFoundError, StorageError */
export async function scoresOfExperiment(shelf: Shelf, asker: Asker, id: string): Promise<ScoresTold> {
  return told(await placedOf(shelf, asker, id, null));
}

/** Of all experiments that take part and can be found. @throws NotFoundError, StorageError */
export async function scoresOfStudy(shelf: Shelf, asker: Asker, name: string): Promise<ScoresTold> {
  const study = (await asker.studies()).find((each) => each.name === name);
  if (study === undefined) throw new NotFoundError('study', name);
  const all: Placed[] = [];
  for (const { arm, experiment } of study.contributions) {
    if (shelf.get(experiment) !== null) all.push(...(await placedOf(shelf, asker, experiment, arm)));
  }
  return told(all);
}

async function placedOf(shelf: Shelf, asker: Asker, id: string, arm: string | null): Promise<Placed[]> {
  const found = shelf.get(id);
  if (found === null) throw new NotFoundError('experiment', id);
  const { folder } = found.descriptor;
  const scores = folder === null ? await asker.scores(id) : new ScoreTable(folder).all();
  return scores.map((score) => ({ score, experiment: id, arm }));
}

function told(all: readonly Placed[]): ScoresTold {
  const names = [...new Set(all.map(({ score }) => score.name))].sort();
  return {
    names: names.slice(0, NAMES_MAX).map((name) => scoreTold(name, all)),
    otherNames: Math.max(0, names.length - NAMES_MAX),
  };
}

function scoreTold(name: string, all: readonly Placed[]): ScoreTold {
  const own = all.filter(({ score }) => score.name === name);
  const newest = own.toSorted((a, b) => b.score.writtenAt - a.score.writtenAt).slice(0, SCORES_MAX);
  // The same id in two experiments is of two things.
  const judged = newest.map(({ score, experiment }) => ({ ...score, id: thingOf(experiment, score.id) }));
  return {
    report: reportOfJudges(name, judged),
    isCut: own.length > newest.length,
    arms: armsOf(newest),
    disagreements: disagreementsOf(newest),
  };
}

const thingOf = (experiment: string, id: string) => JSON.stringify([experiment, id]);

function armsOf(scores: readonly Placed[]): ScoreTold['arms'] {
  const sums = new Map<string, { arm: string; by: string | null; scores: number; mean: number }>();
  for (const { arm, score } of scores) {
    if (arm === null) continue;
    const key = JSON.stringify([arm, score.by]);
    const sum = sums.get(key) ?? { arm, by: score.by, scores: 0, mean: 0 };
    sum.scores++;
    sum.mean += (Number(score.value) - sum.mean) / sum.scores;
    sums.set(key, sum);
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}

function disagreementsOf(scores: readonly Placed[]): Disagreement[] {
  const things = new Map<string, Placed[]>();
  for (const each of scores) {
    const thing = JSON.stringify([each.experiment, each.score.key, each.score.id]);
    const same = things.get(thing);
    if (same === undefined) things.set(thing, [each]);
    else same.push(each);
  }
  return [...things.values()]
    .flatMap((same) => {
      const { score, experiment } = same[0] as Placed;
      const numbers = same.map(({ score: { value } }) => Number(value));
      const spread = Math.max(...numbers) - Math.min(...numbers);
      if (spread === 0) return [];
      const values = same.map(({ score: { by, value, comment } }) => ({ by, value, comment }));
      return [{ experiment, key: score.key, id: score.id, spread, values }];
    })
    .sort((a, b) => b.spread - a.spread)
    .slice(0, DISAGREEMENTS_MAX);
}
