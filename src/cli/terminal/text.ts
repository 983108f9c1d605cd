/**
 * Text that somebody else wrote, made fit for a terminal, a document or a shell: names, ids, paths, versions, messages.
 *
 * What cannot be seen can deceive: control characters move the cursor, marks of direction (U+202E and kin) show text in
 * another order than it has, characters of no width make two names look alike. All of them are shown as `\uXXXX`.
 */

/**
 * Control and format characters, line and paragraph separators, halves of surrogate pairs, and whatever else has no
 * width; but not the selectors of a picture's style (U+FE0E, U+FE0F), which common text has.
 */
const UNSEEN = String.raw`(?![\ufe0e\ufe0f])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`;
const EVERY_UNSEEN = new RegExp(UNSEEN, 'gu');
/** The styles of `style.ts`, which are ours. */
const STYLED = new RegExp(String.raw`(\u001b\[(?:1|2|22|31|32|33|36|39)m)|${UNSEEN}`, 'gu');

/** One line in which everything can be seen. */
export function visible(text: string): string {
  return text.replace(EVERY_UNSEEN, escaped);
}

/** The same of a line that we have styled. */
export function printable(line: string): string {
  return line.replace(STYLED, (unseen, style: string | undefined) => style ?? escaped(unseen));
}

/** A document of JSON in which everything can be seen; it reads back as what JSON.stringify gives. */
export function visibleJson(document: unknown, indent?: number): string {
  // Line ends are those of the indentation; in texts they are escaped already.
  return JSON.stringify(document, null, indent).replace(EVERY_UNSEEN, (unseen) =>
    unseen === '\n' ? unseen : escaped(unseen),
  );
}

function escaped(unseen: string): string {
  return Array.from({ length: unseen.length }, (_, i) => unitText(unseen.charCodeAt(i))).join('');
}

function unitText(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

/** An argument as a POSIX shell takes it; as bash and zsh do where there is something that cannot be seen. */
export function shellArgument(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  const shown = visible(text);
  if (shown === text) return `'${text.replaceAll("'", `'\\''`)}'`;
  return `$'${visible(text.replaceAll('\\', '\\\\').replaceAll("'", "\\'"))}'`;
}
