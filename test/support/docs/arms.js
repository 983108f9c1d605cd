/** Experiments that the documentation's examples can be run on: of both outcomes, several models, users and columns. */
import { writeFileSync } from 'node:fs';

const COLUMNS = /** @type {const} */ ({
  score: 'f64',
  grounded: 'bool',
  ttftMs: 'f64',
  region: 'dict',
  language: 'dict',
  isLong: 'bool',
});

/**
 * Two arms of 200 calls each.
 * @param {import('../../../src/index.js').Crucible} crucible
 * @param {{ ids?: readonly string[], dir?: string }} [options]
 */
export function fill(crucible, { ids, dir } = {}) {
  return ['control', 'treatment'].map((condition, arm) => {
    const experiment = crucible.startExperiment({
      ...{ name: condition, condition, columns: COLUMNS },
      ...(ids && { id: ids[arm] }),
      ...(dir && { dir }),
    });
    for (let i = 0; i < 200; i++) {
      experiment.capture(
        'req_llm.request.stop',
        { durationMs: 500 + ((i * 37) % 400) - arm * 30 },
        {
          model: i % 3 === 0 ? 'gpt-4' : 'gpt-3.5-turbo',
          provider: 'openai',
          tokens: { prompt: 100 + (i % 7), completion: 50 },
          success: i % 20 !== 0,
          ...{ userId: `u${i % 60}`, sessionId: `s${i % 50}`, sampleId: `q${i % 40}`, responseId: `r${i}` },
          ...{ score: ((i * 13) % 100) / 100, grounded: i % 4 !== 0, ttftMs: 100 + (i % 90), retries: i % 3 },
          ...{ region: i % 2 ? 'eu' : 'us', language: i % 3 ? 'en' : 'de', isLong: i % 5 === 0 },
        },
      );
    }
    return experiment;
  });
}

/** A file of calls as others have them. @param {string} path */
export function importable(path) {
  const rows = Array.from(
    { length: 40 },
    (_, i) => `2026-01-01T00:00:${String(i).padStart(2, '0')}Z,${0.2 + i / 100},gpt-4,${i % 2 ? 'a' : 'b'}`,
  );
  writeFileSync(path, ['timestamp,end_to_end_latency_s,model,variant', ...rows, ''].join('\n'));
}
