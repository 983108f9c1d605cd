/**
 * Texts that a spreadsheet would take for a formula, made texts by apostrophes. `assembly/text-stored.ts` does the same.
 *
 * Source: OWASP, "CSV Injection". A cell is led by a sign where it begins with one of = + - @ or their full-width forms,
 * also behind blanks, line ends and quotes, which programs take off; or where it begins with a tab or a line end. It gets
 * an apostrophe in front. A spreadsheet that splits at semicolons or tabs, as those of half of Europe do, or does not see
 * that a field is quoted, finds further cells in a text: there the sign itself gets one. What has its apostrophe gets no
 * other one, so that a file which is imported and written again stays the same.
 */

/** Control characters, blanks (also no-break, ideographic and the byte order mark), and double quotes. */
const BLANK = '\\u0000-\\u0020"\\u00a0\\u3000\\ufeff';
const SIGN = '=+\\-@\\uff1d\\uff0b\\uff0d\\uff20';
const LED = new RegExp(`^[${BLANK}]*[\\t\\r\\n${SIGN}]`);
/** Blanks behind a separator, and the sign if there is one: taken together, so that no text is looked at twice. */
const NEXT_CELL = new RegExp(`([;\\t\\r\\n][${BLANK}]*)([${SIGN}])?`, 'g');

export function guarded(text: string): string {
  const inner = text.replace(NEXT_CELL, (all, before: string, sign: string | undefined) =>
    sign === undefined ? all : `${before}'${sign}`,
  );
  return LED.test(text) ? `'${inner}` : inner;
}
