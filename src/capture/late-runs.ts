/**
 * Late runs: events that code inside `experiment.run` puts on the bus when the experiment takes no more.
 *
 * They are meant for it, so they are counted. Nobody listens for them where `run` was never called, since every listener
 * costs whoever puts an event on the bus; and nobody does any longer once neither the experiment nor code that runs in
 * it is there.
 */
import { telemetry } from './bus.js';
import { activeRun } from './context.js';
import type { Losses } from './losses.js';

const listeners = new FinalizationRegistry<string>((handlerId) => telemetry.detach(handlerId));

export class LateRuns {
  readonly #handlerId: string;
  readonly #events: 'all' | readonly string[];
  readonly #losses: Losses;
  #hasRun = false;
  #hasBegun = false;
  #listens = false;

  /** @param events - those that the experiment captures */
  constructor(id: string, events: 'all' | readonly string[], losses: Losses) {
    this.#handlerId = `experiment:${id}:late:${losses.key}`;
    this.#events = events;
    this.#losses = losses;
  }

  /** Before code runs in the experiment. */
  noteRun(): void {
    this.#hasRun = true;
    this.#listen();
  }

  /** From now on the experiment takes no more events. */
  begin(): void {
    this.#hasBegun = true;
    this.#listen();
  }

  #listen(): void {
    if (this.#listens || !this.#hasRun || !this.#hasBegun) return;
    this.#listens = true;
    // What the handler refers to lives as long as the handler.
    const { key } = this.#losses;
    telemetry.attach(this.#handlerId, this.#events, () => {
      const run = activeRun.getStore();
      if (run?.losses.key === key) run.losses.refused('stopped');
    });
    listeners.register(this.#losses, this.#handlerId);
  }
}
