/** Progress of long work: a bar at a terminal, nothing in a pipe. */

import { LiveRegion } from './live-region.js';
import { formatDuration, formatNumber, formatShare } from './numbers.js';
import { type TextStream, widthOf } from './stream.js';
import type { Style } from './style.js';
import { displayWidth, padStart } from './width.js';

export interface ProgressState {
  label: string;
  done: number;
  /** Null while nobody knows: then there is a count and a rate, but no bar and no time left. */
  total: number | null;
  elapsedMs: number;
  /** How to write an amount; bytes, for instance. Plain counts by default. */
  format?: (amount: number) => string;
  /** What else there is to say of what is done. */
  detail?: string;
}

const MAX_BAR = 40;
const MIN_BAR = 8;

/** One line: label, bar, done/total, percent, detail, rate, time left; the bar takes what the rest leaves. */
export function progressLine(state: ProgressState, width: number, style: Style): string {
  const { label, done, total, elapsedMs, format = formatAmount, detail = '' } = state;
  const perSecond = elapsedMs > 0 ? (done / elapsedMs) * 1000 : null;
  const rate = perSecond === null || done === 0 ? '' : `${format(perSecond)}/s`;
  if (total === null) return [label, format(done), detail, rate].filter((part) => part !== '').join('  ');

  const share = total > 0 ? Math.min(1, done / total) : 1;
  const amount = `${padStart(format(done), displayWidth(format(total)))}/${format(total)}`;
  const percent = `${padStart(formatShare(share, 0), 3)} %`;
  const timeLeft =
    done >= total || perSecond === null || done === 0
      ? ''
      : `ETA ${formatDuration(((total - done) / perSecond) * 1000)}`;
  const rest = [amount, percent, detail, rate, timeLeft].filter((part) => part !== '').join('  ');
  const barWidth = Math.min(MAX_BAR, width - displayWidth(label) - displayWidth(rest) - 4);
  const bar = barWidth < MIN_BAR ? '' : `${progressBar(share, barWidth, style)}  `;
  return `${label}  ${bar}${rest}`;
}

/** A count as it is; a rate below ten, which need not be whole, with a tenth. */
function formatAmount(amount: number): string {
  return formatNumber(amount, Number.isInteger(amount) || amount >= 10 ? 0 : 1);
}

export function progressBar(share: number, width: number, style: Style): string {
  const full = Math.floor(share * width);
  return style.cyan('━'.repeat(full)) + style.dim('─'.repeat(width - full));
}

const REDRAW_MS = 100;

/** A progress bar for work that reports how far it is. Draws on a terminal only, ten times a second at most. */
export class Progress {
  private readonly region: LiveRegion | null;
  private readonly startedMs: number;
  private drawnMs = Number.NEGATIVE_INFINITY;
  private readonly stream: TextStream;
  private readonly style: Style;
  private readonly nowMs: () => number;

  constructor(stream: TextStream, style: Style, live: boolean, nowMs: () => number) {
    this.stream = stream;
    this.style = style;
    this.nowMs = nowMs;
    this.startedMs = nowMs();
    this.region = live ? new LiveRegion(stream) : null;
  }

  update(state: Omit<ProgressState, 'elapsedMs'>): void {
    const now = this.nowMs();
    if (this.region === null || now - this.drawnMs < REDRAW_MS) return;
    this.drawnMs = now;
    // The region leaves the last column free.
    const width = widthOf(this.stream) - 1;
    const line = progressLine({ ...state, elapsedMs: now - this.startedMs }, width, this.style);
    this.region.draw([line]);
  }

  close(): void {
    this.region?.close();
  }
}
