// Import measurements from a CSV file and print what they add up to. Usage: node import-csv.js [FILE]
import { fileURLToPath } from 'node:url';
import { Crucible } from 'crucible-telemetry';

const file = process.argv[2] ?? fileURLToPath(new URL('requests.csv', import.meta.url));
const crucible = new Crucible();
const experiment = crucible.startExperiment({ name: 'llama', events: [] });

const imported = await experiment.importFile(file, {
  event: 'req_llm.request.stop',
  map: {
    timestamp: 'timestamp',
    latencyMs: 'end_to_end_latency_s * 1000',
    model: 'model_name',
    promptTokens: 'number_input_tokens',
    completionTokens: 'number_output_tokens',
    success: 'error_code == null',
  },
});
console.log(`${imported.rows} rows imported, ${imported.malformed} malformed`);

const { summary, latency, tokens, reliability } = await experiment.metrics();
console.log(`${summary.durationSeconds} s, latency p50 ${latency.p50} ms, p99 ${latency.p99?.toFixed(1)} ms`);
console.log(`${tokens.total} tokens, success rate ${reliability.successRate}`);
await crucible.close();
