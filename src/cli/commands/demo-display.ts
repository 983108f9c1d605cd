/** What the demo shows while it runs: both arms redrawn in place at a terminal, else a line now and then. */

import type { DemoCounts } from '../../demo/run.js';
import type { CommandContext } from '../command.js';
import type { LibraryExperiment } from '../library.js';
import { LatencyTrend, type LiveArm, liveLines, progressLogLine } from '../report/live.js';
import { LiveRegion } from '../terminal/live-region.js';
import { widthOf } from '../terminal/stream.js';
import { printable } from '../terminal/text.js';

const REDRAW_MS = 200;
const LOG_EVERY_MS = 4000;
/** A point of the latency trend covers this many redraws. */
const REDRAWS_A_POINT = 4;

const ARMS = ['control', 'treatment'] as const;

type DisplayContext = Pick<CommandContext, 'stderr' | 'style' | 'live' | 'nowMs'>;

export class DemoDisplay {
  private readonly context: DisplayContext;
  private readonly arms: Record<keyof DemoCounts, LibraryExperiment>;
  private readonly target: number;
  private readonly trends = { control: new LatencyTrend(), treatment: new LatencyTrend() };
  private readonly region: LiveRegion;
  private readonly startedMs: number;
  private counts: DemoCounts | null = null;
  private redraws = 0;
  private timer: NodeJS.Timeout | undefined;

  /** @param target - questions an arm */
  constructor(context: DisplayContext, arms: Record<keyof DemoCounts, LibraryExperiment>, target: number) {
    this.context = context;
    this.arms = arms;
    this.target = target;
    this.region = new LiveRegion(context.stderr);
    this.startedMs = context.nowMs();
  }

  update(counts: DemoCounts): void {
    this.counts = counts;
  }

  start(): void {
    this.timer = this.context.live
      ? setInterval(() => this.redraw(), REDRAW_MS)
      : setInterval(() => this.log(), LOG_EVERY_MS);
  }

  close(): void {
    clearInterval(this.timer);
    this.region.close();
  }

  redraw(): void {
    if (this.redraws++ % REDRAWS_A_POINT === 0) {
      for (const arm of ARMS) this.trends[arm].observe(this.arms[arm].streamingMetrics().latency);
    }
    const { style, stderr } = this.context;
    this.region.draw(liveLines(this.view(), this.elapsedMs(), { style, width: widthOf(stderr) }));
  }

  log(): void {
    this.context.stderr.write(`${printable(progressLogLine(this.view(), this.elapsedMs()))}\n`);
  }

  private view(): LiveArm[] {
    return ARMS.map((arm) => ({
      name: this.arms[arm].name,
      done: this.counts?.[arm].finished ?? 0,
      target: this.target,
      streaming: this.arms[arm].streamingMetrics(),
      trend: this.trends[arm].means,
      storage: storageOf(this.arms[arm]),
    }));
  }

  private elapsedMs(): number {
    return this.context.nowMs() - this.startedMs;
  }
}

function storageOf({ counts, storage }: LibraryExperiment): LiveArm['storage'] {
  return storage && { captured: counts.captured, durable: storage.durable, error: storage.error };
}
