/** What application.js prints, wherever it runs, beside the version. */

const ROWS = 20_001;
/** Those that are exported to all formats, and imported again. */
const FEW = 2_500;

export const EXPECTED = {
  median: 2,
  durable: ROWS,
  metrics: ROWS,
  csv: [FEW, FEW],
  jsonl: [FEW, FEW],
  msgpack: [FEW, FEW],
  parquet: [FEW, FEW],
  arrow: [FEW, FEW],
  streamed: true,
  error: ['ConfigError', 'ERR_CONFIG_INVALID', true, 'ConfigError'],
  compacted: 1,
  recovered: ROWS,
};
