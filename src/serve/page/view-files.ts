/** Files of one experiment, and what has been found lost of them. */
import { h, replace } from './dom.js';
import { tableElement } from './figure.js';
import { bytes, count, time } from './format.js';
import { ask } from './live.js';
import { tabs, trouble } from './parts.js';
import type { View } from './types.js';

interface Files {
  readonly folder: string | null;
  readonly files: readonly { name: string; bytes: number; modifiedMs: number }[];
  readonly damage: readonly { path: string; offset: number; rows: number | null; reason: string }[];
}

export function filesView(params: URLSearchParams): View {
  const id = params.get('id') ?? '';
  const warn = trouble();
  const body = h('div', {}, h('p', { class: 'note' }, 'Reading…'));
  const ended = new AbortController();
  ask<Files>(`/api/experiments/${encodeURIComponent(id)}/files`, ended.signal).then(
    ({ folder, files, damage }) => {
      if (folder === null) {
        replace(
          body,
          h(
            'p',
            { class: 'notice' },
            'This experiment lives in memory only: without a dir, nothing of it is on disk.',
          ),
        );
        return;
      }
      const total = files.reduce((sum, file) => sum + file.bytes, 0);
      replace(
        body,
        h('p', {}, folder),
        h(
          'section',
          { class: 'card' },
          h('h3', {}, `${count(files.length)} files, ${bytes(total)}`),
          tableElement(
            {
              columns: ['file', 'size', 'changed'],
              rows: files.map((file) => [file.name, bytes(file.bytes), time(file.modifiedMs * 1000)]),
            },
            'Files',
          ),
        ),
        h(
          'section',
          { class: 'card' },
          h('h3', {}, damage.length === 0 ? 'No damage found' : `${count(damage.length)} damaged places`),
          h(
            'p',
            { class: 'note' },
            'Found by what was read so far. crucible recover reads and verifies every byte.',
          ),
          damage.length === 0
            ? null
            : tableElement(
                {
                  columns: ['file', 'at byte', 'events lost', 'why'],
                  rows: damage.map(({ path, offset, rows, reason }) => [path, offset, rows, reason]),
                },
                'Damage',
              ),
        ),
      );
    },
    (error: Error) => !ended.signal.aborted && warn.say(error.message),
  );
  return {
    title: `${id}: files`,
    element: h(
      'div',
      {},
      h('p', { class: 'crumbs' }, h('a', { href: '/' }, 'Experiments'), ' / ', id),
      h('h1', {}, 'Files'),
      tabs(id, 'files'),
      warn.element,
      body,
    ),
    close: () => ended.abort(),
  };
}
