/** No cell of a file for spreadsheets is a formula, however the file is split into cells, and each text can be had back. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exportChunks } from '../../../src/export/index.js';
import { guarded } from '../../../src/formats/csv/formula.js';
import { event, sourceOf, textOf } from '../../export/support.js';
import { formulaText } from '../../support/arbitrary-blocks.js';
import { oracleSafe } from '../../support/text-oracle.js';

/** What a spreadsheet may take off before it looks whether a cell is a formula. */
const trimmed = (cell: string) => cell.replace(/^[\p{Cc} "\u00a0\u3000\ufeff]+/u, '');

/** As docs/exports.md says. */
function unguarded(text: string): string {
  const BLANK = '[\\u0000-\\u0020"\\u00a0\\u3000\\ufeff]*';
  const SIGN = '[=+\\-@＝＋－＠]';
  const first = new RegExp(`^'(?=${BLANK}(?:[\\t\\r\\n]|${SIGN}))`).test(text) ? text.slice(1) : text;
  return first.replace(new RegExp(`([;\\t\\r\\n]${BLANK})'(?=${SIGN})`, 'g'), '$1');
}

describe('guarded', () => {
  it('is what the oracle says, character by character', () => {
    fc.assert(
      fc.property(formulaText, (text) => {
        expect(guarded(text)).toBe(oracleSafe(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('can be undone in texts without apostrophes', () => {
    fc.assert(
      fc.property(formulaText, (given) => {
        const text = given.replaceAll("'", '');
        expect(unguarded(guarded(text))).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves no cell that begins with a sign, whether split at semicolons, tabs or line ends', () => {
    fc.assert(
      fc.property(formulaText, (text) => {
        for (const cell of [guarded(text), ...guarded(text).split(/[;\t\r\n]/)]) {
          expect(trimmed(cell)).not.toMatch(/^[=+\-@＝＋－＠]/);
        }
        expect(guarded(text)).not.toMatch(/^[\t\r\n]/);
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves what it has made as it is', () => {
    fc.assert(
      fc.property(formulaText, (text) => {
        expect(guarded(guarded(text))).toBe(guarded(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves ordinary text as it is', () => {
    for (const text of [
      '',
      'a',
      'gpt-4',
      'a = b',
      'x; y',
      "it's",
      '1-2',
      'a\nb',
      '“=x”',
      'https://a.b/?c=d',
      '１',
    ]) {
      expect(guarded(text)).toBe(text);
    }
  });

  it('gets to the end of long texts, looking at each part once', () => {
    // Where every blank is looked at again for every blank before it, this takes hours.
    for (const unit of ['\n', ' ', '"', ';\n', '\t', "'"]) {
      const text = unit.repeat(2_000_000 / unit.length);
      expect(guarded(text).length).toBeGreaterThanOrEqual(text.length);
    }
  });
});

describe('CSV for spreadsheets', () => {
  it('keeps numbers numbers, and texts that look like numbers texts', async () => {
    const metadata = { delta: -5, share: -0.25, text: '-5', phone: '+49 30 1' };
    const text = await textOf(
      exportChunks(sourceOf(event({ latencyMs: -1, metadata })), 'csv', { csvSafe: true }),
    );
    const [names, values] = text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(',')) as [string[], string[]];
    const valueIn = (name: string) => values[names.indexOf(name)];
    expect(valueIn('metadata_delta')).toBe('-5');
    expect(valueIn('metadata_share')).toBe('-0.25');
    expect(valueIn('latency_ms')).toBe('-1');
    expect(valueIn('metadata_text')).toBe("'-5");
    expect(valueIn('metadata_phone')).toBe("'+49 30 1");
  });

  it('has names of columns that are no formulas', async () => {
    const metadata = { a: { '=b': 1 }, 'x;=y': 1 };
    const text = await textOf(
      exportChunks(sourceOf(event({ metadata, fields: { '=c': 1 } })), 'csv', { csvSafe: true }),
    );
    const header = text.split('\n')[0]!;
    expect(header).toContain("'=c");
    expect(header).toContain(`"metadata_x;'=y"`);
    expect(header).toContain('metadata_a_=b');
  });
});
