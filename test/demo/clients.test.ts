import { describe, expect, it } from 'vitest';
import { plurality } from '../../src/calls/vote.js';
import { type ChatCall, ChatError, type ChatReply, type ChatRequest } from '../../src/demo/chat-client.js';
import { type ClientContext, ensembleClient, hedgedClient, singleClient } from '../../src/demo/clients.js';
import { MODEL_PROFILES } from '../../src/demo/traffic.js';

const [large, middle, small] = MODEL_PROFILES as [
  (typeof MODEL_PROFILES)[0],
  (typeof MODEL_PROFILES)[0],
  (typeof MODEL_PROFILES)[0],
];
const question = { sampleId: 'q1', text: 'What is 1 + 2?', expected: '3' };
const noAbort = () => new AbortController().signal;

interface ScriptedCall extends ChatCall {
  request: ChatRequest;
  aborted: boolean;
  token(): void;
  answer(text: string): void;
  fail(code: string): void;
}

/** A world without a network or a clock: the test says what arrives, and what time it is. */
function scriptedWorld() {
  const calls: ScriptedCall[] = [];
  const emitted: {
    event: string;
    measurements: Record<string, unknown>;
    metadata: Record<string, unknown>;
  }[] = [];
  const world = { nowMs: 0, endSleep: () => {} };
  const context: ClientContext = {
    seedBase: 10,
    nowMs: () => world.nowMs,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        world.endSleep = resolve;
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
    emit: (event, measurements, metadata) =>
      void emitted.push({ event, measurements: { ...measurements }, metadata: { ...metadata } }),
    transport: (request, signal) => {
      const call = scriptedCall(request);
      signal?.addEventListener('abort', () => call.reject(signal.reason));
      calls.push(call);
      return call;
    },
  };
  const of = (event: string) => emitted.filter((e) => e.event === event);
  return { context, calls, emitted, of, world };
}

function scriptedCall(request: ChatRequest): ScriptedCall & { reject(error: unknown): void } {
  let tokens = 0;
  let showToken!: () => void;
  let failToken!: (error: unknown) => void;
  let resolveReply!: (reply: ChatReply) => void;
  let rejectReply!: (error: unknown) => void;
  const firstToken = new Promise<void>((resolve, reject) => {
    showToken = resolve;
    failToken = reject;
  });
  const reply = new Promise<ChatReply>((resolve, reject) => {
    resolveReply = resolve;
    rejectReply = reject;
  });
  firstToken.catch(() => {});
  reply.catch(() => {});
  const reject = (error: unknown) => {
    failToken(error);
    rejectReply(error);
  };
  const call = {
    request,
    firstToken,
    reply,
    aborted: false,
    tokensReceived: () => tokens,
    token() {
      tokens++;
      showToken();
    },
    answer(text: string) {
      call.token();
      resolveReply({ id: `id-${request.model}`, text, promptTokens: 1000, completionTokens: 100 });
    },
    fail: (code: string) => reject(new ChatError(code, code)),
    reject,
    abort() {
      call.aborted = true;
      reject(new DOMException('aborted', 'AbortError'));
    },
  };
  return call;
}

/** Lets every promise reaction that is due run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('singleClient', () => {
  it('reports one stop, with latency in ns, tokens, cost and correctness', async () => {
    const { context, calls, emitted, world } = scriptedWorld();
    const asked = singleClient(context, large)(question, noAbort());
    world.nowMs = 20;
    calls[0]!.token();
    await settle();
    world.nowMs = 50;
    calls[0]!.answer('Answer: 3 because');
    expect(await asked).toEqual({ answered: true, correct: true, extraRequests: 0 });

    expect(emitted.map(({ event }) => event)).toEqual(['req_llm.request.start', 'req_llm.request.stop']);
    expect(emitted[1]!.measurements).toEqual({ duration: 50_000_000, timeToFirstTokenMs: 20 });
    expect(emitted[1]!.metadata).toMatchObject({
      sampleId: 'q1',
      model: 'demo-70b',
      provider: 'loopback',
      response: 'Answer: 3 because',
      requestId: 'id-demo-70b',
      tokens: { prompt: 1000, completion: 100, total: 1100 },
      correct: true,
    });
    expect(emitted[1]!.metadata.cost).toBeCloseTo(0.00099, 12);
  });

  it('reports a failure as an exception, and a wrong answer as answered', async () => {
    const failing = scriptedWorld();
    const failed = singleClient(failing.context, large)(question, noAbort());
    failing.world.nowMs = 7;
    failing.calls[0]!.fail('http_429');
    expect(await failed).toEqual({ answered: false, correct: false, extraRequests: 0 });
    expect(failing.of('req_llm.request.exception')).toEqual([
      {
        event: 'req_llm.request.exception',
        measurements: { duration: 7_000_000 },
        metadata: { sampleId: 'q1', model: 'demo-70b', provider: 'loopback', error: 'http_429' },
      },
    ]);

    const wrong = scriptedWorld();
    const answered = singleClient(wrong.context, large)(question, noAbort());
    wrong.calls[0]!.answer('Answer: 13');
    expect(await answered).toMatchObject({ answered: true, correct: false });
  });

  it('throws, and reports no outcome, when the caller aborts', async () => {
    const { context, emitted } = scriptedWorld();
    const caller = new AbortController();
    const asked = singleClient(context, large)(question, caller.signal);
    caller.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    expect(emitted.map(({ event }) => event)).toEqual(['req_llm.request.start']);
  });
});

describe('hedgedClient', () => {
  it('sends no backup when the primary shows a token in time', async () => {
    const { context, calls, of } = scriptedWorld();
    const asked = hedgedClient(context, large, 100)(question, noAbort());
    calls[0]!.token();
    await settle();
    calls[0]!.answer('Answer: 3');
    expect(await asked).toMatchObject({ answered: true, extraRequests: 0 });
    expect(calls).toHaveLength(1);
    expect(of('hedging.request.duplicated')).toEqual([]);
    expect(of('hedging.request.stop')[0]!.metadata).toMatchObject({ winner: 'primary', backupLatency: null });
    expect(of('hedging.request.stop')[0]!.metadata).not.toHaveProperty('duplicationCost');
  });

  it('fires a backup after the delay, takes the first to show a token, aborts and bills the other', async () => {
    const { context, calls, of, world } = scriptedWorld();
    const asked = hedgedClient(context, large, 100)(question, noAbort());
    world.nowMs = 100;
    world.endSleep();
    await settle();
    expect(calls.map(({ request }) => request.seed)).toEqual([10, 11]);
    expect(of('hedging.request.duplicated')[0]).toMatchObject({
      measurements: { afterMs: 100 },
      metadata: { reason: 'slow', sampleId: 'q1' },
    });

    world.nowMs = 130;
    calls[1]!.token();
    await settle();
    expect(calls[0]!.aborted).toBe(true);
    world.nowMs = 150;
    calls[1]!.answer('Answer: 3');
    expect(await asked).toEqual({ answered: true, correct: true, extraRequests: 1 });

    expect(of('req_llm.request.stop')).toHaveLength(1);
    expect(of('req_llm.request.stop')[0]!.measurements).toEqual({
      duration: 150_000_000,
      timeToFirstTokenMs: 130,
    });
    const { metadata } = of('hedging.request.stop')[0]!;
    expect(metadata).toMatchObject({ winner: 'backup', primaryLatency: null, backupLatency: 50 });
    // The aborted primary had read the prompt and written nothing.
    expect(metadata.duplicationCost).toBeCloseTo((1000 * 0.9) / 1e6, 12);
  });

  it('fires the backup at once when the primary fails, and bills no refusal', async () => {
    const { context, calls, of } = scriptedWorld();
    const asked = hedgedClient(context, large, 100)(question, noAbort());
    calls[0]!.fail('http_500');
    await settle();
    calls[1]!.answer('Answer: 3');
    expect(await asked).toMatchObject({ answered: true, extraRequests: 1 });
    expect(of('hedging.request.duplicated')[0]!.metadata.reason).toBe('failed');
    expect(of('hedging.request.stop')[0]!.metadata).toMatchObject({ winner: 'backup' });
    expect(of('hedging.request.stop')[0]!.metadata).not.toHaveProperty('duplicationCost');
  });

  it('fails only when both legs fail', async () => {
    const { context, calls, of } = scriptedWorld();
    const asked = hedgedClient(context, large, 100)(question, noAbort());
    calls[0]!.fail('http_500');
    await settle();
    calls[1]!.fail('http_429');
    expect(await asked).toMatchObject({ answered: false, extraRequests: 1 });
    expect(of('req_llm.request.exception')[0]!.metadata.error).toBe('http_429');
    expect(of('hedging.request.stop')[0]!.metadata.winner).toBeNull();
  });

  it('sends no backup on behalf of a caller who has gone', async () => {
    const { context, calls, of } = scriptedWorld();
    const caller = new AbortController();
    const asked = hedgedClient(context, large, 100)(question, caller.signal);
    caller.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    expect(calls).toHaveLength(1);
    expect(of('hedging.request.duplicated')).toEqual([]);
  });
});

describe('ensembleClient', () => {
  it('asks all models, outvotes the odd one, and carries the cost on the vote', async () => {
    const { context, calls, of } = scriptedWorld();
    const asked = ensembleClient(context, [large, middle, small])(question, noAbort());
    calls[0]!.answer('Answer: 13');
    calls[1]!.answer('Answer: 3');
    calls[2]!.answer('Answer: 3');
    expect(await asked).toEqual({ answered: true, correct: true, extraRequests: 2 });

    const vote = of('ensemble.vote.completed')[0]!.metadata;
    expect(vote).toMatchObject({ votes: { '13': 1, '3': 2 }, winner: '3', agreement: 2 / 3 });
    expect(vote.totalCost).toBeCloseTo((1100 * (0.9 + 0.3 + 0.2)) / 1e6, 12);
    const stop = of('req_llm.request.stop')[0]!.metadata;
    expect(stop).toMatchObject({ model: 'demo-70b+demo-13b+demo-7b', tokens: { total: 3300 } });
    expect(stop).not.toHaveProperty('cost');
    expect(of('ensemble.prediction.stop')[0]!.metadata.members).toHaveLength(3);
  });

  it('answers with the members that are left, and fails when none is', async () => {
    const two = scriptedWorld();
    const answered = ensembleClient(two.context, [large, middle, small])(question, noAbort());
    two.calls[0]!.fail('http_500');
    two.calls[1]!.answer('Answer: 3');
    two.calls[2]!.fail('connection_lost');
    expect(await answered).toMatchObject({ answered: true, correct: true });
    expect(two.of('ensemble.prediction.stop')[0]!.metadata.members).toMatchObject([
      { model: 'demo-70b', error: 'http_500' },
      { model: 'demo-13b', error: null },
      { model: 'demo-7b', error: 'connection_lost' },
    ]);

    const none = scriptedWorld();
    const failed = ensembleClient(none.context, [large, middle])(question, noAbort());
    for (const call of none.calls) call.fail('http_429');
    expect(await failed).toMatchObject({ answered: false });
    expect(none.of('ensemble.vote.completed')).toEqual([]);
    expect(none.of('req_llm.request.exception')[0]!.metadata.error).toBe('no_member_answered');
  });
});

describe('plurality', () => {
  it('gives a tie to the earlier answer, and no winner to no votes', () => {
    expect(plurality(['7', '8', null])).toEqual({ votes: { '7': 1, '8': 1 }, winner: '7', agreement: 0.5 });
    expect(plurality([null, null])).toEqual({ votes: {}, winner: null, agreement: null });
  });
});
