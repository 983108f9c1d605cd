/**
 * The documentation as pages: docs/*.md and the README, for /docs of the page that `serve` shows, and for files. All links are
 * relative, so that both are alike but for the links to the live page.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Marked } from 'marked';

/** @param {string} text */
const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** @param {string} text */
const slugOf = (text) =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s+/g, '-');

/** Where a link of a document leads on the site; what is in no page of it stays text. @param {string} href  @param {string} from */
function hrefOf(href, from) {
  if (/^(?:https?:|#)/.test(href)) return href;
  const [path, hash] = href.split('#');
  const clean = new URL(path ?? '', `http://site/${from}`).pathname.slice(1);
  const at = hash === undefined ? '' : `#${hash}`;
  if (clean === 'README.md') return `index.html${at}`;
  const page = /^docs\/(decisions\/)?([\w-]+)\.md$/.exec(clean);
  return page === null ? null : `${(page[1] ?? '').replace('/', '-')}${page[2]}.html${at}`;
}

/** @param {string} markdown  @param {string} from */
function bodyOf(markdown, from) {
  const marked = new Marked({ gfm: true });
  marked.use({
    renderer: {
      heading({ tokens, depth, text }) {
        return `<h${depth} id="${escaped(slugOf(text))}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const to = hrefOf(href, from);
        const text = this.parser.parseInline(tokens);
        return to === null ? text : `<a href="${escaped(to)}">${text}</a>`;
      },
      image: ({ href, text }) => `<img class="picture" src="${escaped(href)}" alt="${escaped(text)}">`,
      table(token) {
        const row = (cells, tag) =>
          `<tr>${cells.map((cell) => `<${tag}${tag === 'th' ? ' scope="col"' : ''}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>`;
        return `<div class="scroll" tabindex="0" role="region" aria-label="Table"><table><thead>${row(token.header, 'th')}</thead><tbody>${token.rows.map((cells) => row(cells, 'td')).join('')}</tbody></table></div>\n`;
      },
      code({ text }) {
        return `<pre tabindex="0"><code>${escaped(text)}</code></pre>\n`;
      },
      // Nothing of ours needs it.
      html: ({ text }) => escaped(text),
    },
  });
  return /** @type {string} */ (marked.parse(markdown, { async: false }));
}

/** @param {string} markdown */
const titleOf = (markdown) => /^# (.+)$/m.exec(markdown)?.[1]?.replaceAll('`', '') ?? '';

/** By what somebody comes for. @type {readonly (readonly [string, readonly string[]])[]} */
const ORDER = [
  ['Begin', ['guides', 'tasks', 'instrumentation', 'migration']],
  ['Use', ['events', 'isolation', 'studies', 'serve', 'cli', 'import', 'exports', 'outlets', 'api']],
  [
    'Understand',
    [
      'concepts',
      'comparison',
      'analysis',
      'durability',
      'guarantees',
      'limits',
      'formats',
      'running',
      'performance',
    ],
  ],
  ['Help', ['troubleshooting']],
];

/** What the pages show: text. */
const PICTURES = readdirSync('docs/pictures').filter((name) => name.endsWith('.svg'));

/** The pages and pictures by their paths. @param {{ isServed: boolean, hasApi?: boolean }} where beside the live page, or in a folder, with TypeDoc's pages or not */
export function docsPages({ isServed, hasApi = false }) {
  const names = readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -3));
  const known = new Set(ORDER.flatMap(([, listed]) => listed));
  const groups = [...ORDER, /** @type {const} */ (['More', names.filter((name) => !known.has(name))])]
    .map(([group, listed]) => /** @type {const} */ ([group, listed.filter((name) => names.includes(name))]))
    .filter(([, listed]) => listed.length > 0);
  const texts = new Map(names.map((name) => [name, readFileSync(`docs/${name}.md`, 'utf8')]));
  /** @param {string} current */
  const nav = (current) =>
    `<nav class="docs-nav" aria-label="Documentation"><a href="index.html"${current === '' ? ' aria-current="page"' : ''}>Start</a>${groups
      .map(
        ([group, listed]) =>
          `<p>${group}</p>${listed
            .map(
              (name) =>
                `<a href="${name}.html"${current === name ? ' aria-current="page"' : ''}>${escaped(titleOf(texts.get(name) ?? '').split(':')[0] ?? name)}</a>`,
            )
            .join('')}`,
      )
      .join('')}</nav>`;
  const main = isServed
    ? '<a href="../">Experiments</a><a href="../?view=studies">Studies</a><a href="../?view=compare">Compare</a><a href="index.html">Docs</a>'
    : `<a href="index.html">Docs</a>${hasApi ? '<a href="../api/index.html">Every docstring</a>' : ''}`;
  /** @param {string} title  @param {string} current  @param {string} body */
  const page = (title, current, body) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)} · Crucible</title>
<link rel="icon" href="../icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="../style.css">
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="bar"><a class="brand" href="${isServed ? '../' : 'index.html'}"><img src="../icon.svg" alt="Crucible" width="24" height="24"><span aria-hidden="true">Crucible</span></a><nav aria-label="Main">${main}</nav></header>
<div class="docs">${nav(current)}<main id="main" tabindex="-1">${body}</main></div>
</body>
</html>
`;
  const decisions = readdirSync('docs/decisions').filter((name) => name.endsWith('.md'));
  return new Map([
    ['/docs/index.html', page('Documentation', '', bodyOf(readFileSync('README.md', 'utf8'), 'README.md'))],
    ...[...texts].map(
      ([name, text]) =>
        /** @type {const} */ ([
          `/docs/${name}.html`,
          page(titleOf(text), name, bodyOf(text, `docs/${name}.md`)),
        ]),
    ),
    ...decisions.map((name) => {
      const text = readFileSync(`docs/decisions/${name}`, 'utf8');
      return /** @type {const} */ ([
        `/docs/decisions-${name.slice(0, -3)}.html`,
        page(titleOf(text), 'decisions', bodyOf(text, `docs/decisions/${name}`)),
      ]);
    }),
    ...PICTURES.map(
      (name) =>
        /** @type {const} */ ([`/docs/pictures/${name}`, readFileSync(`docs/pictures/${name}`, 'utf8')]),
    ),
  ]);
}
