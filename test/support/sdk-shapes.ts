/** What SDKs for models return, as far as its shape matters: whose promise it is, when it begins its work, who reads what. */

/** As the OpenAI and Anthropic SDKs return from `create`: a promise whose `then` parses the response, once. */
export class ApiPromise<T> extends Promise<SdkStream<T>> {
  readonly #source: () => AsyncIterable<T>;
  readonly #response: Promise<Response>;
  #parsed: Promise<SdkStream<T>> | undefined;
  /** How often the body was taken. */
  parses = 0;

  constructor(source: () => AsyncIterable<T>, response = Promise.resolve(new Response('body'))) {
    // Its own promise says nothing.
    super((resolve) => resolve(null as never));
    this.#source = source;
    this.#response = response;
  }

  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  asResponse(): Promise<Response> {
    return this.#response;
  }

  async withResponse(): Promise<{ data: SdkStream<T>; response: Response; request_id: string | null }> {
    const [data, response] = await Promise.all([this.#parse(), this.asResponse()]);
    return { data, response, request_id: response.headers.get('x-request-id') };
  }

  #parse(): Promise<SdkStream<T>> {
    this.#parsed ??= this.#response.then(() => {
      this.parses++;
      return new SdkStream(this.#source);
    });
    return this.#parsed;
  }

  /** As `parse` helpers call: a second promise for the same response, parsed anew. */
  _thenUnwrap(): ApiPromise<T> {
    return new ApiPromise(this.#source, this.#response);
  }

  // biome-ignore lint/suspicious/noThenProperty: as theirs.
  override then<A = SdkStream<T>, B = never>(
    onFulfilled?: ((value: SdkStream<T>) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#parse().then(onFulfilled, onRejected);
  }

  override catch<B = never>(
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<SdkStream<T> | B> {
    return this.#parse().catch(onRejected);
  }
}

/** As `create({ stream: true })` resolves to. */
export class SdkStream<T> implements AsyncIterable<T> {
  readonly controller: AbortController;
  readonly iterator: () => AsyncIterator<T>;
  readonly #client = {};

  constructor(source: () => AsyncIterable<T>, controller = new AbortController()) {
    this.controller = controller;
    let consumed = false;
    this.iterator = async function* () {
      if (consumed)
        throw new Error('Cannot iterate over a consumed stream, use `.tee()` to split the stream.');
      consumed = true;
      let done = false;
      try {
        for await (const chunk of source()) {
          if (controller.signal.aborted) return;
          yield chunk;
        }
        done = true;
      } finally {
        if (!done) controller.abort();
      }
    };
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    if (!(#client in this)) throw new TypeError('not a stream of this SDK');
    return this.iterator();
  }

  tee(): [SdkStream<T>, SdkStream<T>] {
    const left: Promise<IteratorResult<T>>[] = [];
    const right: Promise<IteratorResult<T>>[] = [];
    const iterator = this.iterator();
    const branch = (queue: Promise<IteratorResult<T>>[]) => () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => {
          if (queue.length === 0) {
            const result = iterator.next();
            left.push(result);
            right.push(result);
          }
          return queue.shift() as Promise<IteratorResult<T>>;
        },
      }),
    });
    return [new SdkStream(branch(left), this.controller), new SdkStream(branch(right), this.controller)];
  }

  toReadableStream(): ReadableStream<T> {
    let iterator: AsyncIterator<T>;
    return new ReadableStream({
      start: () => {
        iterator = this[Symbol.asyncIterator]();
      },
      async pull(controller) {
        const { done, value } = await iterator.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => {
        await iterator.return?.();
      },
    });
  }
}

/** As their helpers are: it works of its own accord, has listeners of its own, and may be iterated as well. */
export class EventStream<T> implements AsyncIterable<T> {
  readonly #listeners = new Map<string, ((value: T) => void)[]>();
  readonly #source: () => AsyncIterable<T>;
  readonly #end: Promise<T[]>;

  constructor(source: () => AsyncIterable<T>) {
    this.#source = source;
    this.#end = Promise.resolve().then(() => this.#work());
    this.#end.catch(() => {});
  }

  on(event: string, listener: (value: T) => void): this {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
    return this;
  }

  async #work(): Promise<T[]> {
    const all: T[] = [];
    for await (const chunk of this.#source()) {
      all.push(chunk);
      for (const listener of this.#listeners.get('chunk') ?? []) listener(chunk);
    }
    return all;
  }

  /** Resolves when it is over. */
  final(): Promise<T[]> {
    return this.#end;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    yield* await this.#end;
  }
}

/** As `streamText` of the AI SDK returns: nothing is read until a getter's stream is. */
export class StreamTextResult<T> {
  #base: ReadableStream<T>;

  constructor(source: () => AsyncIterable<T>) {
    let iterator: AsyncIterator<T> | undefined;
    this.#base = new ReadableStream(
      {
        async pull(controller) {
          iterator ??= source()[Symbol.asyncIterator]();
          const { done, value } = await iterator.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
        cancel: async () => {
          await iterator?.return?.();
        },
      },
      { highWaterMark: 0 },
    );
  }

  #tee(): ReadableStream<T> {
    const [mine, rest] = this.#base.tee();
    this.#base = rest;
    return mine;
  }

  get fullStream(): ReadableStream<T> {
    return this.#tee();
  }

  get textStream(): ReadableStream<string> {
    return this.#tee().pipeThrough(
      new TransformStream({ transform: (chunk, controller) => controller.enqueue(String(chunk)) }),
    );
  }

  get text(): Promise<string> {
    return (async () => {
      let all = '';
      for await (const chunk of this.#tee()) all += chunk;
      return all;
    })();
  }

  toTextStreamResponse(): Response {
    return new Response(this.textStream.pipeThrough(new TextEncoderStream()));
  }
}
