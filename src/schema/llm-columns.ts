/** What is known of a call of a model beside its latency, cost and tokens, as typed columns. */
import type { ColumnType } from './columns.js';

/** Columns of `req_llm.request.*` in the experiments that instrumentation starts. */
export const LLM_COLUMNS: Readonly<Record<string, ColumnType>> = {
  /** Time to the first piece of a streamed answer, ms. */
  ttftMs: 'f64',
  /** Of the prompt, and of the completion. */
  cachedTokens: 'i32',
  cacheWriteTokens: 'i32',
  reasoningTokens: 'i32',
  finishReason: 'dict',
  /** ok, error, aborted, abandoned or incomplete. */
  outcome: 'dict',
  operation: 'dict',
  statusCode: 'i32',
  attempts: 'i32',
  stream: 'bool',
};
