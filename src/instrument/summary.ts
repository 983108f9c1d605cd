/** What was captured, in a few lines. */
import type { Experiment } from '../experiment/experiment.js';

/** Of the calls of models, by model; empty where there were none. */
export function summaryOf(experiment: Experiment): string {
  const { captured, dropped } = experiment.counts;
  const { recorders } = experiment.streamingMetrics();
  const lines = [`crucible: ${captured} events in experiment ${experiment.name} (${experiment.id})`];
  for (const { event, model, latency, cost, reliability } of recorders) {
    if (event.endsWith('.start')) continue;
    const parts = [`${reliability.totalRequests} calls`, `${reliability.failed} failed`];
    if (latency.mean !== null) parts.push(`mean ${latency.mean.toFixed(1)} ms`);
    if (cost.total > 0) parts.push(`${cost.total.toFixed(4)} USD`);
    lines.push(`  ${event}  ${model ?? '(no model)'}  ${parts.join('  ')}`);
  }
  if (dropped > 0) lines.push(`  ${dropped} events were dropped`);
  return lines.join('\n');
}
