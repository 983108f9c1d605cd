import { readFileSync } from 'node:fs';
import type { PriceTable } from '../../schema/prices.js';
import { defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import { withExperiment } from '../stored-experiments.js';
import { formatCount } from '../terminal/numbers.js';
import { waitFor } from '../waiting.js';

export const reprice = defineCommand({
  name: 'reprice',
  summary: "price an experiment's tokens again, by another table",
  usage: 'ID --dir DIR --prices FILE [options]',
  details: [
    'The file is JSON: { "version": "…", "models": { "gpt-4": [30, 60], … } }, in USD per million tokens. Both costs are kept: the events have what they had, and the new one is the column score.costUsd.VERSION. Models without a price are listed.',
  ],
  json: [
    '{ id, version, column, events, priced, totalUsd, beforeUsd, reported,',
    '  unpriced: [{ model, reason, events }] }',
  ],
  positionals: { min: 1, max: 1 },
  options: { prices: { type: 'string', value: 'FILE', description: 'the price table' } },
  run(context) {
    const { options, print, printJson } = context;
    return withExperiment(context, 'reprice', async ({ experiment }) => {
      const result = await waitFor(context, 'pricing', experiment.reprice(readTable(options.prices)));
      if (options.json) {
        printJson({ id: experiment.id, ...result });
        return;
      }
      const { column, events, priced, totalUsd, beforeUsd, unpriced } = result;
      print(
        `${formatCount(priced, 'event')} of ${formatCount(events, 'event')} with tokens priced: ${usd(totalUsd)}, where they had ${usd(beforeUsd)}.`,
        `The column ${column} has the new costs.`,
        ...unpriced.map(
          ({ model, reason, events: count }) => `! ${model}: ${reason}, ${formatCount(count, 'event')}`,
        ),
      );
    });
  },
});

function readTable(path: string | undefined): PriceTable {
  if (path === undefined) throw new UsageError('reprice needs --prices FILE', 'reprice');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as PriceTable;
  } catch (error) {
    throw new CommandError('ERR_CONFIG_INVALID', `reprice: ${path} is no table: ${(error as Error).message}`);
  }
}

function usd(amount: number): string {
  return `$${amount.toPrecision(6)}`;
}
