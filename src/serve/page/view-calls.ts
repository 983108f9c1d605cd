/** The last events, by filters; one of them with what belongs to it; and sums by session. */

import { linearTicks, shortened } from '../../charts/scale.js';
import { go, hrefOf, query } from './address.js';
import { h, replace, svg } from './dom.js';
import { figure, tableElement } from './figure.js';
import { count, duration, iso, ms, number, preciseTime, time, usd } from './format.js';
import { ask } from './live.js';
import { tabs, trouble } from './parts.js';
import type { EventRow, View } from './types.js';

const FILTERS = [
  { key: 'event', label: 'Event', type: 'text' },
  { key: 'model', label: 'Model', type: 'text' },
  { key: 'session', label: 'Session', type: 'text' },
  { key: 'minLatencyMs', label: 'Slower than, ms', type: 'number' },
] as const;

export function callsView(params: URLSearchParams): View {
  const id = params.get('id') ?? '';
  const path = `/api/experiments/${encodeURIComponent(id)}`;
  const warn = trouble();
  const ended = new AbortController();
  const body = h('div', {}, h('p', { class: 'note' }, 'Reading…'));
  const fail = (error: Error) => !ended.signal.aborted && warn.say(error.message);
  const event = params.get('call');
  const what = params.get('by') === 'session' ? 'session' : 'last';

  if (event !== null) {
    ask<{ event: EventRow; by: string | null; related: EventRow[]; isCut: boolean }>(
      `${path}/calls/${encodeURIComponent(event)}`,
      ended.signal,
    ).then((found) => replace(body, ...oneCall(id, found)), fail);
  } else if (what === 'session') {
    ask<Sessions>(`${path}/sessions`, ended.signal).then(
      (found) => replace(body, sessionTable(id, found)),
      fail,
    );
  } else {
    const wanted = new URLSearchParams();
    for (const key of [...FILTERS.map((filter) => filter.key), 'success', 'limit'] as const) {
      const value = params.get(key);
      if (value !== null && value !== '') wanted.set(key, value);
    }
    const load = () =>
      ask<{ events: EventRow[]; limit: number }>(`${path}/calls?${wanted}`, ended.signal).then(
        ({ events, limit }) => {
          replace(
            body,
            h(
              'p',
              { class: 'note', role: 'status' },
              events.length < limit
                ? `${count(events.length)} events, the newest first`
                : `The last ${count(limit)} events, the newest first`,
            ),
            events.length === 0
              ? h('div', { class: 'empty' }, h('p', {}, 'No such events.'))
              : callTable(id, events),
          );
        },
        fail,
      );
    void load();
  }

  return {
    title: `${id}: calls`,
    element: h(
      'div',
      {},
      h(
        'p',
        { class: 'crumbs' },
        h('a', { href: '/' }, 'Experiments'),
        ' / ',
        h('a', { href: hrefOf({ view: 'experiment', id }) }, id),
        event === null ? null : ' / ',
        event === null ? null : h('a', { href: hrefOf({ view: 'calls', id }) }, 'Calls'),
      ),
      h('h1', {}, event === null ? 'Calls' : 'One call'),
      tabs(id, 'calls'),
      warn.element,
      event === null
        ? h(
            'nav',
            { class: 'switch', 'aria-label': 'What is listed' },
            h(
              'a',
              { href: hrefOf({ view: 'calls', id }), 'aria-current': what === 'last' ? 'page' : null },
              'Last events',
            ),
            h(
              'a',
              {
                href: hrefOf({ view: 'calls', id, by: 'session' }),
                'aria-current': what === 'session' ? 'page' : null,
              },
              'By session',
            ),
          )
        : null,
      event === null && what === 'last' ? filterForm(id) : null,
      body,
    ),
    close: () => ended.abort(),
  };
}

function filterForm(id: string): HTMLElement {
  const params = query();
  const inputs = FILTERS.map(({ key, label, type }) => {
    const input = h('input', {
      type,
      id: `f-${key}`,
      name: key,
      value: params.get(key) ?? '',
      ...(type === 'number' && { min: 0, step: 'any' }),
    });
    return { key, element: h('label', { for: `f-${key}` }, label, ' ', input), value: () => input.value };
  });
  const success = h(
    'select',
    { id: 'f-success' },
    ...(
      [
        ['', 'any'],
        ['true', 'succeeded'],
        ['false', 'failed'],
        ['null', 'unknown'],
      ] as const
    ).map(([value, label]) =>
      h('option', { value, selected: (params.get('success') ?? '') === value }, label),
    ),
  );
  const limit = h(
    'select',
    { id: 'f-limit' },
    ...['100', '250', '500'].map((value) =>
      h('option', { value, selected: (params.get('limit') ?? '100') === value }, value),
    ),
  );
  return h(
    'form',
    {
      class: 'controls',
      onsubmit: (event: Event) => {
        event.preventDefault();
        go({
          view: 'calls',
          id,
          ...Object.fromEntries(inputs.map(({ key, value }) => [key, value()])),
          success: success.value,
          limit: limit.value === '100' ? '' : limit.value,
        });
      },
    },
    ...inputs.map(({ element }) => element),
    h('label', { for: 'f-success' }, 'Success ', success),
    h('label', { for: 'f-limit' }, 'At most ', limit),
    h('button', { type: 'submit' }, 'Filter'),
  );
}

function successText(success: boolean | null): string {
  return success === null ? '–' : success ? '✓ ok' : '✗ failed';
}

function callTable(id: string, events: readonly EventRow[]): HTMLElement {
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Events, table' },
    h(
      'table',
      {},
      h('caption', { class: 'unseen' }, 'Events'),
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...['Time', 'Event', 'Model'].map((name) => h('th', { scope: 'col' }, name)),
          ...['Latency, ms', 'Cost, USD', 'Tokens'].map((name) =>
            h('th', { scope: 'col', class: 'num' }, name),
          ),
          h('th', { scope: 'col' }, 'Success'),
          h('th', { scope: 'col' }, 'Session'),
        ),
      ),
      h(
        'tbody',
        {},
        ...events.map((event) =>
          h(
            'tr',
            { class: event.success === false ? 'failed' : '' },
            h(
              'td',
              { title: iso(event.timestamp) },
              h(
                'a',
                { href: hrefOf({ view: 'calls', id, call: event.eventId }) },
                preciseTime(event.timestamp),
              ),
            ),
            h(
              'td',
              {},
              shortened(event.eventName, 48),
              event.malformed
                ? h('span', { class: 'tag bad', title: event.malformedKeys.join(', ') }, 'malformed')
                : null,
            ),
            h('td', {}, shortened(event.model ?? '–', 36)),
            h('td', { class: 'num' }, number(event.latencyMs)),
            h('td', { class: 'num' }, number(event.costUsd)),
            h('td', { class: 'num' }, count(event.tokens?.total)),
            h('td', { class: event.success === false ? 'bad' : '' }, successText(event.success)),
            h('td', {}, event.sessionId === null ? '–' : shortened(textOf(event.sessionId), 24)),
          ),
        ),
      ),
    ),
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The event in full, and a timeline of what shares its call, trace or session. */
function oneCall(
  id: string,
  { event, by, related, isCut }: { event: EventRow; by: string | null; related: EventRow[]; isCut: boolean },
): HTMLElement[] {
  const facts: (string | number | null)[][] = [
    ['event', event.eventName],
    ['time (UTC)', iso(event.timestamp)],
    ['latency', ms(event.latencyMs)],
    [
      'cost',
      event.costUsd === null ? (event.costSource ?? '–') : `${usd(event.costUsd)} (${event.costSource})`,
    ],
    ['success', successText(event.success)],
    [
      'tokens',
      event.tokens === null
        ? '–'
        : `${count(event.tokens.prompt)} prompt + ${count(event.tokens.completion)} completion`,
    ],
    ['model', event.model],
    ['provider', event.provider],
    ...(['sessionId', 'userId', 'sampleId', 'correlationId', 'traceId', 'spanId'] as const).flatMap((key) =>
      event[key] === null ? [] : [[key, textOf(event[key])]],
    ),
    ...(event.malformed ? [['malformed', event.malformedKeys.join(', ')]] : []),
  ];
  const timeline = figure('Timeline', () => ({
    columns: ['start (UTC)', 'event', 'latency, ms', 'success', 'event id'],
    rows: related.map((each) => [
      iso(startOf(each)),
      each.eventName,
      each.latencyMs,
      successText(each.success),
      each.eventId,
    ]),
  }));
  timeline.body.append(timelineElement(id, event, related));
  timeline.setNote(
    by === null
      ? 'Nothing else says that it belongs to this event.'
      : `${isCut ? 'The last ' : ''}${count(related.length)} events with this ${by}; a bar begins where the call began.`,
  );
  return [
    h(
      'section',
      { class: 'card' },
      h('h2', {}, event.eventName),
      tableElement({ columns: ['', ''], rows: facts }, 'The event'),
    ),
    timeline.element,
    h(
      'section',
      { class: 'card' },
      h('h3', {}, 'As it is stored'),
      h(
        'pre',
        {},
        JSON.stringify(
          { measurements: event.measurements, metadata: event.metadata, fields: event.fields },
          null,
          2,
        ).slice(0, 100_000),
      ),
    ),
  ];
}

function startOf({ timestamp, latencyMs }: EventRow): number {
  return timestamp - (latencyMs ?? 0) * 1000;
}

function timelineElement(id: string, event: EventRow, related: readonly EventRow[]): Element {
  const shown = [...related].sort((a, b) => startOf(a) - startOf(b)).slice(0, 200);
  const low = Math.min(...shown.map(startOf));
  const high = Math.max(...shown.map(({ timestamp }) => timestamp), low + 1);
  const width = 900;
  const left = 230;
  const x = (us: number) => left + ((us - low) / (high - low)) * (width - left - 20);
  const row = 22;
  const height = shown.length * row + 30;
  return svg(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': 'Timeline. The button Table has the numbers.',
    },
    ...linearTicks(0, (high - low) / 1000).flatMap((tick) => [
      svg('line', {
        class: 'grid',
        x1: x(low + tick * 1000),
        x2: x(low + tick * 1000),
        y1: 0,
        y2: height - 24,
      }),
      svg('text', { class: 'tick middle', x: x(low + tick * 1000), y: height - 8 }, `${number(tick, 3)} ms`),
    ]),
    ...shown.map((each, i) => {
      const y = i * row + 4;
      const at = x(startOf(each));
      const end = x(each.timestamp);
      const isThis = each.eventId === event.eventId;
      return svg(
        'a',
        { href: hrefOf({ view: 'calls', id, call: each.eventId }) },
        svg('title', {}, `${each.eventName}: ${ms(each.latencyMs)}, ${successText(each.success)}`),
        svg(
          'text',
          { class: `name ${isThis ? 'strong' : ''}`, x: 4, y: y + 12 },
          shortened(each.eventName, 32),
        ),
        svg('rect', {
          class: each.success === false ? 'fill-bad' : isThis ? 'fill-arm-2' : 'fill-arm-1',
          x: at,
          y: y + 2,
          width: Math.max(3, end - at),
          height: 13,
          rx: 3,
        }),
      );
    }),
  );
}

interface Sessions {
  readonly ofLast: number;
  readonly isAll: boolean;
  readonly sessions: readonly {
    session: string;
    events: number;
    failed: number;
    costUsd: number;
    tokens: number;
    latencyMs: number;
    firstUs: number;
    lastUs: number;
  }[];
}

function sessionTable(id: string, { ofLast, isAll, sessions }: Sessions): HTMLElement {
  if (sessions.length === 0)
    return h(
      'div',
      { class: 'empty' },
      h('p', {}, 'No event says which session it belongs to (metadata.session_id).'),
    );
  return h(
    'div',
    {},
    h(
      'p',
      { class: 'note' },
      isAll
        ? `Of all ${count(ofLast)} events.`
        : `Of the last ${count(ofLast)} events: sessions that began earlier are not whole.`,
    ),
    h(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Sessions, table' },
      h(
        'table',
        {},
        h('caption', { class: 'unseen' }, 'Sessions'),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            h('th', { scope: 'col' }, 'Session'),
            ...['Events', 'Failed', 'Cost, USD', 'Tokens', 'Latency in all, ms', 'Lasted'].map((name) =>
              h('th', { scope: 'col', class: 'num' }, name),
            ),
            h('th', { scope: 'col' }, 'Last event'),
          ),
        ),
        h(
          'tbody',
          {},
          ...sessions.map((each) =>
            h(
              'tr',
              {},
              h(
                'th',
                { scope: 'row' },
                h(
                  'a',
                  { href: hrefOf({ view: 'calls', id, session: each.session }) },
                  shortened(each.session, 40),
                ),
              ),
              h('td', { class: 'num' }, count(each.events)),
              h('td', { class: `num ${each.failed > 0 ? 'bad' : ''}` }, count(each.failed)),
              h('td', { class: 'num' }, number(each.costUsd)),
              h('td', { class: 'num' }, count(each.tokens)),
              h('td', { class: 'num' }, number(each.latencyMs)),
              h('td', { class: 'num' }, duration((each.lastUs - each.firstUs) / 1e6)),
              h('td', {}, time(each.lastUs)),
            ),
          ),
        ),
      ),
    ),
  );
}
