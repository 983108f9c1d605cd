/** The size of a study as text, with the chance to find the effect at other sizes. */

import type { Pilot, StudySize } from '../../index.js';
import { bar } from '../terminal/bar.js';
import { formatCount, formatNumber } from '../terminal/numbers.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { visible } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import type { ReportOptions } from './measures.js';

const BAR_WIDTH = 40;

export function sizeLines(
  size: StudySize,
  pilot: Pilot | null,
  { metric, unit }: { metric: string | null; unit: string },
  options: ReportOptions,
): string[] {
  const { bold, dim } = options.style;
  const { unitsPerArm, units, days, power, effect, alpha, alphaEach, method, assumptions, curve, reason } =
    size;
  const told = (text: string, first = '') => wrap(visible(text), options.width, first, first);
  const shown = (value: number) => Number(value.toPrecision(4)).toString();
  if (unitsPerArm === null) return told(reason ?? 'no study is large enough');
  const events = pilot === null ? size.events! : Math.ceil(units! * pilot.eventsPerUnit);
  return [
    bold(
      `${unitsPerArm.map((count) => formatNumber(count)).join(' + ')} units${days === null ? '' : `, ${formatCount(days, 'day')}`}`,
    ),
    ...told(
      `find a difference of ${shown(Math.abs(effect))} with ${shown(power * 100)} % power, at alpha ${alpha}` +
        `${alphaEach === alpha ? '' : ` (${shown(alphaEach)} for each treatment)`}, in about ${formatCount(events, 'event')}.`,
      '  ',
    ),
    ...(size.unitsHalf === null
      ? []
      : told(
          `Looked at all the while, half of such studies have found it by ${formatCount(size.unitsHalf, 'unit')}: sequential: { tuning: ${size.tuning} }.`,
          '  ',
        )),
    ...(pilot === null
      ? []
      : told(
          `From ${formatCount(pilot.units, 'unit')} (${unit}) and ${formatCount(pilot.events, 'event')} of ${metric}: mean ${shown(pilot.mean)}, standard deviation between units ${shown(pilot.stdDev)}, ${shown(pilot.eventsPerUnit)} events a unit${pilot.unitsPerDay === null ? '' : `, ${shown(pilot.unitsPerDay)} units a day`}.`,
          '  ',
        )),
    '',
    ...curveLines(curve, units!, options),
    '',
    ...told(`${method}; ${assumptions.join('; ')}.`).map(dim),
  ];
}

function curveLines(curve: StudySize['curve'], units: number, options: ReportOptions): string[] {
  const columns: TableColumn[] = [
    { header: 'units', align: 'right' },
    { header: 'power, %', align: 'right' },
    { header: '', align: 'left', isDrawing: true, shrinks: true },
  ];
  const all = [...curve, { units, power: Number.NaN }].sort((a, b) => a.units - b.units);
  const rows = all
    .filter(({ power }) => !Number.isNaN(power))
    .map(({ units: at, power }) => [formatNumber(at), formatNumber(power * 100, 1), bar(power, BAR_WIDTH)]);
  return tableLines(columns, rows, { ...options, gap: 2 });
}
