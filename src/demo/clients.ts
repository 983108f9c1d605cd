/**
 * The demo's three ways to get a question answered, each telling the telemetry bus what it does.
 *
 * Every quantity sits on exactly one event, so that totals and means over all events of an experiment are
 * those of its questions, whatever the strategy:
 * - `req_llm.request.{stop,exception}`, one a question: the caller's latency, the success, the tokens of the
 *   answer, and its cost.
 * - `hedging.request.stop`: which leg won and what the duplicate cost on top (`duplicationCost`).
 * - `ensemble.vote.completed`: the members' cost together (`totalCost`); the question's own event has none.
 */

import { plurality } from '../calls/vote.js';
import { type ChatCall, ChatError, type ChatReply, type ChatTransport } from './chat-client.js';
import { type Question, readAnswer } from './questions.js';
import { type ModelProfile, PROVIDER } from './traffic.js';

export type Emit = (
  event: string,
  measurements: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>>,
) => void;

export interface ClientContext {
  transport: ChatTransport;
  emit: Emit;
  /** Monotonic, in ms. */
  nowMs: () => number;
  /** Resolves after `ms`, rejects when the signal aborts. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Added to the request seeds, so that two clients asking the same question are two draws. */
  seedBase: number;
}

export interface QuestionResult {
  answered: boolean;
  correct: boolean;
  /** Requests sent beyond the first. */
  extraRequests: number;
}

/** Asks one question. Rejects only when `signal` aborts; a failed question is a result. */
export type QuestionClient = (question: Question, signal: AbortSignal) => Promise<QuestionResult>;

/** Of an answer's text, kept on the event: enough to see what was said. */
const RESPONSE_CHARACTERS = 80;

/** One request to one model. */
export function singleClient(context: ClientContext, model: ModelProfile): QuestionClient {
  return (question, signal) => {
    const observed = observe(context, question, model.id);
    const call = context.transport({ model: model.id, text: question.text, seed: context.seedBase }, signal);
    return observed.settle(call, 0, async () => answerOf(model, await call.reply));
  };
}

/**
 * A hedged request (Dean & Barroso, The Tail at Scale, CACM 2013): a second request leaves when the first has
 * shown no token after `delayMs`, or has failed; the first leg to show a token wins and the other is aborted.
 */
export function hedgedClient(context: ClientContext, model: ModelProfile, delayMs: number): QuestionClient {
  const { emit, nowMs } = context;
  return async (question, signal) => {
    const about = { sampleId: question.sampleId, model: model.id, provider: PROVIDER };
    const open = (seed: number) => {
      const call = context.transport({ model: model.id, text: question.text, seed }, signal);
      const leg = { call, startedMs: nowMs(), latencyMs: null as number | null, failed: false };
      call.reply.then(
        () => {
          leg.latencyMs = nowMs() - leg.startedMs;
        },
        () => {
          leg.failed = true;
        },
      );
      return leg;
    };

    emit('hedging.request.start', { delayMs }, about);
    const observed = observe(context, question, model.id);
    const primary = open(context.seedBase);
    const start = await firstSign(context, primary.call, delayMs, signal);
    signal.throwIfAborted();
    const backup = start === 'token' ? null : open(context.seedBase + 1);
    if (backup !== null) {
      const afterMs = backup.startedMs - primary.startedMs;
      emit('hedging.request.duplicated', { afterMs }, { ...about, reason: start });
    }

    const winner = backup === null ? primary : await firstToShowToken(primary, backup);
    const loser = winner === primary ? backup : primary;
    const loserFailed = loser?.failed ?? false;
    loser?.call.abort();

    return observed.settle(
      winner.call,
      backup === null ? 0 : 1,
      async () => answerOf(model, await winner.call.reply),
      (answer) => {
        // The loser read the same prompt and is billed for what it wrote until it was cut off; a refusal is not billed.
        const duplicationCost =
          loser === null || loserFailed || answer === null
            ? 0
            : costOf(model, {
                promptTokens: answer.tokens.prompt,
                completionTokens: loser.call.tokensReceived(),
              });
        emit(
          'hedging.request.stop',
          {},
          {
            ...about,
            winner: answer === null ? null : winner === primary ? 'primary' : 'backup',
            primaryLatency: primary.latencyMs,
            backupLatency: backup?.latencyMs ?? null,
            // Absent, not 0, without a duplicate: a cost of 0 would enter the mean cost as a request.
            ...(duplicationCost > 0 ? { duplicationCost } : {}),
          },
        );
      },
    );
  };
}

/** All models at once and a plurality vote; a tie goes to the model named first. */
export function ensembleClient(context: ClientContext, models: readonly ModelProfile[]): QuestionClient {
  const { emit, nowMs } = context;
  const label = models.map(({ id }) => id).join('+');
  return async (question, signal) => {
    const about = { sampleId: question.sampleId, models: models.map(({ id }) => id) };
    emit('ensemble.prediction.start', {}, about);
    const observed = observe(context, question, label);

    const startedMs = nowMs();
    const calls = models.map((model) =>
      context.transport({ model: model.id, text: question.text, seed: context.seedBase }, signal),
    );
    const members = Promise.all(
      models.map(async (model, index) => {
        try {
          const reply = await calls[index]!.reply;
          return { model, reply, latencyMs: nowMs() - startedMs, error: null };
        } catch (error) {
          return { model, reply: null, latencyMs: nowMs() - startedMs, error: failureCode(error) };
        }
      }),
    );

    return observed.settle(
      null,
      models.length - 1,
      async () => {
        const settled = await members;
        const replies = settled.flatMap(({ reply }) => (reply === null ? [] : [reply]));
        if (replies.length === 0)
          throw new ChatError('no_member_answered', 'no member of the ensemble answered');
        const vote = plurality(settled.map(({ reply }) => (reply === null ? null : readAnswer(reply.text))));
        const totalCost = settled.reduce(
          (sum, { model, reply }) => sum + (reply === null ? 0 : costOf(model, reply)),
          0,
        );
        emit('ensemble.vote.completed', {}, { ...about, ...vote, totalCost });
        return {
          text: vote.winner === null ? replies[0]!.text : `Answer: ${vote.winner}`,
          tokens: replies.map(tokensOf).reduce((a, b) => ({
            prompt: a.prompt + b.prompt,
            completion: a.completion + b.completion,
            total: a.total + b.total,
          })),
          id: replies.map(({ id }) => id).join('+'),
          cost: null,
        };
      },
      async () => {
        const settled = await members;
        emit(
          'ensemble.prediction.stop',
          {},
          {
            ...about,
            members: settled.map(({ model, latencyMs, error }) => ({ model: model.id, latencyMs, error })),
          },
        );
      },
    );
  };
}

interface Answer {
  text: string;
  tokens: { prompt: number; completion: number; total: number };
  id: string;
  /** USD; null where another event carries the cost. */
  cost: number | null;
}

/** The question's own span: `req_llm.request.start` now, `stop` or `exception` when `settle` knows. */
function observe(context: ClientContext, question: Question, model: string) {
  const { emit, nowMs } = context;
  const about = { sampleId: question.sampleId, model, provider: PROVIDER };
  const startedMs = nowMs();
  emit('req_llm.request.start', {}, about);

  return {
    /**
     * @param first - the call whose first token is the question's; null where there is no such thing
     * @param after - runs once the span's own event is out, with null for a failed question
     */
    async settle(
      first: ChatCall | null,
      extraRequests: number,
      answering: () => Promise<Answer>,
      after?: (answer: Answer | null) => void | Promise<void>,
    ): Promise<QuestionResult> {
      const sinceStart: { timeToFirstTokenMs?: number } = {};
      first?.firstToken.then(
        () => {
          sinceStart.timeToFirstTokenMs = nowMs() - startedMs;
        },
        () => {},
      );
      const outcome = await answering().catch(failureCode);
      const duration = Math.round((nowMs() - startedMs) * 1e6);
      if (typeof outcome === 'string') {
        emit('req_llm.request.exception', { duration }, { ...about, error: outcome });
        await after?.(null);
        return { answered: false, correct: false, extraRequests };
      }
      const correct = readAnswer(outcome.text) === question.expected;
      const { tokens, cost } = outcome;
      emit(
        'req_llm.request.stop',
        { duration, ...sinceStart },
        {
          ...about,
          response: outcome.text.slice(0, RESPONSE_CHARACTERS),
          requestId: outcome.id,
          tokens,
          correct,
          ...(cost === null ? {} : { cost }),
        },
      );
      await after?.(outcome);
      return { answered: true, correct, extraRequests };
    },
  };
}

/** What the primary shows first: a token, a failure, or nothing within the delay. */
async function firstSign(
  context: ClientContext,
  call: ChatCall,
  delayMs: number,
  signal: AbortSignal,
): Promise<'token' | 'failed' | 'slow'> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      call.firstToken.then(
        () => 'token' as const,
        () => 'failed' as const,
      ),
      context.sleep(delayMs, AbortSignal.any([timer.signal, signal])).then(
        () => 'slow' as const,
        // Aborted: by us, when the race is over, or by the caller, whose abort `settle` reports.
        () => 'failed' as const,
      ),
    ]);
  } finally {
    timer.abort();
  }
}

async function firstToShowToken<L extends { call: ChatCall }>(primary: L, backup: L): Promise<L> {
  const shows = (leg: L) => leg.call.firstToken.then(() => leg);
  // With both legs failed, the backup's failure is the one to report: it is the last word.
  return Promise.any([shows(primary), shows(backup)]).catch(() => backup);
}

function answerOf(model: ModelProfile, reply: ChatReply): Answer {
  return { text: reply.text, tokens: tokensOf(reply), id: reply.id, cost: costOf(model, reply) };
}

function tokensOf(reply: ChatReply): Answer['tokens'] {
  const { promptTokens: prompt, completionTokens: completion } = reply;
  return { prompt, completion, total: prompt + completion };
}

function costOf(model: ModelProfile, tokens: { promptTokens: number; completionTokens: number }): number {
  return (tokens.promptTokens * model.price.prompt + tokens.completionTokens * model.price.completion) / 1e6;
}

/** The code of a failed call; anything else, an abort above all, is thrown on. */
function failureCode(error: unknown): string {
  if (error instanceof ChatError) return error.code;
  throw error;
}
