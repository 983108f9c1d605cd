/**
 * Which requests are calls of a model: by the host of a provider, or by a path and a body that only such calls have.
 *
 * The names of operations are those of the OpenTelemetry conventions for generative AI.
 */

export type Operation = 'chat' | 'text_completion' | 'embeddings' | 'generate_content';

export interface Endpoint {
  readonly provider: string;
  readonly operation: Operation;
  /** Where the path names it. */
  readonly model: string | null;
  /** Whether the name in the request is a deployment's, which says nothing of the model. */
  readonly isDeployment: boolean;
}

/** Hosts of providers; `port` where the host alone is anybody's. */
const HOSTS: readonly (readonly [host: RegExp, provider: string])[] = [
  [/^api\.openai\.com$|\.api\.openai\.com$/, 'openai'],
  [/\.openai\.azure\.com$|\.services\.ai\.azure\.com$|\.cognitiveservices\.azure\.com$/, 'azure'],
  [/^api\.anthropic\.com$/, 'anthropic'],
  [/^generativelanguage\.googleapis\.com$|(^|-)aiplatform\.googleapis\.com$/, 'google'],
  [/^bedrock-runtime(-fips)?\.[a-z0-9-]+\.amazonaws\.com$/, 'bedrock'],
  [/^(api|codestral)\.mistral\.ai$/, 'mistral'],
  [/^openrouter\.ai$/, 'openrouter'],
  [/^api\.groq\.com$/, 'groq'],
  [/^api\.deepseek\.com$/, 'deepseek'],
  [/^api\.together\.(xyz|ai)$/, 'together'],
  [/^api\.fireworks\.ai$/, 'fireworks'],
  [/^api\.cohere\.(com|ai)$/, 'cohere'],
  [/^api\.x\.ai$/, 'xai'],
  [/^api\.perplexity\.ai$/, 'perplexity'],
  [/^api\.cerebras\.ai$/, 'cerebras'],
  [/^(localhost|127\.0\.0\.1|\[::1\]):11434$/, 'ollama'],
];

interface Path {
  readonly path: RegExp;
  readonly operation: Operation;
  /** Who has such paths, on hosts that nobody knows. Null: they are too common to say anything there. */
  readonly by: string | null;
}

const PATHS: readonly Path[] = [
  { path: /\/chat\/completions$/, operation: 'chat', by: 'openai' },
  { path: /\/v\d\w*\/responses$/, operation: 'chat', by: 'openai' },
  { path: /\/v\d\w*\/(fim\/)?completions$/, operation: 'text_completion', by: 'openai' },
  { path: /\/v\d\w*\/embeddings$/, operation: 'embeddings', by: 'openai' },
  { path: /\/deployments\/[^/]+\/(completions|embeddings)$/, operation: 'text_completion', by: 'azure' },
  { path: /\/v1\/messages$/, operation: 'chat', by: 'anthropic' },
  { path: /\/models\/[^/]+:(streamG|g)enerateContent$/, operation: 'generate_content', by: 'google' },
  { path: /\/models\/[^/]+:((batchE|e)mbedContents?|predict)$/, operation: 'embeddings', by: 'google' },
  { path: /\/models\/[^/]+:(streamR|r)awPredict$/, operation: 'chat', by: 'anthropic' },
  {
    path: /\/model\/[^/]+\/(converse|invoke)(-stream|-with-response-stream)?$/,
    operation: 'chat',
    by: 'bedrock',
  },
  { path: /\/api\/chat$/, operation: 'chat', by: null },
  { path: /\/api\/generate$/, operation: 'text_completion', by: null },
  { path: /\/api\/embed(dings)?$/, operation: 'embeddings', by: null },
  { path: /\/v2\/chat$/, operation: 'chat', by: null },
  { path: /\/responses$/, operation: 'chat', by: null },
  { path: /\/embeddings$/, operation: 'embeddings', by: null },
  { path: /\/messages$/, operation: 'chat', by: null },
];

/** The model in a path: `/models/NAME:…`, `/model/NAME/…`, `/deployments/NAME/…`. */
const MODEL_IN_PATH = /\/(?:models?|deployments)\/([^/:]+(?::\d+)?)(?=[:/])/;

/** Answers by host and path, which repeat. */
const KNOWN_MAX = 1024;

/** The endpoints of one tap. */
export class Endpoints {
  readonly #hosts: ReadonlySet<string>;
  readonly #known = new Map<string, Endpoint | null>();

  /** @param hosts - further hosts of models, each with or without a port */
  constructor(hosts: Iterable<string>) {
    this.#hosts = new Set([...hosts].map((host) => host.toLowerCase()));
  }

  /**
   * @param url - absolute
   * @returns null for any other request
   */
  of(url: string): Endpoint | null {
    const end = url.search(/[?#]/);
    const address = end < 0 ? url : url.slice(0, end);
    let known = this.#known.get(address);
    if (known === undefined) {
      known = this.#find(address);
      if (this.#known.size < KNOWN_MAX) this.#known.set(address, known);
    }
    return known;
  }

  #find(address: string): Endpoint | null {
    const url = URL.canParse(address) ? new URL(address) : null;
    if (url === null || !/^https?:$/.test(url.protocol)) return null;
    const path = PATHS.find((path) => path.path.test(url.pathname));
    if (path === undefined) return null;
    const provider =
      HOSTS.find(([pattern]) => pattern.test(url.host) || pattern.test(url.hostname))?.[1] ??
      (this.#hosts.has(url.host) || this.#hosts.has(url.hostname) ? (path.by ?? url.hostname) : path.by);
    if (provider === null) return null;
    const model = MODEL_IN_PATH.exec(url.pathname)?.[1];
    const isDeployment = url.pathname.includes('/deployments/') || provider === 'azure';
    return {
      provider,
      operation: url.pathname.endsWith('/embeddings') ? 'embeddings' : path.operation,
      model: model === undefined || isDeployment ? null : decodeURIComponent(model),
      isDeployment,
    };
  }
}
