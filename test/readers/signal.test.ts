/** Whatever reads a view ends when its signal says so, in the midst of a pass. */

import { expect, it } from 'vitest';
import { compileFilter } from '../../src/readers/filter.js';
import { matches } from '../../src/readers/matches.js';
import { mergedRows } from '../../src/readers/merge-rows.js';
import { orderedRows } from '../../src/readers/ordered.js';
import { openView, type RowStore, type View } from '../../src/readers/source.js';
import { refTo, viewOf } from '../support/rows.js';

it.each<[string, (view: View) => AsyncIterable<unknown>]>([
  ['matches', (view) => matches(view)],
  ['orderedRows', (view) => orderedRows(view)],
  ['mergedRows', (view) => mergedRows([view])],
])('%s reads no further batch once it is aborted', async (_name, read) => {
  const controller = new AbortController();
  const reason = new Error('enough');
  let batches = 0;
  // Times are mixed, so that all batches are read before the first row comes.
  const refs = Array.from({ length: 50 }, (_, i) => {
    const ref = refTo({ firstSequence: i * 1024, timesUs: [i, 100 - i] });
    return {
      ...ref,
      read: () => {
        if (++batches === 7) controller.abort(reason);
        return ref.read();
      },
    };
  });
  const { source } = viewOf([]);
  const store: RowStore = { source, snapshot: () => ({ refs }) };
  const view = openView(store, compileFilter(undefined, source), undefined, controller.signal);
  const reading = (async () => {
    for await (const _ of read(view));
  })();
  await expect(reading).rejects.toBe(reason);
  expect(batches).toBe(7);
});
