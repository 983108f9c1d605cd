/** All experiments: searched, sorted, a hundred at a time. */
import { hrefOf, note } from './address.js';
import { h, replace } from './dom.js';
import { bytes, count, duration, iso, time } from './format.js';
import { follow } from './live.js';
import { statusElement, trouble } from './parts.js';
import type { Descriptor, ListState, View } from './types.js';

const PAGE = 100;

type Key = 'name' | 'condition' | 'status' | 'events' | 'dropped' | 'started' | 'duration' | 'size';

const COLUMNS: readonly { key: Key; label: string; num?: true; wide?: true }[] = [
  { key: 'name', label: 'Name' },
  { key: 'condition', label: 'Condition', wide: true },
  { key: 'status', label: 'Status' },
  { key: 'events', label: 'Events', num: true },
  { key: 'dropped', label: 'Dropped', num: true, wide: true },
  { key: 'started', label: 'Started', wide: true },
  { key: 'duration', label: 'Duration', num: true, wide: true },
  { key: 'size', label: 'On disk', num: true, wide: true },
];

function cellOf(key: Key, each: Descriptor): string | number {
  switch (key) {
    case 'name':
      return each.name.toLowerCase();
    case 'condition':
      return each.condition.toLowerCase();
    case 'status':
      return each.status;
    case 'events':
      return each.counts.captured;
    case 'dropped':
      return each.counts.dropped;
    case 'started':
      return each.startedAt;
    case 'duration':
      return secondsOf(each);
    case 'size':
      return each.counts.bytes ?? 0;
  }
}

function secondsOf({ startedAt, stoppedAt }: Descriptor): number {
  return Math.max(0, ((stoppedAt ?? Date.now() * 1000) - startedAt) / 1e6);
}

export function listView(params: URLSearchParams): View {
  const experiments = new Map<string, Descriptor>();
  let state: Pick<ListState, 'dir' | 'error'> = { dir: null, error: null };
  let search = params.get('q') ?? '';
  let tag = params.get('tag') ?? '';
  let sort = (COLUMNS.find(({ key }) => key === params.get('sort'))?.key ?? 'started') as Key;
  let isUp = params.get('up') === '1';
  let page = Math.max(0, Number(params.get('page') ?? 1) - 1) || 0;
  const picked = new Set<string>();
  let isKnown = false;

  const warn = trouble();
  const summary = h('p', { class: 'note', role: 'status' }, 'Reading…');
  const input = h('input', {
    type: 'search',
    id: 'search',
    value: search,
    placeholder: 'name, id, condition, tag',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  const tags = h('div', { class: 'tags' });
  const compare = h('a', { class: 'button', hidden: true, href: '/' }, 'Compare');
  const head = h('tr', {});
  const body = h('tbody', {});
  const pages = h('nav', { class: 'pages', 'aria-label': 'Pages' });
  const table = h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Experiments, table' },
    h(
      'table',
      { class: 'list' },
      h('caption', { class: 'unseen' }, 'Experiments'),
      h('thead', {}, head),
      body,
    ),
  );
  const nothing = h('div', { class: 'empty', hidden: true });

  function drawHead(): void {
    replace(
      head,
      h('th', { scope: 'col' }, h('span', { class: 'unseen' }, 'Compare')),
      ...COLUMNS.map(({ key, label, num, wide }) =>
        h(
          'th',
          {
            scope: 'col',
            class: `${num ? 'num' : ''} ${wide ? 'wide' : ''}`,
            'aria-sort': sort === key ? (isUp ? 'ascending' : 'descending') : 'none',
          },
          h(
            'button',
            {
              type: 'button',
              class: 'sort',
              onclick: () => {
                isUp = sort === key ? !isUp : key === 'name' || key === 'condition' || key === 'status';
                sort = key;
                page = 0;
                note({ sort, up: isUp ? '1' : null, page: null });
                drawHead();
                draw();
              },
            },
            label,
            h('span', { 'aria-hidden': 'true' }, sort === key ? (isUp ? ' ↑' : ' ↓') : ''),
          ),
        ),
      ),
    );
  }

  function matching(): Descriptor[] {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (each: Descriptor) =>
      [each.name, each.id, each.condition, each.status, ...each.tags].join(' ').toLowerCase();
    const found = [...experiments.values()].filter(
      (each) =>
        (tag === '' || each.tags.includes(tag)) &&
        (words.length === 0 || words.every((word) => text(each).includes(word))),
    );
    const keyed = found.map((each) => ({ each, key: cellOf(sort, each) }));
    keyed.sort(
      (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.each.id < b.each.id ? -1 : 1) * (isUp ? 1 : -1),
    );
    return keyed.map(({ each }) => each);
  }

  function row(each: Descriptor): HTMLElement {
    const { id, name, condition, status, counts, startedAt, sampleSize } = each;
    const box = h('input', { type: 'checkbox', 'aria-label': `Compare ${name}`, checked: picked.has(id) });
    box.addEventListener('change', () => {
      if (box.checked) picked.add(id);
      else picked.delete(id);
      drawCompare();
    });
    const progress =
      sampleSize === null
        ? null
        : h('progress', {
            max: sampleSize,
            value: Math.min(sampleSize, counts.captured),
            'aria-label': `${count(counts.captured)} of ${count(sampleSize)} planned events`,
          });
    return h(
      'tr',
      {},
      h('td', {}, box),
      h(
        'th',
        { scope: 'row' },
        h('a', { href: hrefOf({ view: 'experiment', id }), title: name }, name),
        h(
          'div',
          { class: 'sub' },
          h('span', { class: 'narrow' }, `${condition} · `),
          id,
          ...each.tags.slice(0, 6).map((text) => h('span', { class: 'tag' }, text)),
        ),
      ),
      h('td', { class: 'wide' }, condition),
      h(
        'td',
        {},
        statusElement(status),
        each.error === null
          ? null
          : h('div', { class: 'sub bad', title: each.error.message }, each.error.code),
      ),
      h('td', { class: 'num' }, count(counts.captured), progress),
      h('td', { class: `num wide ${counts.dropped > 0 ? 'bad' : ''}` }, count(counts.dropped)),
      h('td', { class: 'wide', title: iso(startedAt) }, time(startedAt)),
      h('td', { class: 'num wide' }, status === 'unreadable' ? '–' : duration(secondsOf(each))),
      h(
        'td',
        { class: 'num wide' },
        counts.bytes === null ? (each.folder === null ? 'memory' : '–') : bytes(counts.bytes),
      ),
    );
  }

  function drawCompare(): void {
    compare.hidden = picked.size < 2;
    compare.setAttribute('href', hrefOf({ view: 'compare', id: [...picked] }));
    compare.textContent = `Compare ${picked.size}`;
  }

  function draw(): void {
    const found = matching();
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    page = Math.min(page, last);
    const focused = document.activeElement?.closest('tr')?.querySelector('a')?.getAttribute('href');
    replace(body, ...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
    if (focused)
      body.querySelector<HTMLElement>(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    const running = [...experiments.values()].filter(({ status }) => status === 'running').length;
    const where = state.dir === null ? 'of this process' : `of this process and of ${state.dir}`;
    summary.textContent = isKnown
      ? `${count(found.length)}${found.length === experiments.size ? '' : ` of ${count(experiments.size)}`} experiments ${where}, ${count(running)} running`
      : 'Reading…';
    table.hidden = found.length === 0;
    nothing.hidden = found.length > 0 || !isKnown;
    if (!nothing.hidden) {
      replace(
        nothing,
        experiments.size > 0
          ? h('p', {}, 'No experiment fits. ', h('a', { href: '/' }, 'Show all'))
          : h(
              'div',
              {},
              h('h2', {}, 'No experiments yet'),
              h('p', {}, 'They appear here as they are started, without a reload. The shortest one:'),
              h(
                'pre',
                {},
                "import { Crucible, instrument } from 'crucible-telemetry';\n\nconst crucible = new Crucible({ dir: 'telemetry' });\nconst experiment = crucible.startExperiment({ name: 'first look' });\ninstrument(experiment);      // every model call of this process\nconst { url } = await crucible.serve();",
              ),
            ),
      );
    }
    replace(
      pages,
      ...(last === 0
        ? []
        : [
            h('button', { type: 'button', disabled: page === 0, onclick: () => turn(page - 1) }, 'Previous'),
            h('span', {}, `Page ${page + 1} of ${last + 1}`),
            h('button', { type: 'button', disabled: page === last, onclick: () => turn(page + 1) }, 'Next'),
          ]),
    );
  }

  function turn(next: number): void {
    page = next;
    note({ page: page === 0 ? null : String(page + 1) });
    draw();
    table.scrollIntoView({ block: 'nearest' });
  }

  function drawTags(): void {
    const all = new Map<string, number>();
    for (const { tags: each } of experiments.values())
      for (const text of each) all.set(text, (all.get(text) ?? 0) + 1);
    const most = [...all].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).slice(0, 12);
    replace(
      tags,
      ...most.map(([text, n]) =>
        h(
          'button',
          {
            type: 'button',
            class: 'tag',
            'aria-pressed': String(tag === text),
            onclick: () => {
              tag = tag === text ? '' : text;
              page = 0;
              note({ tag, page: null });
              drawTags();
              draw();
            },
          },
          `${text} ${n}`,
        ),
      ),
    );
  }

  input.addEventListener('input', () => {
    search = input.value;
    page = 0;
    note({ q: search, page: null });
    draw();
  });

  let tagsText = '';
  const take = ({ dir, error, experiments: changed, gone }: ListState) => {
    for (const each of changed) experiments.set(each.id, each);
    for (const id of gone) experiments.delete(id);
    state = { dir, error };
    isKnown = true;
    warn.say(error);
    const text = changed.map((each) => each.tags.join()).join('|') + gone.length;
    if (text !== tagsText) drawTags();
    tagsText = text;
    draw();
  };
  drawHead();
  const end = follow('/api/feed', {
    onState: (data: ListState) => {
      experiments.clear();
      take(data);
    },
    onDelta: take,
    onTrouble: (message) => warn.say(message ?? state.error),
  });

  return {
    title: '',
    element: h(
      'div',
      {},
      h('h1', {}, 'Experiments'),
      warn.element,
      h('div', { class: 'controls' }, h('label', { for: 'search' }, 'Search ', input), compare),
      tags,
      summary,
      table,
      nothing,
      pages,
    ),
    close: end,
  };
}
