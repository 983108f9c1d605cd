/** What a thread remembers of an event's name: the next event of it is mostly like the last one. */
import type { WrittenKey } from '../formats/msgpack/stored-value.js';
import type { EventKind, KnownParts } from '../schema/enrich.js';

/** What is remembered of an event name. */
export interface EventPlan {
  readonly event: string;
  readonly kind: EventKind;
  /** The last binding used: most events of a name share model and provider. */
  model: string | null;
  provider: string | null;
  binding: number;
  readonly models: Map<string | null, ModelBindings>;
  /** Kinds of the metadata keys in the order they came last time, and the keys as they are written. */
  readonly keys: string[];
  readonly kinds: number[];
  readonly writtenKeys: (WrittenKey | null)[];
  /** The measurements' keys in theirs. */
  readonly measured: string[];
  readonly writtenMeasured: (WrittenKey | null)[];
  /** What enrichment remembers of events with spellings; null until there is one. */
  known: KnownParts | null;
}

/** The bindings of an event's name with one model. */
export interface ModelBindings {
  /** The last one used: a model mostly has one provider. */
  provider: string | null;
  binding: number;
  readonly byProvider: Map<string | null, number>;
}
