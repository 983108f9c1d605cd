/**
 * docs/events.md says what the tables say, and its examples print what it says. Needs the built files.
 *
 * `npx vitest run test/schema/events-page.test.ts -u` writes the tables into the page.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { FIELDS } from '../../src/schema/fields.js';
import { FAILURE_WORDS, SUCCESS_WORDS } from '../../src/schema/outcomes.js';
import { MODEL_VENDORS } from '../../src/schema/prices.js';
import { events } from '../../src/schema/registry.js';
import { type Quantity, type Reading, RULES } from '../../src/schema/spellings.js';
import { COUNT_RULES, type Count, ONLY_INSIDE } from '../../src/schema/usage.js';

const PAGE = resolve('docs/events.md');
const page = readFileSync(PAGE, 'utf8');

const READ_AS: Readonly<Record<Reading, string>> = {
  name: 'text',
  usage: 'an object of counts, as below',
  'any usage': 'the same, if it has any; else it is about something else',
  count: 'counts by themselves, as below',
  nanoseconds: 'nanoseconds',
  microseconds: 'microseconds',
  milliseconds: 'milliseconds',
  seconds: 'seconds',
  span: 'the difference, in nanoseconds',
  USD: 'USD',
  'USD after the table': 'USD, after the table',
  failure: 'a failure, unless empty, 0, false or null',
  flag: 'a flag',
  status: 'a status',
  'HTTP status': 'an HTTP status, or a word',
  response: 'a success, unless null',
};

const COUNTS: Readonly<Record<Count, string>> = {
  input: 'the prompt',
  output: 'the completion',
  total: 'the total',
  cached: 'of the prompt, read from a cache',
  cacheWrite: 'of the prompt, written to a cache',
  cachedBeside: 'beside the prompt, read from a cache',
  cacheWriteBeside: 'beside the prompt, written to a cache',
  cacheWrite1h: 'of those, kept for an hour',
  toolInput: 'beside the prompt, results of tools',
  thoughts: 'beside the completion, reasoning',
  reasoning: 'of the completion, reasoning',
  costUsd: 'the cost, USD',
};

const code = (name: string) => `\`${name}\``;
const list = (names: readonly string[]) => names.map(code).join(', ');

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

const spellings = (quantity: Quantity) =>
  table(
    ['in', 'keys', 'is'],
    RULES.filter((rule) => rule.quantity === quantity).map((rule) => [
      rule.in.join(', '),
      rule.reading === 'count' ? '' : list(rule.keys),
      READ_AS[rule.reading],
    ]),
  );

const BLOCKS: Readonly<Record<string, () => string>> = {
  'standard events': () =>
    table(
      ['event', 'category', 'says'],
      events.standard().map((name) => {
        const { category, description } = events.info(name)!;
        return [code(name), category, description];
      }),
    ),
  latencyMs: () => spellings('latencyMs'),
  success: () => spellings('success'),
  words: () =>
    table(
      ['success', 'words'],
      [
        ['true', list(SUCCESS_WORDS)],
        ['false', list(FAILURE_WORDS)],
      ],
    ),
  model: () => spellings('model'),
  provider: () => spellings('provider'),
  tokens: () => spellings('tokens'),
  counts: () =>
    table(
      ['number', 'keys of the object', 'keys by themselves'],
      COUNT_RULES.map(({ count, keys, attributes }) => [
        COUNTS[count],
        list(keys.map((key) => (typeof key === 'string' ? key : key.join(' → ')))),
        list(attributes),
      ]),
    ),
  'only inside': () =>
    `By themselves, keys of the object are read as well, but for ${list([...ONLY_INSIDE])}, which mean other things there.`,
  costUsd: () => spellings('costUsd'),
  fields: () =>
    table(
      ['category', 'fields'],
      Object.entries(FIELDS).map(([category, fields]) => [
        category,
        fields.map(([name, from]) => `${code(name)} (${from.split('').join(', ')})`).join(', '),
      ]),
    ),
  vendors: () =>
    `What is taken off, with a slash or colon behind it: ${list(MODEL_VENDORS)}; and makers and regions of Bedrock.`,
};

it('has every table as the code has it', async () => {
  const names = [...page.matchAll(/<!-- (.*?) -->\n/g)]
    .map(([, name]) => name)
    .filter((name) => name !== 'end');
  expect(names).toEqual(Object.keys(BLOCKS));
  const filled = page.replace(
    /<!-- (.*?) -->\n[\s\S]*?<!-- end -->/g,
    (_, name: string) => `<!-- ${name} -->\n\n${BLOCKS[name]!()}\n\n<!-- end -->`,
  );
  await expect(filled).toMatchFileSnapshot(PAGE);
});

it('lists the 25 standard events', () => {
  expect(events.standard()).toHaveLength(25);
  for (const name of events.standard()) expect(page).toContain(`| \`${name}\``);
});

describe('its examples', () => {
  const examples = [...page.matchAll(/```js\n((?:(?!```)[\s\S])*)```\n\n```text\n([\s\S]*?)```/g)].map(
    ([, program, printed]) => [/(?:name: |attach\()'(.*?)'/.exec(program!)![1], program, printed] as const,
  );

  it('are all there', () => {
    expect(examples).toHaveLength(page.match(/```js\nimport/g)!.length);
  });

  it.each(examples)('print what the page says: %s', async (_, program, printed) => {
    // The package is found by its own name from here.
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program!], {
      timeout: 60_000,
    });
    const { stdout, stderr } = await run;
    expect(stderr).toBe('');
    expect(stdout).toBe(printed);
  });
});
