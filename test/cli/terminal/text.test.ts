import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { styleFor } from '../../../src/cli/terminal/style.js';
import { printable, shellArgument, visible, visibleJson } from '../../../src/cli/terminal/text.js';
import { UNSEEN_TEXTS, unseenIn } from '../support/unseen.js';

const anyText = fc.string({
  unit: fc.oneof(
    fc.constantFrom(...UNSEEN_TEXTS, "'", '"', '\\', ' ', 'a', 'é', '😀', '\ufe0f'),
    fc.string({ unit: 'binary' }),
  ),
  maxLength: 20,
});

describe('visible', () => {
  it.each([
    ['a name', 'a name'],
    ['a\u001b[31m\u001b[2Jb', 'a\\u001b[31m\\u001b[2Jb'],
    ['a\nb\r\tc', 'a\\u000ab\\u000d\\u0009c'],
    ['\u009b31m', '\\u009b31m'],
    ['exe.\u202egpj', 'exe.\\u202egpj'],
    ['\u2066x\u2069\u200e\u200f\u061c', '\\u2066x\\u2069\\u200e\\u200f\\u061c'],
    ['a\u200bb\u200dc\u2060\ufeff', 'a\\u200bb\\u200dc\\u2060\\ufeff'],
    ['\u2028\u2029\u00ad\u115f\u3164', '\\u2028\\u2029\\u00ad\\u115f\\u3164'],
    ['\u{e0041}', '\\udb40\\udc41'],
    ['a\ud800b', 'a\\ud800b'],
    ['Größe ❤️ 日本 😀', 'Größe ❤️ 日本 😀'],
  ])('shows %j as %s', (text, shown) => expect(visible(text)).toBe(shown));

  it('leaves nothing that cannot be seen', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(unseenIn(visible(text))).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('printable', () => {
  it('leaves our styles, and no other sequence', () => {
    const { red, bold } = styleFor({ write: () => {}, isTTY: true }, {});
    expect(printable(red('x'))).toBe(red('x'));
    expect(printable(bold('a\u001b[2J\nb'))).toBe(bold('a\\u001b[2J\\u000ab'));
    expect(printable('\u001b[5m\u001b[1;31m\u001b]0;title\u0007')).toBe(
      '\\u001b[5m\\u001b[1;31m\\u001b]0;title\\u0007',
    );
  });
});

describe('visibleJson', () => {
  it('reads back as it was, with nothing in it that cannot be seen', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.jsonValue(), fc.dictionary(anyText, anyText)),
        fc.constantFrom(undefined, 2),
        (value, indent) => {
          const text = visibleJson(value, indent);
          expect(unseenIn(text.replaceAll('\n', ''))).toEqual([]);
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
          expect(text.split('\n').length).toBe(JSON.stringify(value, null, indent).split('\n').length);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('shellArgument', () => {
  it('quotes what a shell would take apart', () => {
    expect(shellArgument('data/run-1')).toBe('data/run-1');
    expect(shellArgument('my data')).toBe("'my data'");
    expect(shellArgument("it's")).toBe("'it'\\''s'");
    expect(shellArgument('')).toBe("''");
    expect(shellArgument('a\nb')).toBe("$'a\\u000ab'");
  });

  it('is taken by a shell for what it was', () => {
    const texts = ["it's", 'a b', '$HOME', 'a\nb', '\\n', "\u202e'\\x", '\u001b[2J', 'Größe 日本', '*'];
    const script = `printf '%s\\0' ${texts.map(shellArgument).join(' ')}`;
    const env = { LC_ALL: 'C.UTF-8', PATH: process.env.PATH };
    expect(execFileSync('bash', ['-c', script], { env, encoding: 'utf8' }).split('\0').slice(0, -1)).toEqual(
      texts,
    );
  });
});
