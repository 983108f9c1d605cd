/** What is read of a request: of its headers the count of attempts and their deadline, of its body the model. */

/** A request as the tap sees it. */
export interface Sent {
  readonly url: string;
  readonly method: string;
  /** Null where it is no text, or stands in a Request, whose body can be read only once. */
  readonly body: string | null;
  readonly signal: AbortSignal | null;
  /** Attempts before this one, where the SDK counts them. */
  readonly retry: number | null;
  /** Its SDK makes the same request again for another attempt, and counts nowhere. */
  readonly isRepeated: boolean;
  /** After so long the SDK itself aborts the attempt; infinite where it does not say. */
  readonly timeoutMs: number;
}

/** The SDKs of OpenAI and Anthropic count attempts there, and tell in whole seconds how long one may take. */
const RETRY_HEADER = 'x-stainless-retry-count';
const TIMEOUT_HEADER = 'x-stainless-timeout';
/** Of the AI SDK 5 and 6; what 7 repeats, its integration tells. */
const REPEATING = 'ai-sdk/';

export function sent([input, init]: Parameters<typeof fetch>): Sent {
  const request = typeof input === 'object' && 'url' in input ? input : null;
  const headers = init?.headers ?? request?.headers;
  const retry = headerOf(headers, RETRY_HEADER);
  const timeoutS = retry === null ? null : headerOf(headers, TIMEOUT_HEADER);
  return {
    url: request?.url ?? String(input),
    method: (init?.method ?? request?.method ?? 'GET').toUpperCase(),
    body: typeof init?.body === 'string' ? init.body : null,
    signal: init?.signal ?? request?.signal ?? null,
    retry: retry === null ? null : Number(retry),
    isRepeated: retry === null && headerOf(headers, 'user-agent')?.includes(REPEATING) === true,
    timeoutMs: Number(timeoutS) > 0 ? Number(timeoutS) * 1000 : Number.POSITIVE_INFINITY,
  };
}

function headerOf(headers: unknown, name: string): string | null {
  if (typeof headers !== 'object' || headers === null) return null;
  if (headers instanceof Headers) return headers.get(name);
  const entries = Array.isArray(headers) ? (headers as [string, string][]) : Object.entries(headers);
  const found = entries.find(([key]) => key.length === name.length && key.toLowerCase() === name);
  return found === undefined ? null : String(found[1]);
}

/** A name with its model; quotes inside of texts are escaped, so that it stands in none. */
const NAME = '"model"';
const MODEL = /"model"\s*:\s*"((?:[^"\\]|\\.){1,200})"/y;

/** The model that a body of JSON names. */
export function modelIn(body: string | null): string | null {
  if (body === null || !body.startsWith('{')) return null;
  let found: string | null = null;
  for (let at = body.indexOf(NAME); at >= 0; at = body.indexOf(NAME, at + NAME.length)) {
    MODEL.lastIndex = at;
    const written = MODEL.exec(body)?.[1];
    if (written === undefined) continue;
    // Where there are several, one of them is somebody else's.
    if (found !== null) return topLevelModel(body);
    found = written;
  }
  return found?.includes('\\') === true ? (JSON.parse(`"${found}"`) as string) : found;
}

function topLevelModel(body: string): string | null {
  const { model } = JSON.parse(body) as { readonly model?: unknown };
  return typeof model === 'string' ? model : null;
}
