// Start an experiment, capture, look at the numbers, export them. Usage: node quick-start.js [EXPORT_DIR]
import { Crucible, telemetry } from 'crucible-telemetry';

const crucible = new Crucible();
const experiment = crucible.startExperiment({ name: 'quick-start', hypothesis: 'It just works' });

const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4', provider: 'openai' });
recorder.record(112.5, 0.004, 120, 45, true);
const span = recorder.start();
span.stop({ costUsd: 0.002, promptTokens: 60, completionTokens: 20 });
telemetry.span('altar.tool', { tool: 'search' }, () => 'found');

const { summary, cost, reliability } = await experiment.metrics();
console.log(`${summary.totalEvents} events, $${cost.total}, success rate ${reliability.successRate}`);
const { path, rows } = await experiment.export('csv', { dir: process.argv[2] ?? 'exports' });
console.log(`${rows} rows in ${path}`);
await crucible.close();
