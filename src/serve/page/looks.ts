/** The primary outcome as each look has seen it: its p and its interval over time. */
import { marginMarks } from '../../charts/margin.js';
import { h } from './dom.js';
import { count } from './format.js';
import { type TimeChart, timeChart, type Values } from './time-chart.js';
import type { StudyTold, StudyVerdict } from './types.js';

type Looks = StudyTold['looks'];

export interface LooksOverTime {
  readonly element: HTMLElement;
  /** @param verdict - the look that is not among the others yet, if there is one */
  draw(plan: StudyTold['plan'], looks: Looks, verdict: StudyVerdict | null): void;
  destroy(): void;
}

interface Point {
  readonly at: number;
  readonly difference: number | null;
  readonly interval: readonly [number, number] | null;
  readonly p: number | null;
}

export function looksOverTime(): LooksOverTime {
  const element = h('div', { class: 'grid' });
  let charts: { readonly p: TimeChart; readonly difference: TimeChart } | undefined;
  return {
    element,
    draw({ analysis }, looks, verdict) {
      const now = verdict === null ? null : primaryOf(verdict);
      const last = looks.findLast(({ primary }) => primary !== null)?.primary;
      const unit = now?.unit ?? last?.unit;
      if (analysis === null || unit === undefined) return;
      const treatment = verdict?.treatment ?? last?.treatment;
      const factor = unit === 'share' ? 100 : 1;
      const points = pointsOf(looks, treatment, factor);
      if (verdict !== null && now !== null && isAsPlanned(verdict.deviations.map(({ code }) => code))) {
        points.push(pointOf(verdict.at, { ...now, pValue: now.adjustedPValue ?? now.pValue }, factor));
      }
      if (points.length === 0) return;
      if (charts === undefined) {
        const isSequential = analysis.sequential !== null;
        charts = {
          p: timeChart({
            title: isSequential ? 'p, valid at every look' : 'p at each look',
            unit: 'probability',
            lines: [
              { label: 'p', colour: 'arm-2' },
              { label: 'α', colour: 'ink-2', dash: [5, 4] },
            ],
            top: 1,
          }),
          difference: timeChart({
            title: `Primary outcome: ${treatment} less the baseline`,
            unit: unit === 'share' ? 'percentage points' : unit,
            lines: [
              { label: 'to', colour: 'arm-2', edge: true, bandTo: 1 },
              { label: 'from', colour: 'arm-2', edge: true },
              { label: 'difference', colour: 'arm-2' },
              { label: 'no difference', colour: 'ink-2', dash: [5, 4] },
              ...(now !== null && marginMarks(now, factor).length > 0
                ? [{ label: 'margin', colour: 'bad', dash: [2, 3] }]
                : []),
            ],
            isSigned: true,
          }),
        };
        element.replaceChildren(charts.p.figure.element, charts.difference.figure.element);
      }
      const xs = points.map(({ at }) => at / 1e6);
      const constant = (value: number | null): Values => points.map(() => value);
      charts.p.draw(xs, [points.map(({ p }) => p), constant(analysis.alpha)]);
      charts.difference.draw(xs, [
        points.map(({ interval }) => interval?.[1] ?? null),
        points.map(({ interval }) => interval?.[0] ?? null),
        points.map(({ difference }) => difference),
        constant(0),
        ...(now === null ? [] : marginMarks(now, factor).map(({ value }) => constant(value))),
      ]);
      const planned = plannedLooks(analysis);
      charts.p.figure.setNote(`${count(points.length)} looks as planned. ${planned}`);
      charts.difference.figure.setNote(
        `With the interval as each look has seen it${analysis.sequential === null ? ', which holds for one look' : ': all of them hold together'}.`,
      );
    },
    destroy() {
      charts?.p.destroy();
      charts?.difference.destroy();
    },
  };
}

function primaryOf({ outcomes }: StudyVerdict) {
  return Object.values(outcomes).find(({ role }) => role === 'primary') ?? null;
}

function plannedLooks({
  sequential,
  unitsPerArm,
  until,
}: NonNullable<StudyTold['plan']['analysis']>): string {
  const end = [
    unitsPerArm === null ? null : `at ${count(unitsPerArm)} units an arm`,
    until === null ? null : `on ${until}`,
  ]
    .filter(Boolean)
    .join(' or ');
  if (sequential === null) return `One is planned, ${end || 'at the end'}.`;
  return `Any number is planned${end === '' ? '' : `, the last ${end}`}; tightest at ${count(sequential.tuning)}.`;
}

/** Another filter or outcome is another question: its p is none of this course. */
function isAsPlanned(deviations: readonly string[]): boolean {
  return !deviations.some((code) => code.startsWith('changed'));
}

function pointsOf(looks: Looks, treatment: string | undefined, factor: number): Point[] {
  return looks.flatMap(({ at, primary, deviations }) =>
    primary !== null && primary.treatment === treatment && isAsPlanned(deviations)
      ? [pointOf(at, primary, factor)]
      : [],
  );
}

function pointOf(
  at: number,
  primary: {
    readonly difference: number | null;
    readonly confidenceInterval: readonly [number, number] | null;
    readonly pValue: number | null;
  },
  factor: number,
): Point {
  const { difference, confidenceInterval, pValue } = primary;
  return {
    at,
    difference: difference === null ? null : difference * factor,
    interval:
      confidenceInterval === null ? null : [confidenceInterval[0] * factor, confidenceInterval[1] * factor],
    p: pValue,
  };
}
