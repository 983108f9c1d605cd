/** Words and numbers that say whether something succeeded. */

/** In any case; spaces and dashes are underscores. */
export const SUCCESS_WORDS: readonly string[] = [
  ...['ok', 'okay', 'success', 'successful', 'succeeded', 'completed', 'complete', 'done', 'pass', 'passed'],
  'status_code_ok',
];
export const FAILURE_WORDS: readonly string[] = [
  ...[
    'error',
    'errored',
    'fail',
    'failed',
    'failure',
    'timeout',
    'timed_out',
    'timedout',
    'cancelled',
    'canceled',
  ],
  ...['aborted', 'rejected', 'exception', 'crashed', 'status_code_error'],
];

const WORDS: ReadonlyMap<string, boolean> = new Map([
  ...SUCCESS_WORDS.map((word) => [word, true] as const),
  ...FAILURE_WORDS.map((word) => [word, false] as const),
]);

/** Null for a text that says neither. */
export function outcomeOfWord(text: string): boolean | null {
  return (
    WORDS.get(text) ??
    WORDS.get(
      text
        .trim()
        .toLowerCase()
        .replaceAll(/[\s-]+/g, '_'),
    ) ??
    null
  );
}

/** An HTTP status from 200 to 599, as a number or its text: below 400 is success. Null for what is none. */
export function outcomeOfHttpStatus(value: unknown): boolean | null {
  const code = httpStatusOf(value);
  return code !== null && code >= 200 ? code < 400 : null;
}

/** Whether the value may be an HTTP status, informational ones included. */
export function isHttpStatus(value: unknown): boolean {
  return httpStatusOf(value) !== null;
}

function httpStatusOf(value: unknown): number | null {
  const code = typeof value === 'string' && /^[1-5]\d\d$/.test(value) ? Number(value) : value;
  return typeof code === 'number' && Number.isInteger(code) && code >= 100 && code < 600 ? code : null;
}
