/** A figure: a drawing with its title, its numbers as a table, and both ways to take those along. */
import { announce, h, replace } from './dom.js';

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number | null)[])[];
}

export interface Figure {
  readonly element: HTMLElement;
  /** Where the drawing goes. */
  readonly body: HTMLElement;
  setNote(text: string): void;
  /** To be called when the numbers are others. */
  changed(): void;
}

/** Rows of a table that are drawn; copies have all. */
const ROWS_SHOWN = 500;

/** @param table - the numbers, when somebody wants them */
export function figure(title: string, table: () => Table, className = ''): Figure {
  const body = h('div', { class: 'drawing' });
  const note = h('p', { class: 'note' });
  const numbers = h('div', { class: 'numbers', hidden: true });
  const heading = h('h3', {}, title);
  let drawn = 0;
  const draw = () => {
    if (numbers.hidden) return;
    drawn = performance.now();
    replace(numbers, tableElement(table(), title));
  };
  const toggle = h(
    'button',
    {
      type: 'button',
      'aria-expanded': 'false',
      onclick: () => {
        numbers.hidden = !numbers.hidden;
        toggle.setAttribute('aria-expanded', String(!numbers.hidden));
        draw();
      },
    },
    'Table',
  );
  const copy = (name: string, text: () => string) =>
    h(
      'button',
      { type: 'button', title: `Copy the numbers as ${name}`, onclick: () => void copyText(text(), name) },
      name,
    );
  const element = h(
    'section',
    { class: `card figure ${className}`, 'aria-label': title },
    h(
      'header',
      {},
      heading,
      h(
        'div',
        { class: 'actions', role: 'group', 'aria-label': `Numbers of ${title}` },
        toggle,
        copy('JSON', () => jsonOf(table())),
        copy('Markdown', () => markdownOf(table())),
      ),
    ),
    body,
    note,
    numbers,
  );
  return {
    element,
    body,
    setNote(text) {
      if (note.textContent !== text) note.textContent = text;
    },
    changed() {
      // A table that is read must not run away.
      if (performance.now() - drawn > 1000) draw();
    },
  };
}

export function tableElement({ columns, rows }: Table, caption: string): HTMLElement {
  const isNumber = columns.map((_, c) =>
    rows.every((row) => typeof row[c] !== 'string' || isNumeric(row[c])),
  );
  const cell = (value: string | number | null, c: number) =>
    h('td', { class: isNumber[c] ? 'num' : '' }, value === null ? '–' : value);
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${caption}, table` },
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, caption),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...columns.map((name, c) => h('th', { scope: 'col', class: isNumber[c] ? 'num' : '' }, name)),
        ),
      ),
      h('tbody', {}, ...rows.slice(0, ROWS_SHOWN).map((row) => h('tr', {}, ...row.map(cell)))),
    ),
    rows.length > ROWS_SHOWN
      ? h('p', { class: 'note' }, `The first ${ROWS_SHOWN} of ${rows.length} rows; copies have all.`)
      : null,
  );
}

function isNumeric(text: string): boolean {
  return /^[+−–-]?[\d,.$ ]*( ?(%|ms|s|MiB|KiB|GiB|B))?$/.test(text);
}

function jsonOf({ columns, rows }: Table): string {
  return JSON.stringify(
    rows.map((row) => Object.fromEntries(row.map((value, c) => [columns[c], value]))),
    null,
    2,
  );
}

export function markdownOf({ columns, rows }: Table): string {
  const text = (value: string | number | null) =>
    String(value ?? '')
      .replace(/[|\\`*_<>[\]]/g, '\\$&')
      .replace(/\s+/g, ' ');
  const line = (cells: readonly (string | number | null)[]) => `| ${cells.map(text).join(' | ')} |`;
  return [line(columns), `|${columns.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n');
}

async function copyText(text: string, name: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https there is no clipboard for pages of other machines.
    const area = h('textarea', { class: 'unseen' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  announce(`Copied as ${name}`);
}
