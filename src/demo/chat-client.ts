/** One streamed call of an OpenAI-compatible endpoint over `fetch`, with the moments a caller may wait for. */

export interface ChatRequest {
  model: string;
  text: string;
  /** OpenAI's `seed`: calls with different seeds are different draws. */
  seed: number;
}

export interface ChatReply {
  id: string;
  text: string;
  promptTokens: number;
  completionTokens: number;
}

/** A call under way. Both promises are handled: one that nobody awaits is no unhandled rejection. */
export interface ChatCall {
  /** Resolves when the first token arrives; rejects if the call fails before. */
  readonly firstToken: Promise<void>;
  readonly reply: Promise<ChatReply>;
  /** Completion tokens received so far; what an aborted call has cost in output. */
  tokensReceived(): number;
  abort(): void;
}

export type ChatTransport = (request: ChatRequest, signal?: AbortSignal) => ChatCall;

/** A call that brought no answer: refused (`http_<status>`), or cut off (`connection_lost`). */
export class ChatError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ChatError';
    this.code = code;
  }
}

/** Calls `POST <baseUrl>/v1/chat/completions`. An abort rejects with the signal's reason. */
export function httpTransport(baseUrl: string, fetchImpl: typeof fetch = fetch): ChatTransport {
  return (request, signal) => {
    const controller = new AbortController();
    const stop = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
    let tokens = 0;
    let announceFirst = () => {};
    let failFirst = (_error: unknown) => {};
    const firstToken = new Promise<void>((resolve, reject) => {
      announceFirst = resolve;
      failFirst = reject;
    });
    const reply = readReply(fetchImpl, `${baseUrl}/v1/chat/completions`, request, stop, () => {
      tokens++;
      announceFirst();
    });
    reply.then(announceFirst, failFirst);
    firstToken.catch(() => {});
    return { firstToken, reply, tokensReceived: () => tokens, abort: () => controller.abort() };
  };
}

async function readReply(
  fetchImpl: typeof fetch,
  url: string,
  request: ChatRequest,
  signal: AbortSignal,
  onToken: () => void,
): Promise<ChatReply> {
  try {
    const response = await fetchImpl(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: request.model,
        messages: [{ role: 'user', content: request.text }],
        seed: request.seed,
        stream: true,
        stream_options: { include_usage: true },
      }),
      signal,
    });
    if (!response.ok || response.body === null) throw await refusal(response);
    return await collect(response.body, onToken);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ChatError) throw error;
    throw new ChatError('connection_lost', 'the connection was lost', { cause: error });
  }
}

async function refusal(response: Response): Promise<ChatError> {
  const body = (await response.json().catch(() => null)) as { error?: { message?: string } } | null;
  return new ChatError(`http_${response.status}`, body?.error?.message ?? response.statusText);
}

interface Chunk {
  id: string;
  choices: { delta: { content?: string } }[];
  usage?: { prompt_tokens: number; completion_tokens: number };
}

async function collect(body: ReadableStream<Uint8Array>, onToken: () => void): Promise<ChatReply> {
  const reply: ChatReply = { id: '', text: '', promptTokens: 0, completionTokens: 0 };
  for await (const data of serverSentData(body)) {
    if (data === '[DONE]') return reply;
    const chunk = JSON.parse(data) as Chunk;
    reply.id = chunk.id;
    const content = chunk.choices[0]?.delta.content;
    if (content !== undefined && content !== '') {
      reply.text += content;
      onToken();
    }
    if (chunk.usage !== undefined) {
      reply.promptTokens = chunk.usage.prompt_tokens;
      reply.completionTokens = chunk.usage.completion_tokens;
    }
  }
  throw new ChatError('connection_lost', 'the answer ended before it was complete');
}

/** The `data:` lines of a server-sent event stream; one event here is always one line. */
async function* serverSentData(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith('data: ')) yield line.slice('data: '.length);
    }
  }
}
