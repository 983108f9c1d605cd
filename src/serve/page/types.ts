/** What the server sends, as its modules declare it. */
export type { Comparison, MetricComparison, Metrics, StreamingGroup } from '../../analysis/types.js';
export type { EventRow } from '../../schema/event.js';
export type { StudyVerdict } from '../../study/verdict.js';
export type { Figures } from '../follower.js';
export type { Descriptor, StudyTold } from '../protocol.js';
export type { ScoresTold, ScoreTold } from '../scores.js';
export type { SeriesPoint } from '../series.js';
export type { ListState } from '../sources.js';

import type { Figures } from '../follower.js';
import type { Descriptor } from '../protocol.js';
import type { SeriesPoint } from '../series.js';

export interface ExperimentChange {
  readonly descriptor?: Descriptor;
  readonly figures: Figures;
  readonly series: {
    readonly intervalUs: number;
    readonly isWhole: boolean;
    readonly points: readonly SeriesPoint[];
  };
}

/** A part of the page. */
export interface View {
  readonly title: string;
  readonly element: HTMLElement;
  close(): void;
}
