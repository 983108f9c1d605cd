/**
 * Writes docs/api.md: every export of each entry point with the first sentence of its docstring, and the members of
 * classes, from the declarations that were built. TypeDoc (`npm run docs:api`) has the whole of it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/**
 * @typedef {{ name: string, file: string }} Named where something is declared
 * @typedef {{ kind: string, doc: string, body: string }} Declared
 */

/** @param {string} file */
const textOf = (file) => readFileSync(file, 'utf8');

/** @param {string} from  @param {string} specifier */
const resolved = (from, specifier) => join(dirname(from), specifier.replace(/\.js$/, '.d.ts'));

/** All that a file exports, by where it is declared. @param {string} file  @returns {Named[]} */
function exportsOf(file) {
  const text = textOf(file);
  const found = [
    ...text.matchAll(
      /^export (?:declare )?(?:abstract )?(?:class|interface|function|const|type|enum) (\w+)/gm,
    ),
  ].map(([, name]) => ({ name: name ?? '', file }));
  for (const [, specifier] of text.matchAll(/^export \* from '([^']+)'/gm))
    if (specifier) found.push(...exportsOf(resolved(file, specifier)));
  for (const [, list, specifier] of text.matchAll(/^export (?:type )?\{([^}]+)\}(?: from '([^']+)')?/gm)) {
    for (const part of (list ?? '').split(',')) {
      const [name, alias] = part
        .replace(/\btype\b/, '')
        .trim()
        .split(/ as /);
      if (!name) continue;
      const source = specifier ?? new RegExp(`\\b${name}\\b[^;]* from '([^']+)'`).exec(text)?.[1];
      const there = source?.startsWith('.')
        ? exportsOf(resolved(file, source)).find((each) => each.name === name)
        : undefined;
      found.push({ name: alias ?? name, file: there?.file ?? file });
    }
  }
  const unique = new Map(found.map((each) => [each.name, each]));
  return [...unique.values()].sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));
}

const DOC = String.raw`(?:/\*\*((?:(?!\*/)[\s\S])*)\*/\s*)?`;

/** @param {Named} named  @returns {Declared} */
function declarationOf({ name, file }) {
  const text = textOf(file);
  const pattern = new RegExp(
    String.raw`${DOC}^export (?:declare )?(?:abstract )?(class|interface|function|const|type|enum) ${name}\b([\s\S]*?)(?=^\}|^export |^/\*\*|(?![\s\S]))`,
    'm',
  );
  const [, doc = '', kind = '', body = ''] = pattern.exec(text) ?? [];
  return { kind, doc, body };
}

/** Its first sentence, or all where there is none. @param {string} doc */
function sentenceOf(doc) {
  const text = doc
    .replaceAll(/^\s*\* ?/gm, ' ')
    .replaceAll(/\{@link (\S+?)\}/g, '`$1`')
    .split(/\s@\w+/)[0]
    ?.replaceAll(/\s+/g, ' ')
    .trim();
  return (/^(.*?\.)(?: |$)/.exec(text ?? '')?.[1] ?? text ?? '').replaceAll('|', '\\|');
}

/** Public members of a class, overloads once. @param {string} body */
function membersOf(body) {
  const members = new Map();
  const pattern = new RegExp(
    String.raw`${DOC}^    (?!private |protected |#)((?:static |readonly |abstract |get |async )*)(\w+)(<[^(\n]*>)?(\([^\n]*|[?:][^\n]*)`,
    'gm',
  );
  for (const [, doc = '', , name = '', , rest = ''] of body.matchAll(pattern)) {
    if (name === 'constructor' || members.get(name)) continue;
    members.set(name, { isMethod: rest.startsWith('('), sentence: sentenceOf(doc) });
  }
  return members;
}

const { exports } = JSON.parse(textOf('package.json'));
const sections = Object.entries(exports)
  .filter(([, target]) => typeof target !== 'string' && existsSync(target.types))
  .map(([entry, { types }]) => {
    const name = `crucible-telemetry${entry.slice(1)}`;
    const listed = exportsOf(types.replace('./', ''));
    const all = listed.map((named) => ({ ...named, ...declarationOf(named) }));
    const rows = all.map(
      (each) =>
        `| [\`${each.name}\`](${relative('docs', each.file)}) | ${each.kind} | ${sentenceOf(each.doc)} |`,
    );
    const classes = all
      .filter(({ kind, name }) => kind === 'class' && !name.endsWith('Error'))
      .map(({ name: className, body }) => {
        const members = [...membersOf(body)].map(
          ([member, { isMethod, sentence }]) => `| \`${member}${isMethod ? '()' : ''}\` | ${sentence} |`,
        );
        return members.length === 0
          ? ''
          : `### ${className}\n\n| member | |\n| --- | --- |\n${members.join('\n')}\n`;
      });
    return rows.length === 0
      ? `## ${name}\n\nExports nothing: it is there for what importing it does.\n`
      : `## ${name}\n\n| export | kind | |\n| --- | --- | --- |\n${rows.join('\n')}\n\n${classes.filter(Boolean).join('\n')}`;
  });

writeFileSync(
  'docs/api.md',
  `# API reference

Every export, with the first sentence of what its docstring says. The whole docstring, with units, ranges and errors, is in the
type that the name leads to, and in an editor wherever the name stands; \`npm run docs\` in a clone writes pages of it all.

${sections.join('\n').trimEnd()}
`,
);
