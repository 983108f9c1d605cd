/**
 * Where frames of Zstandard end (RFC 8878). Node decompresses the first of several and says nothing of the others; Node 22
 * takes one that is cut off for one that is shorter.
 */

const SKIPPABLE = 0x184d2a50;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;

/** What is to be read next: the bytes themselves, or only past them. */
type Step = { readonly read: number } | { readonly pass: number };

export class ZstdFrame {
  readonly #steps = stepsOfFrame();
  #step = this.#steps.next().value as Step;
  #held: number[] = [];
  #passed = 0;
  #isWhole = false;

  /** Takes the next bytes of the file. @returns how many of them are the frame's; it goes on behind them if all are */
  push(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.#isWhole) {
      if ('pass' in this.#step) {
        const count = Math.min(this.#step.pass - this.#passed, bytes.length - at);
        this.#passed += count;
        at += count;
        if (this.#passed === this.#step.pass) this.#next();
      } else {
        this.#held.push(bytes[at++]);
        if (this.#held.length === this.#step.read) this.#next();
      }
    }
    return at;
  }

  /** Whether it has come to its end. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  #next(): void {
    do {
      const { value, done = false } = this.#steps.next(this.#held);
      this.#held = [];
      this.#passed = 0;
      this.#isWhole = done;
      if (value !== undefined) this.#step = value;
    } while (!this.#isWhole && 'pass' in this.#step && this.#step.pass === 0);
  }
}

function* stepsOfFrame(): Generator<Step, void, readonly number[]> {
  const magic = whole(yield { read: 4 });
  if (magic >>> 4 === SKIPPABLE >>> 4) {
    yield { pass: whole(yield { read: 4 }) };
    return;
  }
  const [descriptor] = yield { read: 1 };
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6];
  yield { pass: (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3] + sizeBytes };
  for (let isLast = false; !isLast; ) {
    const head = whole(yield { read: 3 });
    isLast = (head & 1) === 1;
    yield { pass: ((head >>> 1) & 3) === RLE_BLOCK ? 1 : head >>> 3 };
  }
  yield { pass: (descriptor & 0x04) === 0 ? 0 : CHECKSUM_BYTES };
}

/** Little-endian. */
function whole(bytes: readonly number[]): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}
