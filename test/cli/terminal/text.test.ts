import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { oneLine, shellArgument } from '../../../src/cli/terminal/text.js';

it('puts what somebody else wrote on one line, and leaves nothing that moves the cursor', () => {
  expect(oneLine('a\n\tb\u001b[2Jc\u2028d ')).toBe('a b [2Jc d');
  expect(oneLine('対照 群')).toBe('対照 群');
});

it('quotes what a shell would take apart', () => {
  expect(shellArgument('./data-1')).toBe('./data-1');
  const printable = fc.string({ minLength: 1 }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(printable, (text) => {
      const echoed = execFileSync('sh', ['-c', `printf %s ${shellArgument(text)}`], { encoding: 'utf8' });
      expect(echoed).toBe(text);
    }),
    { numRuns: 30 },
  );
});
