/**
 * Late runs: events that code inside `experiment.run` puts on the bus when the experiment takes no more.
 *
 * They are meant for it, so they are counted. Nobody listens for them where `run` was never called, since every listener
 * costs whoever puts an event on the bus; and nobody does any longer once neither the experiment nor code that runs in
 * it is there.
 */
import { activeRun } from './context.js';
import { isHeard } from './listening.js';
import type { Losses } from './losses.js';
import { attachSelected, detachSelected, type Selection } from './selection.js';

const listeners = new FinalizationRegistry<string>((handlerId) => detachSelected(handlerId));

export class LateRuns {
  readonly #handlerId: string;
  readonly #selection: Selection;
  readonly #losses: Losses;
  #hasRun = false;
  #end: 'stopped' | 'closed' | null = null;
  #listens = false;

  /** @param selection - the events that the experiment captures */
  constructor(id: string, selection: Selection, losses: Losses) {
    this.#handlerId = `experiment:${id}:late:${losses.key}`;
    this.#selection = selection;
    this.#losses = losses;
  }

  /** Before code runs in the experiment. */
  noteRun(): void {
    this.#hasRun = true;
    this.#listen();
  }

  /** From now on the experiment takes no more events, or the writer of this thread none. */
  begin(end: 'stopped' | 'closed' = 'stopped'): void {
    this.#end = end;
    this.#listen();
  }

  #listen(): void {
    if (this.#listens || !this.#hasRun || this.#end === null) return;
    this.#listens = true;
    // What the handler refers to lives as long as the handler.
    const { key } = this.#losses;
    const end = this.#end;
    attachSelected(this.#handlerId, this.#selection, () => {
      const run = activeRun.getStore();
      // Another writer of this thread may have captured it.
      if (run?.losses.key === key && !isHeard(run.experimentId)) run.losses.refused(end);
    });
    listeners.register(this.#losses, this.#handlerId);
  }
}
