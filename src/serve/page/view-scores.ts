/** Scores of one experiment, or of all that take part in a study: by judge, and where judges disagree. */
import { hrefOf } from './address.js';
import { h, replace } from './dom.js';
import { figure, type Table, tableElement } from './figure.js';
import { count, number, percent, signed, UNKNOWN } from './format.js';
import { ask } from './live.js';
import { tabs, trouble } from './parts.js';
import { intervalPlot } from './svg-charts.js';
import type { ScoresTold, ScoreTold, View } from './types.js';

const judge = (by: string | null) => by ?? '(nobody named)';

/** Of an experiment by `id`, of a study by `study`. */
export function scoresView(params: URLSearchParams): View {
  const id = params.get('id') ?? '';
  const study = params.get('study');
  const warn = trouble();
  const ended = new AbortController();
  const body = h('div', {}, h('p', { class: 'note' }, 'Reading…'));
  const path =
    study === null
      ? `/api/experiments/${encodeURIComponent(id)}/scores`
      : `/api/studies/${encodeURIComponent(study)}/scores`;
  ask<ScoresTold>(path, ended.signal).then(
    ({ names, otherNames }) => {
      replace(
        body,
        ...(names.length === 0 ? [empty()] : names.flatMap(scoreElements)),
        otherNames === 0
          ? null
          : h('p', { class: 'note' }, `${count(otherNames)} more names of scores are not shown.`),
      );
    },
    (error: Error) => {
      if (ended.signal.aborted) return;
      replace(body);
      warn.say(error.message);
    },
  );
  const [above, aboveHref] =
    study === null ? ['Experiments', '/'] : [study, hrefOf({ view: 'study', id: study })];
  return {
    title: `${study ?? id}: scores`,
    element: h(
      'div',
      {},
      h('p', { class: 'crumbs' }, h('a', { href: aboveHref }, above), ' / ', study === null ? id : 'scores'),
      h('h1', {}, 'Scores'),
      study === null ? tabs(id, 'scores') : null,
      warn.element,
      body,
    ),
    close: () => ended.abort(),
  };
}

function empty(): HTMLElement {
  return h(
    'div',
    { class: 'empty' },
    h('h2', {}, 'No scores yet'),
    h('p', {}, 'experiment.score(…) and crucible score write what judges, tests and people find out.'),
  );
}

function scoreElements({ report, isCut, arms, disagreements }: ScoreTold): Element[] {
  const { name, level, items, judges, alpha, pairs } = report;
  const isFlag = level === 'nominal';
  const value = (mean: number) => (isFlag ? percent(mean, 1) : number(mean, 3));
  const agreement =
    alpha === null || alpha.estimate === null
      ? 'Nothing was scored by two judges, so nothing is known of their agreement.'
      : `Krippendorff's α ${number(alpha.estimate, 3)}${alpha.confidenceInterval === null ? '' : ` (95 % interval ${alpha.confidenceInterval.map((bound) => number(bound, 3)).join(' to ')})`}, of ${count(alpha.items)} things with two scores or more.`;
  const elements: Element[] = [
    tableFigure('By judge', {
      columns: ['judge', 'scores', isFlag ? 'share of yes' : 'mean'],
      rows: judges.map(({ by, scores, mean }) => [judge(by), count(scores), value(mean)]),
    }),
  ];
  if (arms.length > 0) {
    elements.push(
      tableFigure('By arm and judge', {
        columns: ['arm', 'judge', 'scores', isFlag ? 'share of yes' : 'mean'],
        rows: arms.map(({ arm, by, scores, mean }) => [arm, judge(by), count(scores), value(mean)]),
      }),
    );
  }
  if (pairs.length > 0) {
    const bias = intervalPlot('Second judge less the first', isFlag ? 'percentage points' : 'points');
    const factor = isFlag ? 100 : 1;
    bias.draw(
      pairs.map((pair) => ({
        label: `${judge(pair.b)} − ${judge(pair.a)}`,
        colour: 'arm-1',
        estimate: pair.bias === null ? null : pair.bias.estimate * factor,
        interval: pair.bias?.confidenceInterval
          ? [pair.bias.confidenceInterval[0] * factor, pair.bias.confidenceInterval[1] * factor]
          : null,
        text: `${count(pair.items)} things`,
      })),
      [{ label: 'no difference', value: 0 }],
    );
    bias.figure.setNote('What the second judge adds on average, with its 95 % interval.');
    elements.push(bias.figure.element, tableFigure('Agreement', pairsTable(pairs, isFlag), 'None.', 'wide'));
  }
  const apart: Table = {
    columns: ['of', 'spread', 'scores', 'experiment'],
    rows: disagreements.map(({ key, id, spread, values, experiment }) => [
      `${key} ${id}`,
      number(spread, 3),
      values
        .map(
          ({ by, value: given, comment }) =>
            `${judge(by)}: ${given}${comment === null ? '' : ` (${comment})`}`,
        )
        .join('; '),
      experiment,
    ]),
  };
  return [
    h(
      'section',
      { class: 'card' },
      h('h2', {}, name),
      h('p', {}, `${count(items)} things were scored. ${agreement}`),
      isCut
        ? h('p', { class: 'notice' }, 'Only the newest 50,000 scores of this name are in these figures.')
        : null,
    ),
    h('div', { class: 'grid' }, ...elements),
    pairs.length === 0
      ? h('span', {})
      : tableFigure(`Where judges of ${name} disagree most`, apart, 'None does.'),
  ];
}

function pairsTable(pairs: ScoreTold['report']['pairs'], isFlag: boolean): Table {
  return {
    columns: [
      'first',
      'second',
      'both scored',
      'agree',
      'κ',
      'second − first',
      ...(isFlag ? ['sensitivity', 'specificity'] : ['rank correlation']),
    ],
    rows: pairs.map(({ a, b, items, agreement, kappa, bias, correlation, sensitivity, specificity }) => [
      judge(a),
      judge(b),
      count(items),
      // JSON has no NaN: what nobody shares has no agreement.
      items === 0 ? UNKNOWN : percent(agreement, 1),
      number(kappa?.estimate, 3),
      signed(bias?.estimate),
      ...(isFlag
        ? [number(sensitivity?.estimate, 3), number(specificity?.estimate, 3)]
        : [number(correlation, 3)]),
    ]),
  };
}

function tableFigure(title: string, table: Table, otherwise = 'None.', className = ''): HTMLElement {
  const shown = figure(title, () => table, `plain ${className}`);
  replace(
    shown.body,
    table.rows.length === 0 ? h('p', { class: 'nothing' }, otherwise) : tableElement(table, title),
  );
  return shown.element;
}
