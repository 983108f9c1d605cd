import { OVERFLOW_TEXT } from '../../ring/dictionary.js';
import type { Dictionaries } from './format.js';

/** How the text of a binding begins that was given up. */
const OVERFLOW_BINDING = JSON.stringify([OVERFLOW_TEXT]).slice(0, -1);

/** The dictionaries of all segments, put together. */
export class KnownDictionaries implements Dictionaries {
  readonly #bindings = new KnownTexts((text) => text.startsWith(OVERFLOW_BINDING));
  readonly #strings = new KnownTexts((text) => text === OVERFLOW_TEXT);

  get bindings(): readonly string[] {
    return this.#bindings.texts;
  }

  get strings(): readonly string[] {
    return this.#strings.texts;
  }

  learn({ bindings, strings }: Dictionaries): void {
    this.#bindings.learn(bindings);
    this.#strings.learn(strings);
  }
}

/** Texts of a dictionary by id, from all segments. Where one has given up waiting for a text, a later one may have it. */
class KnownTexts {
  readonly texts: string[] = [];
  readonly #isGivenUp: (text: string) => boolean;
  readonly #givenUp = new Set<number>();

  constructor(isGivenUp: (text: string) => boolean) {
    this.#isGivenUp = isGivenUp;
  }

  learn(texts: readonly string[]): void {
    for (const id of this.#givenUp) {
      if (id >= texts.length || this.#isGivenUp(texts[id])) continue;
      this.texts[id] = texts[id];
      this.#givenUp.delete(id);
    }
    for (let id = this.texts.length; id < texts.length; id++) {
      this.texts.push(texts[id]);
      if (this.#isGivenUp(texts[id])) this.#givenUp.add(id);
    }
  }
}
