import { ConfigError } from '../../errors.js';
import type { Pilot, StudySizeOptions } from '../../index.js';
import type { OptionTable, OptionValues } from '../args.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { sizeLines } from '../report/size.js';
import { withExperiments } from '../stored-experiments.js';
import { waitFor } from '../waiting.js';

const INFINITE = { above: Number.NEGATIVE_INFINITY, below: Number.POSITIVE_INFINITY } as const;
const POSITIVE = { above: 0, below: Number.POSITIVE_INFINITY } as const;

const OPTIONS = {
  effect: {
    type: 'string',
    value: 'EFFECT',
    description:
      "the smallest difference of interest: in the outcome's unit, or in percent of the baseline, as 5%",
  },
  rate: {
    type: 'number',
    above: 0,
    below: 1,
    value: 'P',
    description: 'the baseline, where the outcome is yes or no',
  },
  mean: { type: 'number', ...INFINITE, value: 'M', description: "the baseline's mean; with --sd" },
  sd: {
    type: 'number',
    ...POSITIVE,
    value: 'S',
    description: 'standard deviation between events, or between units that have one',
  },
  from: {
    type: 'string',
    value: 'ID',
    description:
      'instead: an experiment that there is, of which mean, deviation, clusters and units a day are taken',
  },
  metric: {
    type: 'string',
    value: 'METRIC',
    default: 'latencyMs',
    description: 'with --from: a measure, a column or score, or a ratio of sums, as costUsd/success',
  },
  unit: {
    type: 'string',
    value: 'KEY',
    default: 'userId',
    description: 'with --from: what is to be assigned',
  },
  event: { type: 'string', value: 'NAME', description: 'with --from: which events' },
  power: { type: 'number', above: 0, below: 1, default: 0.8, description: 'the chance to find it' },
  alpha: {
    type: 'number',
    above: 0,
    below: 1,
    default: 0.05,
    description: 'accepted chance of a false alarm, two-sided',
  },
  ratio: {
    type: 'list',
    value: 'N',
    commas: true,
    description: 'weights of the arms, as 9,1; 1,1 if not given',
  },
  'events-per-unit': { type: 'number', ...POSITIVE, default: 1, description: 'events of each unit' },
  icc: {
    type: 'number',
    above: -1e-9,
    below: 1 + 1e-9,
    default: 0,
    description: 'share of the variance that lies between units',
  },
  correlation: {
    type: 'number',
    above: -1,
    below: 1,
    default: 0,
    description: 'with a covariate known beforehand (CUPED)',
  },
  sequential: { type: 'flag', description: 'may be looked at and stopped at any time' },
  noninferiority: { type: 'flag', description: 'to show that the treatment is not worse by --effect' },
  'units-per-day': {
    type: 'number',
    ...POSITIVE,
    value: 'N',
    description: 'new units a day, of all arms together',
  },
} as const satisfies OptionTable;

export const plan = defineCommand({
  name: 'plan',
  summary: 'how many units a study needs in each arm, and how many days',
  usage: '--effect EFFECT (--rate P | --mean M --sd S | --from ID) [options]',
  details: [
    'Units are what is assigned: users, sessions, samples. Where a unit has several events, --events-per-unit and --icc say how alike they are; --from measures it. A sequential study needs more units at most, and fewer where the effect is large. For instance',
    '  crucible plan --rate 0.12 --effect 10% --units-per-day 800',
    '  crucible plan --from 295d --dir data --metric costUsd/success --effect 5% --sequential',
  ],
  json: [
    '{ method, assumptions, effect, alpha, alphaEach, power, unitsPerArm: [n, …], units, events,',
    '  days or null, designEffect, tuning, unitsHalf, curve: [{ units, power }],',
    '  pilot: { units, events, mean, stdDev, eventsPerUnit, unitsPerDay } or null }',
  ],
  positionals: { min: 0, max: 0 },
  options: OPTIONS,
  async run(context) {
    const { options, print, printJson, report } = context;
    const { from, metric, unit, event } = options;
    checkWays(options);
    let pilot: Pilot | null = null;
    const library = await context.loadLibrary();
    if (from !== undefined) {
      const [of, per] = metric.split('/') as [string, string?];
      await withExperiments(context, 'plan', [from], async (_, [opened]) => {
        const events = opened!.experiment.events();
        const how = { of, unit, ...(per !== undefined && { per }), ...(event !== undefined && { event }) };
        pilot = await waitFor(context, 'reading', library.pilotOf(events, how).catch(rethrowUsage));
      });
    }
    const size = sized(() => library.studySize(optionsOf(options, pilot)));
    if (options.json) printJson({ ...size, pilot });
    else print(...sizeLines(size, pilot, { metric: from === undefined ? null : metric, unit }, report));
  },
});

type Given = OptionValues<typeof OPTIONS>;

function checkWays({ effect, rate, mean, sd, from }: Given): void {
  if (effect === undefined) throw new UsageError('plan needs --effect', 'plan');
  const ways = [rate !== undefined, mean !== undefined || sd !== undefined, from !== undefined];
  if (ways.filter(Boolean).length !== 1)
    throw new UsageError('plan needs one of --rate, --mean with --sd, or --from', 'plan');
  if ((mean === undefined) !== (sd === undefined))
    throw new UsageError('--mean and --sd belong together', 'plan');
}

function optionsOf(options: Given, pilot: Pilot | null): StudySizeOptions {
  const { rate, mean, sd, power, alpha, icc, sequential, noninferiority, correlation } = options;
  const unitsPerDay = options['units-per-day'] ?? pilot?.unitsPerDay ?? undefined;
  const baseline =
    pilot !== null
      ? { mean: pilot.mean, stdDev: pilot.stdDev }
      : rate !== undefined
        ? { rate }
        : { mean: mean!, stdDev: sd! };
  return {
    baseline,
    effect: effectOf(options.effect!),
    power,
    alpha,
    ...(options.ratio.length > 0 && { weights: options.ratio.map(Number) }),
    // What a pilot measures is of units already.
    ...(pilot === null && { eventsPerUnit: options['events-per-unit'], icc: Math.min(1, Math.max(0, icc)) }),
    covariateCorrelation: correlation,
    sequential,
    noninferiority,
    ...(unitsPerDay !== undefined && { unitsPerDay }),
  };
}

function effectOf(text: string): StudySizeOptions['effect'] {
  const match = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?)\s*(%?)$/i.exec(text.trim());
  if (match === null)
    throw new UsageError(`--effect expects a number, or percent as 5%, got ${JSON.stringify(text)}`, 'plan');
  return match[2] === '%' ? { relative: Number(match[1]) / 100 } : Number(match[1]);
}

const OPTION_OF: Readonly<Record<string, string>> = {
  weights: 'ratio',
  effect: 'effect',
  of: 'metric',
  sequential: 'sequential',
};

function sized<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    return rethrowUsage(error);
  }
}

function rethrowUsage(error: unknown): never {
  if (!(error instanceof ConfigError)) throw error;
  const option = OPTION_OF[String(error.context.path)];
  throw new UsageError(
    option === undefined ? error.message : `--${option} expects ${error.context.expected}`,
    'plan',
  );
}
