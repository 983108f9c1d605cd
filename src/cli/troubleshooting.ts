/** What docs/troubleshooting.md, which the package has, says of an error. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** From the sources, and from what is built of them. */
const PLACES: readonly string[] = ['../../docs/troubleshooting.md', '../../../docs/troubleshooting.md'];

/** Paragraphs of a code's entry, without marks of Markdown; null where there is none. */
export function entryOf(code: string): string[] | null {
  const path = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((each) =>
    existsSync(each),
  );
  if (path === undefined) return null;
  const [, ...entries] = readFileSync(path, 'utf8').split(/^## /m);
  const entry = entries.find((each) => each.startsWith(`${code}\n`));
  if (entry === undefined) return null;
  return entry
    .slice(code.length)
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => plain(paragraph.replaceAll(/\s*\n\s*/g, ' ')));
}

function plain(markdown: string): string {
  return markdown.replaceAll(/\[([^\]]*)\]\(([^)]*)\)/g, '$1 ($2)').replaceAll(/\*\*|`/g, '');
}
