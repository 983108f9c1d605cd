/** What has gone wrong in other instrumentation, by its public reports, and which test of ours holds each. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const TESTS: readonly (readonly [trap: string, file: string, title: string])[] = [
  ["the SDK's promise is wrapped", 'instrument/sdks', 'with its response, or the response alone'],
  ['a stream is cloned or teed', 'instrument/sources', 'a stream that is not read is not read ahead'],
  ['a stream left early is lost', 'instrument/sdks', 'a stream that is left early is abandoned'],
  [
    'the same, in the AI SDK',
    'instrument/ai-sdk',
    'a stream that is left early goes on to be read by the SDK',
  ],
  [
    'an iterator that ends is taken for the end',
    'instrument/sources',
    'ends without its last word is incomplete',
  ],
  ['usage is asked for', 'instrument/sdks', 'a stream without usage has none, and asks for none'],
  ['cached tokens count twice', 'instrument/sources', 'tokens of the cache are priced once'],
  ['usage of a stream is summed', 'instrument/sdks', 'usage is not summed'],
  ['retries are one call each', 'instrument/sdks', 'attempts are inside of their call'],
  ['a framework and its transport count one call', 'instrument/langchain', 'is one event'],
  [
    'spans around a call count as well',
    'instrument/span-processor',
    'spans around calls, and about something else',
  ],
  ['generators lose the context', 'instrument/sources', 'a call in a generator belongs to the run'],
  ['loader hooks break bundles', 'instrument/register', 'that was bundled, with its SDK in it'],
  [
    'instrumentation comes too late',
    'instrument/register',
    'whose client was made before is told of it once',
  ],
  ['fetch is wrapped twice', 'instrument/sources', 'a wrapper that somebody strips or wraps again'],
  ['the wrapper is stripped', 'instrument/sources', 'a tap that somebody has taken out is put in again'],
  ["npm's undici is loaded", 'package/package', 'imports nothing that it does not depend on'],
  ['a failed tool throws nothing', 'instrument/mcp', 'one that says it is an error is none of success'],
];

it.each(TESTS)('%s', (_trap, file, title) => {
  expect(readFileSync(`test/${file}.test.ts`, 'utf8')).toContain(title);
});
