/** Parts that several views have. */
import { hrefOf, type Query } from './address.js';
import { h } from './dom.js';
import type { Descriptor } from './types.js';

const STATUS: Readonly<Record<Descriptor['status'], string>> = {
  running: 'running',
  paused: 'paused',
  stopped: 'stopped',
  archived: 'archived',
  interrupted: 'interrupted',
  unreadable: 'unreadable',
};

/** A mark and a word: colour alone tells nothing. */
export function statusElement(status: Descriptor['status']): HTMLElement {
  return h('span', { class: `status status-${status}` }, STATUS[status]);
}

export function tabs(id: string, current: string): HTMLElement {
  const tab = (label: string, view: string, more: Query = {}) =>
    h('a', { href: hrefOf({ view, id, ...more }), 'aria-current': view === current ? 'page' : null }, label);
  return h(
    'nav',
    { class: 'tabs', 'aria-label': 'Of this experiment' },
    tab('Overview', 'experiment'),
    tab('Calls', 'calls'),
    tab('Scores', 'scores'),
    tab('Files', 'files'),
    h('a', { href: hrefOf({ view: 'compare', id }) }, 'Compare with…'),
  );
}

export function trouble(): { element: HTMLElement; say(message: string | null): void } {
  const element = h('p', { class: 'trouble', role: 'alert', hidden: true });
  return {
    element,
    say(message) {
      element.hidden = message === null;
      if (message !== null && element.textContent !== message) element.textContent = message;
    },
  };
}

/** A number that matters, with what it is. */
export function tile(
  label: string,
  hint = '',
): { element: HTMLElement; set(value: string, note?: string): void } {
  const value = h('div', { class: 'value' }, '–');
  const note = h('div', { class: 'hint' }, hint);
  return {
    element: h('div', { class: 'tile' }, h('div', { class: 'label' }, label), value, note),
    set(text, more) {
      if (value.textContent !== text) value.textContent = text;
      if (more !== undefined && note.textContent !== more) note.textContent = more;
    },
  };
}
