/** The page: a bar at the top, and below it what the address asks for. */
import { onGo, query } from './address.js';
import { applyTheme, setTheme, theme } from './colours.js';
import { h, replace } from './dom.js';
import type { View } from './types.js';
import { callsView } from './view-calls.js';
import { compareView } from './view-compare.js';
import { experimentView } from './view-experiment.js';
import { filesView } from './view-files.js';
import { listView } from './view-list.js';
import { scoresView } from './view-scores.js';
import { studiesView, studyView } from './view-study.js';

applyTheme();

const views: Readonly<Record<string, (params: URLSearchParams) => View>> = {
  list: listView,
  experiment: experimentView,
  calls: callsView,
  compare: compareView,
  scores: scoresView,
  files: filesView,
  studies: studiesView,
  study: studyView,
};

function themeButton(): HTMLElement {
  const names = { auto: ['◐', 'System'], light: ['○', 'Light'], dark: ['●', 'Dark'] } as const;
  const button = h('button', { type: 'button', class: 'quiet', title: 'Theme' });
  const draw = () => {
    const [mark, word] = names[theme()];
    replace(button, h('b', { 'aria-hidden': 'true' }, mark), h('span', {}, word));
    button.setAttribute('aria-label', `${word} theme`);
  };
  draw();
  button.addEventListener('click', () => {
    setTheme(theme() === 'auto' ? 'light' : theme() === 'light' ? 'dark' : 'auto');
    draw();
  });
  return button;
}

const main = h('main', { id: 'main', tabindex: '-1' });
const app = document.getElementById('app') as HTMLElement;
replace(
  app,
  h(
    'header',
    { class: 'bar' },
    h(
      'a',
      { class: 'brand', href: '/' },
      h('img', { src: '/icon.svg', alt: 'Crucible', width: 24, height: 24 }),
      h('span', { 'aria-hidden': 'true' }, 'Crucible'),
    ),
    h(
      'nav',
      { 'aria-label': 'Main' },
      h('a', { href: '/' }, 'Experiments'),
      h('a', { href: '/?view=studies' }, 'Studies'),
      h('a', { href: '/?view=compare' }, 'Compare'),
      h('a', { href: '/docs/', target: '_self', rel: 'external' }, 'Docs'),
    ),
    themeButton(),
  ),
  main,
  h('p', { id: 'said', role: 'status', 'aria-live': 'polite' }),
);

let current: View | null = null;
let shownFor = '';

function show(isFirst: boolean): void {
  const params = query();
  if (location.search === shownFor && !isFirst) return;
  shownFor = location.search;
  current?.close();
  const make = views[params.get('view') ?? 'list'] ?? listView;
  current = make(params);
  document.title = current.title === '' ? 'Crucible' : `${current.title} · Crucible`;
  replace(main, current.element);
  if (!isFirst) {
    scrollTo(0, 0);
    // Whoever goes by keyboard begins at the new content.
    main.focus({ preventScroll: true });
  }
}

onGo(() => show(false));
show(true);
