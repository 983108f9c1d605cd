/** Whether events share users, sessions or samples, so that they are not independent. */
import { TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { RowSource } from '../readers/rows.js';
import { UnitIds } from '../readers/unit-ids.js';
import type { RepeatedId } from './compare/samples.js';
import type { RowCursor } from './row-values.js';

const KEYS = ['userId', 'sessionId', 'sampleId'] as const;
/** Events that are decoded for nothing else. */
const DECODED_MAX = 1 << 18;
/** Distinct ids of a kind; about 30 MB. */
const IDS_MAX = 1 << 18;

/**
 * Looks at all events where it costs nothing: what is bound, what has a column, what has been decoded for others. Of
 * further events it looks at the first 262,144.
 */
export class RepeatedIds {
  readonly #kinds: readonly IdCount[];
  readonly #decodesAnyway: boolean;
  #decoded = 0;

  /** @param decodesAnyway - whether somebody else has events decoded that do not tell by their columns */
  constructor(source: RowSource, decodesAnyway: boolean) {
    this.#kinds = KEYS.map((key) => new IdCount(source, key));
    this.#decodesAnyway = decodesAnyway;
  }

  add(cursor: RowCursor): void {
    for (const kind of this.#kinds) {
      if (kind.ids.needsEvent(cursor) && cursor.decoded === undefined && !this.#mayDecode()) kind.skip();
      else kind.add(cursor);
    }
  }

  result(): RepeatedId[] {
    return this.#kinds.flatMap((kind) => kind.result()).sort((a, b) => b.events / b.ids - a.events / a.ids);
  }

  #mayDecode(): boolean {
    return this.#decodesAnyway || this.#decoded++ < DECODED_MAX;
  }
}

class IdCount {
  readonly ids: UnitIds;
  readonly #key: (typeof KEYS)[number];
  readonly #seen = new Set<string>();
  /** Bindings whose id is counted already: rows of a recorder are many, and their id is one. */
  #lastBinding = -1;
  #lastId: string | null = null;
  #events = 0;
  #isComplete = true;

  constructor(source: RowSource, key: (typeof KEYS)[number]) {
    this.#key = key;
    this.ids = new UnitIds(source, key);
  }

  skip(): void {
    this.#isComplete = false;
  }

  add(cursor: RowCursor): void {
    if (!this.ids.isOfBinding(cursor)) {
      this.#count(this.ids.of(cursor));
      return;
    }
    const binding = cursor.tag & TAG_BINDING_MASK;
    if (binding !== this.#lastBinding) {
      this.#lastBinding = binding;
      this.#lastId = this.ids.of(cursor);
    }
    this.#count(this.#lastId);
  }

  #count(id: string | null): void {
    if (id === null) return;
    if (!this.#seen.has(id)) {
      if (this.#seen.size === IDS_MAX) {
        this.#isComplete = false;
        return;
      }
      this.#seen.add(id);
    }
    this.#events++;
  }

  result(): RepeatedId[] {
    if (this.#events === 0) return [];
    return [{ key: this.#key, ids: this.#seen.size, events: this.#events, isComplete: this.#isComplete }];
  }
}
