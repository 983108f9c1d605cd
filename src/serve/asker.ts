/** Questions of the server's thread to the capturing one. */
import { deserializeError, ServeError } from '../errors.js';
import type { Score } from '../readers/score-table.js';
import type { FromServer, Question, StudyTold, ToServer } from './protocol.js';

/** How long an answer is waited for, ms: the capturing thread may be busy. */
const WAIT_MS = 60_000;

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

export class Asker {
  readonly #post: (message: FromServer) => void;
  readonly #waiting = new Map<number, Waiting>();
  /** Answers that several wait for. */
  readonly #shared = new Map<string, Promise<unknown>>();
  /** The last look at each study. */
  readonly #verdicts = new Map<string, { readonly atMs: number; readonly answer: Promise<unknown> }>();
  #number = 0;

  constructor(post: (message: FromServer) => void) {
    this.#post = post;
  }

  studies(): Promise<readonly StudyTold[]> {
    return this.#ask({ what: 'studies' }) as Promise<readonly StudyTold[]>;
  }

  /**
   * A look: those who ask at once have the same one.
   * @param withinMs - one that is no older is as good: many viewers of a study make no more looks than one
   */
  verdict(study: string, withinMs: number): Promise<unknown> {
    const last = this.#verdicts.get(study);
    if (last !== undefined && performance.now() - last.atMs < withinMs) return last.answer;
    const answer = this.#ask({ what: 'verdict', study });
    const look = { atMs: performance.now(), answer };
    this.#verdicts.set(study, look);
    answer.catch(() => this.#verdicts.get(study) === look && this.#verdicts.delete(study));
    return answer;
  }

  scores(experiment: string): Promise<readonly Score[]> {
    return this.#ask({ what: 'scores', experiment }) as Promise<readonly Score[]>;
  }

  #ask(question: Question): Promise<unknown> {
    const key = JSON.stringify(question);
    let answer = this.#shared.get(key);
    if (answer === undefined) {
      answer = this.#send(question).finally(() => this.#shared.delete(key));
      this.#shared.set(key, answer);
    }
    return answer;
  }

  #send(question: Question): Promise<unknown> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(number);
        reject(new ServeError('ERR_BUSY', `the process has not answered for ${WAIT_MS / 1000} s`));
      }, WAIT_MS);
      this.#waiting.set(number, { resolve, reject, timer });
      this.#post({ kind: 'asked', number, question });
    });
  }

  /** @param message - of the capturing thread; others than answers are nothing here */
  take(message: ToServer): void {
    if (!('number' in message)) return;
    const waiting = this.#waiting.get(message.number);
    if (waiting === undefined) return;
    this.#waiting.delete(message.number);
    clearTimeout(waiting.timer);
    if ('error' in message) waiting.reject(deserializeError(message.error));
    else waiting.resolve(message.answer);
  }
}
