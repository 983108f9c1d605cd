import { describe, expect, it } from 'vitest';
import {
  emptyLines,
  filterLines,
  lossLines,
  spanText,
  titleLines,
} from '../../../src/cli/report/analysed.js';
import type { OpenedExperiment } from '../../../src/cli/stored-experiments.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { metricsOf } from '../support/fake-library.js';
import { plausibleMetrics } from '../support/plausible-metrics.js';

const options = { style: NO_STYLE, width: 60 };

function opened(dropped: number, rowsLost: (number | null)[]): OpenedExperiment {
  return {
    experiment: {
      id: '295d',
      name: 'con\u0007trol',
      condition: 'c',
      counts: { captured: 100, retained: 100 - dropped, dropped, malformed: 0 },
    },
    report: { damage: rowsLost.map((rows) => ({ rowsLost: rows })) },
  } as unknown as OpenedExperiment;
}

it('says which experiment it is, and which of its events', () => {
  expect(titleLines(opened(0, []), { eventName: 'e', success: true }, options)).toEqual([
    'con\\u0007trol  295d · c',
    '  only: event e, succeeded',
  ]);
  expect(titleLines(opened(0, []), null, options)).toEqual(['con\\u0007trol  295d · c']);
  expect(filterLines(null, options)).toEqual([]);
});

it('says how many events there are, and from when to when', () =>
  expect(spanText(plausibleMetrics(100, 1, 200))).toBe(
    '400 events, 1970-01-01T00:00:00Z to 1970-01-01T00:00:12Z (12 s)',
  ));

describe('lossLines', () => {
  it('is silent where nothing is lost', () => expect(lossLines([opened(0, [])], options)).toEqual([]));

  it('says what the figures lack', () => {
    expect(lossLines([opened(20, [20]), opened(1, [])], { ...options, width: 120 })).toEqual([
      '! 20 events of con\\u0007trol dropped or damaged, and not in these figures; crucible show 295d says which',
      '! 1 event of con\\u0007trol dropped or damaged, and not in these figures; crucible show 295d says which',
    ]);
    expect(lossLines([opened(0, [null])], options)[0]).toContain('! at least 0 events of');
  });
});

describe('emptyLines', () => {
  const all = { ...plausibleMetrics(100, 1, 200), events: { rare: { count: 1 }, 'e.stop': { count: 399 } } };

  it('says what there would be', () => {
    expect(emptyLines(opened(0, []), { eventName: 'e' }, all, options)).toEqual([
      'There are no such events. In all there are 400 events,',
      '1970-01-01T00:00:00Z to 1970-01-01T00:00:12Z (12 s): e.stop',
      '(399), rare (1).',
    ]);
  });

  it('says that there is nothing at all', () => {
    const none = metricsOf([]);
    expect(emptyLines(opened(0, []), { eventName: 'e' }, none, options)).toEqual([
      'con\\u0007trol has no events.',
    ]);
    expect(emptyLines(opened(0, []), null, none, options)).toEqual(['con\\u0007trol has no events.']);
  });
});
