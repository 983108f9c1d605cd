/** A study: the decision so far first, then what it rests on, then what would invalidate it. */
import { marginMarks } from '../../charts/margin.js';
import { hrefOf } from './address.js';
import { ARMS } from './colours.js';
import { h, replace } from './dom.js';
import { figure, tableElement } from './figure.js';
import { count, iso, number, percent, pText, signed, time } from './format.js';
import { ask } from './live.js';
import { looksOverTime } from './looks.js';
import { trouble } from './parts.js';
import { intervalPlot } from './svg-charts.js';
import type { StudyTold, StudyVerdict, View } from './types.js';

const DECISIONS: Readonly<Record<StudyVerdict['decision'], string>> = {
  better: 'Better',
  worse: 'Worse',
  noninferior: 'Not inferior',
  undecided: 'Undecided',
  invalid: 'Not valid',
};

/** A plan that may be looked at any time is looked at so often while its page is seen, ms. */
const LOOK_AGAIN_MS = 10_000;

export function studiesView(): View {
  const warn = trouble();
  const ended = new AbortController();
  const body = h('div', {}, h('p', { class: 'note' }, 'Reading…'));
  ask<{ studies: StudyTold[] }>('/api/studies', ended.signal).then(
    ({ studies }) =>
      replace(
        body,
        studies.length === 0
          ? h(
              'div',
              { class: 'empty' },
              h('h2', {}, 'No studies yet'),
              h(
                'p',
                {},
                'A study assigns units to arms, and decides by a plan that was written down before.',
              ),
            )
          : h(
              'div',
              { class: 'grid' },
              ...studies.map(({ name, plan, looks }) =>
                h(
                  'section',
                  { class: 'card' },
                  h('h2', {}, h('a', { href: hrefOf({ view: 'study', id: name }) }, name)),
                  h('p', { class: 'note' }, plan.hypothesis ?? 'No hypothesis.'),
                  h('p', {}, `${plan.arms.map((arm) => arm.name).join(' · ')}; unit ${plan.unit}`),
                  h('p', { class: 'note' }, lastLook(looks)),
                ),
              ),
            ),
      ),
    (error: Error) => !ended.signal.aborted && warn.say(error.message),
  );
  return {
    title: 'Studies',
    element: h('div', {}, h('h1', {}, 'Studies'), warn.element, body),
    close: () => ended.abort(),
  };
}

function lastLook(looks: StudyTold['looks']): string {
  const last = looks.at(-1);
  if (last === undefined) return 'Nobody has looked at its verdict yet.';
  return `${count(looks.length)} looks, the last ${time(last.at)}: ${DECISIONS[last.decision as StudyVerdict['decision']] ?? last.decision}.`;
}

export function studyView(params: URLSearchParams): View {
  const name = params.get('id') ?? '';
  const warn = trouble();
  const ended = new AbortController();
  const verdict = h('div', {});
  const course = looksOverTime();
  const rest = h('div', {}, h('p', { class: 'note' }, 'Reading…'));
  const fail = (error: Error) => {
    if (!ended.signal.aborted) warn.say(error.message);
  };

  let timer: ReturnType<typeof setTimeout> | undefined;
  /** @param isAsked - somebody waits for it; otherwise a look of the last seconds, whoever took it, is good enough */
  const look = (told: StudyTold, isAsked: boolean) => {
    clearTimeout(timer);
    if (isAsked) replace(verdict, h('p', { class: 'note', role: 'status' }, 'Comparing…'));
    const within = isAsked ? '' : `?withinMs=${LOOK_AGAIN_MS}`;
    ask<StudyVerdict>(`/api/studies/${encodeURIComponent(name)}/verdict${within}`, ended.signal).then(
      (found) => {
        warn.say(null);
        // What somebody reads or is about to press does not go away under them.
        if (isAsked || !isInUse(verdict))
          replace(verdict, ...verdictElements(found, told, () => look(told, true)));
        course.draw(told.plan, found.looks, found);
        if (told.plan.analysis?.sequential && !found.ended) lookLater(told);
      },
      (error: Error) => {
        fail(error);
        if (!ended.signal.aborted && !isAsked) lookLater(told);
      },
    );
  };
  const lookLater = (told: StudyTold) => {
    timer = setTimeout(() => (document.hidden ? lookLater(told) : look(told, false)), LOOK_AGAIN_MS);
  };

  ask<{ studies: StudyTold[] }>('/api/studies', ended.signal).then(({ studies }) => {
    const told = studies.find((study) => study.name === name);
    if (told === undefined) {
      replace(rest);
      warn.say(`There is no study ${JSON.stringify(name)}.`);
      return;
    }
    replace(rest, ...planElements(told));
    course.draw(told.plan, told.looks, null);
    // A plan that is valid at every look loses nothing by one more; of others the reader decides.
    if (told.plan.analysis?.sequential) look(told, true);
    else
      replace(
        verdict,
        invitation(told, () => look(told, true)),
      );
  }, fail);

  return {
    title: name,
    element: h(
      'div',
      {},
      h('p', { class: 'crumbs' }, h('a', { href: '/?view=studies' }, 'Studies'), ' / ', name),
      h('h1', {}, name),
      h(
        'nav',
        { class: 'tabs', 'aria-label': 'Of this study' },
        h('a', { href: hrefOf({ view: 'scores', study: name }) }, 'Scores'),
      ),
      warn.element,
      verdict,
      course.element,
      rest,
    ),
    close: () => {
      clearTimeout(timer);
      ended.abort();
      course.destroy();
    },
  };
}

/** Whether a table is open there, or the keyboard is. */
function isInUse(element: HTMLElement): boolean {
  return element.contains(document.activeElement) || element.querySelector('[aria-expanded="true"]') !== null;
}

function invitation({ plan, looks }: StudyTold, look: () => void): HTMLElement {
  const { analysis } = plan;
  const when =
    analysis === null
      ? 'This study has no plan: what it shows is exploratory, and decides nothing.'
      : `The plan is for one look, ${
          [
            analysis.unitsPerArm === null ? null : `at ${count(analysis.unitsPerArm)} units an arm`,
            analysis.until === null ? null : `on ${analysis.until}`,
          ]
            .filter(Boolean)
            .join(' or ') || 'at its end'
        }: an earlier one is noted as a deviation.`;
  return h(
    'section',
    { class: 'card verdict' },
    h('h2', {}, 'The verdict has not been looked at here'),
    h('p', {}, `${when} Each look is written down in the study's book. ${lastLook(looks)}`),
    h('button', { type: 'button', onclick: look }, 'Look at the verdict'),
  );
}

function verdictElements(found: StudyVerdict, told: StudyTold, again: () => void): Element[] {
  const {
    decision,
    reasons,
    outcomes,
    arms,
    treatment,
    deviations,
    warnings,
    wouldChange,
    alpha,
    sequential,
  } = found;
  const { analysis } = told.plan;
  const colourOf = (arm: string) =>
    ARMS[told.plan.arms.findIndex((each) => each.name === arm) % ARMS.length] as string;
  const plots = Object.entries(outcomes).map(([key, outcome]) => {
    const factor = outcome.unit === 'share' ? 100 : 1;
    const plot = intervalPlot(
      `${outcome.role}: ${outcome.label}`,
      outcome.unit === 'share' ? 'percentage points' : outcome.unit,
    );
    plot.draw(
      Object.entries(outcome.treatments).map(([arm, each]) => ({
        label: arm,
        colour: colourOf(arm),
        estimate: each.difference === null ? null : each.difference * factor,
        interval:
          each.confidenceInterval === null
            ? null
            : [each.confidenceInterval[0] * factor, each.confidenceInterval[1] * factor],
        text: each.verdict,
      })),
      [{ label: 'no difference', value: 0 }, ...marginMarks(outcome, factor)],
    );
    plot.figure.setNote(
      outcome.reason ??
        `Against ${found.baseline}; ${percent(1 - alpha, 0)} interval, ${sequential === null ? 'for one look' : 'valid at every look'}. p ${pText(outcome.adjustedPValue ?? outcome.pValue)}${outcome.planned ? '' : '. Not in the plan: exploratory'}. ${key}`,
    );
    return plot.figure.element;
  });
  const numbers = figure('All numbers', () => numbersOf(found), 'plain wide');
  replace(numbers.body, tableElement(numbersOf(found), 'All numbers'));
  return [
    h(
      'section',
      { class: `card verdict decision-${decision}` },
      h(
        'p',
        { class: 'label' },
        treatment === null ? 'The decision so far' : `${treatment} against ${found.baseline}`,
      ),
      h('p', { class: 'word' }, DECISIONS[decision]),
      ...reasons.map((reason) => h('p', { class: 'decision' }, reason)),
      h(
        'p',
        { class: 'note' },
        `As of ${time(found.at)}; ${found.method ?? 'no test'}; unit ${found.unit}; α ${alpha}${sequential === null ? '' : `; tightest at ${count(sequential.tuning)}`}. This look is written down.`,
      ),
      h('button', { type: 'button', onclick: again }, 'Look again'),
    ),
    h(
      'section',
      { class: 'card' },
      h('h3', {}, 'Arms, and how far they are'),
      ...Object.entries(arms).map(([arm, each]) =>
        h(
          'div',
          { class: 'arm' },
          h('span', {}, h('span', { class: `swatch fill-${colourOf(arm)}` }), arm),
          h(
            'span',
            { class: 'num' },
            `${count(each.units)}${analysis?.unitsPerArm ? ` of ${count(analysis.unitsPerArm)}` : ''} units, ${count(each.events)} events, ${count(each.processes)} ${each.processes === 1 ? 'process' : 'processes'}`,
          ),
          analysis?.unitsPerArm
            ? h('progress', {
                max: analysis.unitsPerArm,
                value: Math.min(analysis.unitsPerArm, each.units),
                'aria-label': `Units of ${arm}`,
              })
            : null,
        ),
      ),
    ),
    h('div', { class: 'grid' }, ...plots, numbers.element),
    h(
      'section',
      { class: 'card' },
      h('h3', {}, 'What would invalidate it'),
      found.planFollowed && warnings.length === 0
        ? h('p', {}, '✓ The plan was followed, and nothing was found that speaks against it.')
        : null,
      h(
        'ul',
        { class: 'warnings' },
        ...deviations.map(({ message }) => h('li', {}, `Deviation from the plan: ${message}`)),
        ...warnings.map(({ arm, message }) => h('li', {}, `${arm}: ${message}`)),
      ),
      wouldChange.length === 0 ? null : h('h3', {}, 'What would change it'),
      h('ul', {}, ...wouldChange.map((text) => h('li', {}, text))),
      h('p', { class: 'note' }, `Assumptions: ${found.assumptions.join('; ') || 'none beyond the design'}.`),
    ),
  ];
}

function numbersOf({ outcomes }: StudyVerdict) {
  return {
    columns: [
      'outcome',
      'role',
      'arm',
      'unit',
      'baseline',
      'n',
      'arm value',
      'n ',
      'difference',
      'from',
      'to',
      'p',
    ],
    rows: Object.values(outcomes).flatMap(({ label, role, treatments }) =>
      Object.entries(treatments).map(([arm, each]) => [
        label,
        role,
        arm,
        each.unit,
        number(each.baseline.estimate),
        count(each.baseline.n),
        number(each.treatment.estimate),
        count(each.treatment.n),
        signed(each.difference),
        signed(each.confidenceInterval?.[0]),
        signed(each.confidenceInterval?.[1]),
        pText(each.adjustedPValue ?? each.pValue),
      ]),
    ),
  };
}

function planElements({ plan, planHash, plannedAt, folder, contributions, looks }: StudyTold): Element[] {
  const { analysis } = plan;
  const facts: (string | null)[][] = [
    ['hypothesis', plan.hypothesis],
    ['planned', `${time(plannedAt)} (${iso(plannedAt)})`],
    ['plan, SHA-256', planHash],
    ['kept', folder ?? 'in memory only'],
    ['arms', plan.arms.map(({ name, weight }) => `${name} (weight ${weight})`).join(', ')],
    ['unit', plan.unit],
    ...(analysis === null
      ? [['plan', 'none: exploratory']]
      : [
          ['outcomes', analysis.outcomes.map((outcome) => JSON.stringify(outcome)).join(' ')],
          ['α', String(analysis.alpha)],
          [
            'looks',
            analysis.sequential === null
              ? 'one'
              : `any number, tightest at ${count(analysis.sequential.tuning)}`,
          ],
          ['units per arm', count(analysis.unitsPerArm)],
          ['until', analysis.until],
        ]),
  ];
  const looked = figure(
    'Looks',
    () => ({
      columns: ['time (UTC)', 'events', 'units', 'decision', 'deviations', 'by'],
      rows: looks.map(({ at, events, units, decision, deviations, pid, host }) => [
        iso(at),
        events,
        units,
        decision,
        deviations.join(', '),
        `${pid}${host === null ? '' : ` on ${host}`}`,
      ]),
    }),
    'plain',
  );
  replace(
    looked.body,
    looks.length === 0
      ? h('p', { class: 'nothing' }, 'Nobody has looked yet.')
      : tableElement(
          {
            columns: ['time', 'events', 'units', 'decision', 'deviations'],
            rows: looks.map((each) => [
              time(each.at),
              each.events,
              each.units,
              each.decision,
              each.deviations.join(', '),
            ]),
          },
          'Looks',
        ),
  );
  return [
    h(
      'div',
      { class: 'grid' },
      h(
        'section',
        { class: 'card' },
        h('h3', {}, 'The plan'),
        tableElement({ columns: ['', ''], rows: facts }, 'The plan'),
      ),
      looked.element,
    ),
    h(
      'section',
      { class: 'card' },
      h('h3', {}, 'Experiments that take part'),
      h(
        'ul',
        {},
        ...contributions
          .filter(({ started }) => started)
          .map(({ arm, experiment, pid, host }) =>
            h(
              'li',
              {},
              h('a', { href: hrefOf({ view: 'experiment', id: experiment }) }, `${arm} · ${experiment}`),
              ` by process ${pid}${host === null ? '' : ` on ${host}`}`,
            ),
          ),
      ),
    ),
  ];
}
